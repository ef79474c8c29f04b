"""`watch` against a real server: every change as a line, as an object, and on a terminal."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tesseract_grpc.cli.event_text import event_lines, notice_line, notice_object
from tesseract_grpc.client import EventHorizon, Gap, Interrupted, Lagged, Notice, Progress, Resumed, Tesseract
from tests.cli.conftest import Command, clean_environment
from tests.cli.terminal import on_a_terminal
from tests.client.outages import Mortal


@contextmanager
def watching(command: Command, *args: str) -> Iterator[Popen[str]]:
    """A `watch` that runs; killed when it is still there at the end."""
    process = command.start("watch", *args)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def read(process: Popen[str], count: int) -> list[str]:
    """The next lines."""
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def read_objects(process: Popen[str], count: int) -> list[dict[str, Any]]:
    """The next JSON objects."""
    return [json.loads(line) for line in read(process, count)]


def test_every_change_of_a_query_is_an_object(command: Command, users: Tesseract) -> None:
    with watching(command, users.name, "--filter", "age >= 18", "--sort", "-age", "--json") as process:
        head, first, second = read_objects(process, 3)
        assert (head["change"], head["rows"], head["total_count"], head["reason"]) == ("snapshot", 2, 2, "first")
        assert (first["change"], first["key"], first["index"]) == ("insert", {"id": 4}, 0)
        assert second["row"] == {"id": 1, "name": "Ada", "age": 36, "role": "reader"}

        version = users.update({"id": 2, "age": 50}).version
        (came,) = read_objects(process, 1)
        assert came == {
            "change": "insert",
            "from_version": came["from_version"],
            "version": version,
            "total_count": 3,
            "key": {"id": 2},
            "row": {"id": 2, "name": "Alan", "age": 50, "role": "writer"},
            "index": 1,
        }
        users.update({"id": 1, "age": 90})
        changes = read_objects(process, 2)
        assert [change["change"] for change in changes] == ["update", "move"]
        assert changes[0]["row"] == {"age": 90}
        assert changes[1]["index"] == 0
        users.update({"id": 4, "age": 3})
        gone = read_objects(process, 1)  # before the next commit, which may be merged with it
        users.remove([1])
        gone += read_objects(process, 1)
        assert [(change["change"], change["key"]["id"], change["reason"]) for change in gone] == [
            ("remove", 4, "filtered"),
            ("remove", 1, "deleted"),
        ]


def test_every_change_is_a_line(command: Command, users: Tesseract) -> None:
    with watching(command, users.name, "--columns", "name,age", "--limit", "2", "--count", "2") as process:
        head, first, second = read(process, 3)
        assert head.endswith("snapshot of 2 rows, 4 in all")
        assert first.endswith("+ 0: name=Ada age=36")
        assert second.endswith("+ 1: name=Alan age=17")
        version = users.update({"id": 2, "age": 18}).version
        assert read(process, 1) == [f"@{version} ~ id=2: age=18"]
        version = users.remove([1]).version
        assert read(process, 2) == [f"@{version} - id=1 (deleted)", f"@{version} + 1: name=Grace, H. age=·"]
        assert process.wait(10) == 0, "--count deltas have come"


def test_a_session_is_watched_by_its_name(command: Command, hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(f"of-{users.name}", table=users, filter=[{"field": "id", "value": 1}])
    with watching(command, session.name, "--json") as process:
        assert read_objects(process, 2)[1]["row"]["name"] == "Ada"
    ended = command.invoke("watch", session.name, "--filter", "age > 3")
    assert ended.exit_code == 2
    assert "has its own filter" in ended.stderr
    assert command.invoke("watch", session.name, "--table").exit_code == 1


def test_an_edit_of_a_watched_session_is_told(command: Command, hub: EventHorizon, users: Tesseract) -> None:
    session = hub.create_session(f"edited-{users.name}", table=users, filter="id < 3", columns=["name"])
    with watching(command, session.name, "--json") as process, watching(command, session.name) as lines:
        read_objects(process, 3)
        read(lines, 3)
        version = session.update(filter="id == 2", columns=["name", {"name": "twice", "expression": "age * 2"}])
        edited, *changes = read_objects(process, 3)
        assert edited == {
            "change": "edited",
            "version": version,
            "total_count": 1,
            "generation": 2,
            "columns": ["id", "name", "twice"],
        }
        assert [(change["change"], change["key"]["id"]) for change in changes] == [("remove", 1), ("update", 2)]
        assert changes[1]["row"] == {"twice": 34}
        assert read(lines, 3) == [
            f"@{version} edited: id, name, twice",
            f"@{version} - id=1 (filtered)",
            f"@{version} ~ id=2: twice=34",
        ]


def test_groups_of_a_table_are_watched(command: Command, users: Tesseract) -> None:
    groups = ("--group-by", "role", "--aggregate", "n=count", "--sort", "-n")
    with watching(command, users.name, *groups, "--json") as process:
        assert [line["row"] for line in read_objects(process, 3)[1:]] == [
            {"role": "reader", "n": 3},
            {"role": "writer", "n": 1},
        ]
        users.remove([1])
        (change,) = read_objects(process, 1)
        assert (change["change"], change["key"], change["row"]) == ("update", {"role": "reader"}, {"n": 2})


def test_what_is_not_there_is_said(command: Command) -> None:
    ended = command.invoke("watch", "nowhere")
    assert ended.exit_code == 1
    assert 'no session or table "nowhere"' in ended.stderr
    assert "hint:" in ended.stderr


def test_a_table_that_is_deleted_ends_the_watch(command: Command, hub: EventHorizon, users: Tesseract) -> None:
    with watching(command, users.name) as process:
        read(process, 5)
        hub.remove_tesseract(users)
        assert process.wait(10) == 1
        assert process.stderr is not None
        said = process.stderr.read()
        assert "TABLE_DELETED" in said
        assert "Traceback" not in said


def test_ctrl_c_is_quiet(command: Command, users: Tesseract) -> None:
    with watching(command, users.name) as process:
        read(process, 5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_reader_that_goes_away_ends_the_watch(command: Command, users: Tesseract) -> None:
    with watching(command, users.name) as process:
        read(process, 5)
        assert process.stdout is not None
        process.stdout.close()
        users.update({"id": 1, "age": 37})
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("last_words", ["ctrl-c", "deleted"])
def test_a_terminal_shows_a_table_that_is_always_current(
    command: Command, hub: EventHorizon, users: Tesseract, last_words: str
) -> None:
    args = ("watch", users.name, "--filter", "age >= 18", "--sort", "-age")
    with on_a_terminal(*args, env=clean_environment(command.address)) as terminal:
        terminal.wait_for(f"table {users.name}", "2 of 2 rows", "live", "Ada", "36")
        users.update({"id": 2, "age": 55})
        terminal.wait_for("3 of 3 rows", "Alan", "55")
        if last_words == "ctrl-c":
            terminal.press_ctrl_c()
            assert terminal.end() == 130
        else:
            hub.remove_tesseract(users)
            assert terminal.end() == 1
            assert "TABLE_DELETED" in terminal.seen
        assert "Traceback" not in terminal.seen


def test_progress_and_gaps_have_no_text() -> None:
    assert list(event_lines(Progress(7), ())) == []
    assert list(event_lines(Gap(7, 9, "reconnected"), ())) == []


def test_what_happens_to_the_stream_is_text() -> None:
    broke = Interrupted("silence", "no message for too long", 7, resumes=True)
    notices: list[Notice] = [broke, Resumed(7), Lagged(9, 40)]
    assert [notice_line(notice) for notice in notices] == [
        "@7 stale: silence (no message for too long)",
        "@7 resumed",
        "@9 lagged: 40 commits",
    ]
    objects = [json.loads(notice_object(notice)) for notice in notices]
    assert [found["change"] for found in objects] == ["interrupted", "resumed", "lagged"]
    assert (objects[0]["resumes"], objects[0]["version"], objects[2]["skipped_commits"]) == (True, 7, 40)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["lines", "objects", "terminal"])
def test_a_server_that_is_killed_and_starts_again(form: str, tmp_path: Path) -> None:
    mortal = Mortal(tmp_path / "data", "--progress-interval", "0.5")
    mortal.start()
    try:
        with EventHorizon.connect(mortal.address, timeout=60) as hub:
            table = hub.create_tesseract("t", [{"name": "id", "type": "int64", "primary_key": True}])
            hub.create_session("s", table=table)
            table.add({"id": 1})
            if form == "terminal":
                with on_a_terminal("watch", "s", env=clean_environment(mortal.address)) as terminal:
                    terminal.wait_for("session s", "1 of 1 rows", "live")
                    mortal.kill()
                    terminal.wait_for("stale", "reconnected")
                    mortal.start()
                    table.add({"id": 2})
                    terminal.wait_for("2 of 2 rows", "live", "resumed", seconds=60)
                return
            with watching(Command(mortal.address), "s", *(["--json"] if form == "objects" else [])) as process:
                read(process, 2)
                mortal.kill()
                stale = read(process, 1)[0]
                mortal.start()
                version = table.add({"id": 2}).version
                rest = read(process, 3)
                if form == "lines":
                    assert stale.startswith(f"@{version - 1} stale: reconnected (")
                    assert rest[0] == f"@{version - 1} resumed"
                    assert rest[1] == f"@{version - 1} live"
                    assert rest[2] == f"@{version} + 1: id=2"
                else:
                    assert json.loads(stale)["change"] == "interrupted"
                    assert [json.loads(line)["change"] for line in rest] == ["resumed", "live", "insert"]
    finally:
        mortal.kill()
