"""`debug` and `events` against a real server."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import pytest

from tesseract_grpc.cli.debug_text import event_line, printable, record_lines
from tesseract_grpc.client import DebugRecord, EventHorizon, HubEvent, Tesseract
from tests.cli.conftest import Command
from tests.client.outages import Mortal


@pytest.fixture(autouse=True)
def off(hub: EventHorizon) -> Iterator[None]:
    """Debug mode is off before and after."""
    yield
    hub.debug.enable(level="info", slow_query=0.1, include_values=False, capacity=10_000)
    hub.debug.disable()
    hub.debug.clear()


@contextmanager
def running(command: Command, *args: str) -> Iterator[Popen[str]]:
    """A command that runs; killed when it is still there at the end."""
    process = command.start(*args)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def line_with(process: Popen[str], text: str) -> str:
    """The next line with a text in it."""
    assert process.stdout is not None
    while text not in (line := process.stdout.readline()):
        assert line, "it has ended"
    return line.rstrip("\n")


def test_it_is_turned_on_and_off(command: Command) -> None:
    result = command.invoke("debug", "on", "--level", "debug", "--slow", "0.5", "--capacity", "100")
    assert result.output == (
        "debug mode is on: debug and above, without values, slow from 0.5 s, at most 100 records\n"
    )
    assert "with values" in command.invoke("debug", "on", "--values").output
    assert command.invoke("debug", "off").output.startswith("debug mode is off: debug and above, with values")
    assert "records; 0 left" in command.invoke("debug", "status").output
    wrong = command.run("debug", "on", "--level", "loud")
    assert wrong.returncode == 2


def test_records_are_listed_exported_and_cleared(command: Command, users: Tesseract, tmp_path: Path) -> None:
    assert command.invoke("debug", "on", "--level", "debug", "--slow", "0").exit_code == 0
    users.update({"id": 1, "age": 40})
    users.query([{"field": "age", "comparison": ">", "value": 18}])
    lines = command.invoke("debug", "logs", "--table", users.name, "--since", "1h").output.splitlines()
    (commit,) = [line for line in lines if " DEBUG   commit " in line]
    assert "rows were written" in commit
    assert "updated=1" in commit
    assert any(line.startswith("    ") and "age >= ?" in line for line in lines)
    objects = [
        json.loads(line)
        for line in command.invoke("debug", "logs", "--kind", "commit", "--kind", "query", "--json").output.splitlines()
    ]
    assert {each["kind"] for each in objects} == {"commit", "query"}
    last = command.invoke("debug", "logs", "--json", "--limit", "1", "--kind", "commit").output
    assert json.loads(last) == [each for each in objects if each["kind"] == "commit"][-1]
    path = tmp_path / "logs.json"
    assert "records in" in command.invoke("debug", "export", str(path), "--level", "debug").output
    assert json.loads(path.read_text())["logCount"] > 2
    assert command.invoke("debug", "logs", "--since", "2200-01-01").output == ""
    assert command.run("debug", "logs", "--since", "yesterday").returncode == 2
    assert command.invoke("debug", "off").exit_code == 0
    assert command.invoke("debug", "clear").output.endswith("records are gone\n")
    assert command.invoke("debug", "logs").output == ""


def test_records_are_followed(command: Command, users: Tesseract, hub: EventHorizon) -> None:
    hub.debug.enable(level="debug")
    users.update({"id": 1, "age": 41})
    args = ("debug", "follow", "--existing", "--json", "--kind", "commit", "--table", users.name)
    with running(command, *args) as process:
        assert json.loads(line_with(process, "commit"))["table"] == users.name
        users.update({"id": 1, "age": 42})
        assert json.loads(line_with(process, "commit"))["details"]["updated"] == "1"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_events_are_printed(command: Command, hub: EventHorizon, users: Tesseract) -> None:
    with running(command, "events", "--existing") as process:
        assert line_with(process, users.name).endswith("(id, name, age, role)")
        hub.create_session(users.name + "-s", table=users)
        assert line_with(process, "session_opened").endswith(f"{users.name}-s of {users.name}")
        hub.remove_session(users.name + "-s")
        assert line_with(process, "session_closed").endswith("-s: SESSION_DELETED")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


@pytest.mark.slow
def test_events_go_on_when_the_server_starts_again(tmp_path: Path) -> None:
    mortal = Mortal(tmp_path / "data", "--progress-interval", "0.5")
    mortal.start()
    command = Command(mortal.address)
    try:
        with EventHorizon.connect(mortal.address) as hub:
            table = hub.create_tesseract("kept", [{"name": "id", "type": "int64", "primary_key": True}])
            with running(command, "events", "--existing", "--json") as process:
                assert json.loads(line_with(process, "kept"))["kind"] == "table_created"
                mortal.kill()
                mortal.start()
                hub.rename_tesseract(table, "renamed")
                told = json.loads(line_with(process, "table_renamed"))
                assert (told["old_name"], told["table"]) == ("kept", "renamed")
                assert process.stderr is not None
                assert process.stderr.readline().startswith("@1 stale: ")
    finally:
        mortal.kill()


def test_nothing_that_is_told_controls_a_terminal() -> None:
    record = DebugRecord(
        7, datetime(2026, 1, 2, 3, 4, 5, 6_000, UTC), "warning", "slow_query", "slow", 3, "\x1b[2J\nid", "t", "", 0.25,
        {"plan": "a\nb\x07"}, 2,
    )  # fmt: skip
    lines = list(record_lines(record))
    assert lines[0].startswith("... 2 records were missed")
    assert lines[1] == "03:04:05.006 WARNING slow_query slow  table=t request_id=\\x1b[2J\\x0aid 250.000 ms @3"
    assert lines[2:] == ["    a", "    b\\x07"]
    assert event_line(HubEvent("session_opened", 3, session="\x1b")) == "@3 session_opened \\x1b"
    assert printable("Ærø") == "Ærø"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (HubEvent("table_renamed", 1, table="b", old_name="a"), "@1 table_renamed a to b"),
        (HubEvent("tables_swapped", 1, table="b", other="a"), "@1 tables_swapped b and a"),
        (HubEvent("table_removed", 1, table="b", missed=True), "@1 table_removed b (missed)"),
        (HubEvent("hub_state", 1, state="read_only", message="full"), "@1 hub_state read_only: full"),
        (HubEvent("session_closed", 1, session="s"), "@1 session_closed s"),
        (HubEvent("session_edited", 1, session="s", table="t"), "@1 session_edited s of t"),
        (HubEvent("table_altered", 1, table="t", columns=({"name": "id"},)), "@1 table_altered t (id)"),
    ],
)
def test_each_event_has_its_line(event: HubEvent, line: str) -> None:
    assert event_line(event) == line
