"""`make clients-test` can fail: clients that are not there, do not build, test nothing, print something else, or whose
mirrors hold other rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.clients import programs
from tests.clients import language, verify
from tests.clients.language import Language, StepFailed
from tests.clients.relay import Relay, relay

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
HERE = {"command": [PYTHON, "--version"], "minimum": "3.11"}
WRITER = """
import argparse, json, time
from tesseract_grpc.client import EventHorizon, Retry
parser = argparse.ArgumentParser()
for name in ("address", "table", "seconds", "batch"):
    parser.add_argument("--" + name)
asked, commits, version = parser.parse_args(), 0, 0
with EventHorizon.connect(asked.address, timeout=60, retry=Retry(max_backoff=0.2)) as hub:
    table, end = hub.get_tesseract(asked.table), time.monotonic() + float(asked.seconds)
    while time.monotonic() < end:
        row = {"id": commits % 50, "whole": 2**53 + commits, "text": "\\U00010348", "doc": "[1.0]"}
        version = table.upsert([row]).version
        commits += 1
        time.sleep(0.02)
print(json.dumps({"commits": commits, "rows": commits, "version": version}))
"""
LIAR = """
import subprocess, sys
honest = subprocess.Popen([sys.executable, sys.argv[1], *sys.argv[2:]], stdout=subprocess.PIPE, text=True)
for line in honest.stdout:
    print(line.replace('"digest": "', '"digest": "0') , end="", flush=True)
"""


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for clients that are not real."""
    for module in (programs, language, verify):
        monkeypatch.setattr(module, "CLIENTS", tmp_path / "clients")
    monkeypatch.setattr(language, "LOGS", tmp_path / "logs")
    monkeypatch.delenv("CI", raising=False)
    samples = tmp_path / "clients" / "samples"
    samples.mkdir(parents=True)
    for name in verify.SAMPLES:
        (samples / f"{name}.txt").write_text(f"{name}\n")
    return tmp_path / "clients"


def client(clients: Path, name: str = "go", **commands: Any) -> None:
    """A client with these commands beside those that do nothing."""
    folder = clients / name
    folder.mkdir()
    sample = [PYTHON, "-c", "import sys; print(sys.argv[1])", "{name}", "{address}"]
    given = {"toolchain": [HERE], "build": [], "check": [], "test": [], "sample": sample, **commands}
    (folder / "commands.json").write_text(json.dumps(given))


def does(code: str) -> list[list[str]]:
    """Commands: one, which runs this."""
    return [[PYTHON, "-c", code]]


async def outcome(name: str = "go") -> verify.Outcome:
    """What becomes of a client up to its samples."""
    folder = language.LOGS.parent / "work"
    folder.mkdir(exist_ok=True)
    run = verify.Run([name], folder)
    run.steps = ("tests", "samples")
    await run.all()
    return run.outcomes[name]


async def test_a_client_that_does_it_all_is_good(clients: Path) -> None:
    client(clients)
    found = await outcome()
    assert (found.word, found.samples) == ("ok", "3 of 3")


@pytest.mark.parametrize(
    ("commands", "failed"),
    [
        ({"build": does("raise SystemExit(3)")}, "build: "),
        ({"check": does("raise SystemExit(3)")}, "check: "),
        ({"test": does("raise SystemExit(3)")}, "tests: "),
        ({"test": does("pass")}, "tests: vectors not played to their end"),
        ({"sample": [PYTHON, "-c", "print('something else', '{name}', '{address}')"]}, "samples: the sample basic"),
        ({"build": [["no-such-program"]]}, "build: "),
    ],
)
async def test_a_client_that_does_not_fails(clients: Path, commands: Any, failed: str) -> None:
    client(clients, **commands)
    found = await outcome()
    assert found.word == "FAILED"
    assert found.failed.startswith(failed)


async def test_a_missing_toolchain_is_skipped_and_in_ci_a_failure(
    clients: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client(clients, toolchain=[{"command": ["no-such-program"], "minimum": "1"}])
    client(clients, "rust", toolchain=[{**HERE, "minimum": "99.1"}])
    for ci, code in ((None, 0), ("true", 1)):
        if ci:
            monkeypatch.setenv("CI", ci)
        assert await verify.verify(["go", "rust"]) == code
        said = capsys.readouterr().out
        assert said.count("SKIPPED") >= 4
        assert "99.1 or newer is needed" in said


def test_names_of_live_tests_are_found_as_languages_write_them(tmp_path: Path) -> None:
    (tmp_path / "one.go").write_text("func TestKillAndResume(t *testing.T) {}\nfunc TestReset(")
    (tmp_path / "two.ts").write_text('test("types_round_trip", run)\n// slow consumer, presets')
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "three.js").write_text("black_hole")
    assert verify.live_tests(tmp_path) == {"kill_and_resume", "reset", "types_round_trip"}


@pytest.mark.slow
async def test_the_relay_finds_other_rows(clients: Path, tmp_path: Path) -> None:
    watch = [PYTHON, str(ROOT / "tests" / "clients" / "relay_watch.py")]
    client(clients, "go", relay_write=[PYTHON, "-c", WRITER], relay_watch=watch)
    client(clients, "rust", relay_watch=[PYTHON, "-c", LIAR, watch[1]])
    go, rust = Language("go"), Language("rust")
    with pytest.raises(StepFailed, match="rust has other rows than the server: ") as caught:
        await Relay(tmp_path, [go, rust], go, seconds=3).run()
    assert "go " not in str(caught.value)


async def test_the_relay_wants_all_in_ci(clients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client(clients, "rust", relay_watch=["x"])
    assert "SKIPPED" in await relay(tmp_path, [Language("rust")])
    monkeypatch.setenv("CI", "true")
    with pytest.raises(StepFailed, match="without go"):
        await relay(tmp_path, [Language("rust")])
