"""The demo as a whole: a small slice of it in pieces, and all of it once, as a user runs it."""

import json
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from tesseract_grpc.cli.demo.watching import compare
from tests.cli.conftest import Command, clean_environment
from tests.cli.terminal import on_a_terminal

ROWS = 336_776 + 16 + 1_458 + 3_322 + 26_115


def run_demo(*args: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Runs the demo with --json; the ended process and the summary."""
    ended = subprocess.run(
        [sys.executable, "-m", "tesseract_grpc.cli", "demo", "--json", *args],
        env=clean_environment() | {"no_proxy": "*", "TESSERACT_LISTEN": "0.0.0.0:1"},
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended, json.loads(ended.stdout.splitlines()[-1])


def check(summary: dict[str, Any]) -> None:
    """What must be true of every run."""
    assert summary["rows_loaded"] == ROWS
    assert summary["tables"] == 5
    assert summary["mirrors"] == "equal"
    assert summary["duckdb"] == "equal"
    assert summary["differences"] == []
    assert summary["sessions"] == 7
    assert summary["deltas"] > summary["commits"] / 2 > 100
    assert summary["latency_samples"] > summary["commits"] / 2
    assert 0 < summary["latency_p50_ms"] <= summary["latency_p99_ms"]


def test_a_small_slice_as_fast_as_it_goes() -> None:
    ended, summary = run_demo("--days", "1", "--speed", "1000000000", "--seconds", "30", "--date", "2013-07-10")
    check(summary)
    assert summary["days"] == 1
    assert summary["commits"] > 1_700
    assert "mirrors: equal" in ended.stdout
    assert "duckdb:  equal" in ended.stdout
    assert ended.stderr == ""


def test_it_stops_in_time_when_the_days_are_too_long() -> None:
    _, summary = run_demo("--days", "30", "--speed", "5000", "--seconds", "8")
    check(summary)
    assert 0.2 < summary["days"] < 0.7
    assert summary["replay_seconds"] < 10


@pytest.mark.slow
def test_all_of_it_in_under_ninety_seconds() -> None:
    started = time.monotonic()
    ended, summary = run_demo()
    assert time.monotonic() - started < 90
    check(summary)
    assert summary["days"] == 3
    assert summary["commits"] > 4_500
    lines = [line for line in ended.stdout.splitlines() if line.startswith("2013-03-")]
    assert len(lines) > 15, "the boards move in front of whoever watches"
    assert len(set(lines)) == len(lines)


def test_on_a_terminal_the_boards_move_in_place() -> None:
    with on_a_terminal("demo", "--days", "1", "--seconds", "4", env=clean_environment()) as terminal:
        terminal.wait_for(
            "Worst departure delays today",
            "JFK: next departures",
            "Worst planes today",
            "mirrors: equal",
            "duckdb:  equal",
            seconds=60,
        )
        assert terminal.end() == 0
        assert "Traceback" not in terminal.seen


def test_ctrl_c_is_quiet() -> None:
    with on_a_terminal("demo", env=clean_environment()) as terminal:
        terminal.wait_for("Worst departure delays today", "departed")
        server = children(terminal.process.pid)
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert "Traceback" not in terminal.seen
        assert "shutting down" not in terminal.seen
    assert len(server) == 1
    assert not psutil.pid_exists(server[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_when_it_is_stopped_its_server_ends_too(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tesseract_grpc.cli", "demo"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while not process.stdout.readline().startswith("2013-"):
            assert process.poll() is None
        server = children(process.pid)
        assert len(server) == 1
        process.send_signal(number)
        process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait(20) == 128 + number
    assert not any(psutil.pid_exists(pid) for pid in server)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.NoSuchProcess:
        return []


@pytest.mark.parametrize(
    ("args", "words"),
    [(["--date", "2014-01-01"], "not in 2013"), (["--days", "0"], "--days"), (["--seconds", "600"], "--seconds")],
)
def test_what_cannot_be_played_is_refused(args: list[str], words: str) -> None:
    ended = Command("").run("demo", *args)
    assert ended.returncode == 2
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("mirrored", "total", "words"),
    [
        ([{"n": 1}, {"n": 2}], 2, ""),
        ([{"n": 2}, {"n": 1}], 2, "x: position 0 is {'n': 2}, and a fresh query says {'n': 1}"),
        ([{"n": 1}], 2, "x: the mirror holds 1 rows, a fresh query 2"),
        ([{"n": 1}, {"n": 2}], 3, "x: the mirror counts 3 rows in all, a fresh query 2"),
    ],
)
def test_a_mirror_that_differs_in_anything_is_not_equal(mirrored: list[Any], total: int, words: str) -> None:
    assert next(compare("x", mirrored, [{"n": 1}, {"n": 2}], total, 2), "") == words
