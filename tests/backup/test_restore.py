"""Restores: names, tables that are there, what is undone, what is compared, and what killed ones leave."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import BackupFailed, BackupProgress, EventHorizon, NotFound, TesseractError
from tests.backup.everything import ROWS, definition, make, raw

KEY = {"name": "id", "type": "int64", "primary_key": True}


@pytest.fixture
def path(hub: EventHorizon, tmp_path: Path) -> Path:
    """A backup of two tables, a derived one and two sessions."""
    make(hub)
    hub.create_tesseract("users", [KEY, {"name": "name", "type": "string"}]).add([{"id": 1, "name": "Ada"}])
    hub.create_session("all", table="users")
    hub.create_tesseract_from_session("people", hub.get_session("all"))
    hub.create_session("named", table="people", filter='name ~ "a"')
    hub.backup(tmp_path / "hub.tesseract")
    return tmp_path / "hub.tesseract"


def names(hub: EventHorizon) -> tuple[list[str], list[str]]:
    return [table.name for table in hub.list_tesseracts()], [session.name for session in hub.list_sessions()]


def refused(hub: EventHorizon, path: Path, reason: str, **options: Any) -> str:
    """A restore that does nothing."""
    before = (hub.info().version, names(hub))
    with pytest.raises(BackupFailed) as failed:
        hub.restore(path, **options)
    assert failed.value.reason == reason, failed.value
    assert (hub.info().version, names(hub)) == before
    return failed.value.message


def test_under_new_names(hub: EventHorizon, path: Path) -> None:
    """What reads a table that has another name reads it under that name."""
    result = hub.restore(
        path,
        rename={"users": "users_2", "people": "people_2", "everything": "e2"},
        rename_sessions={"all": "all_2", "named": "named_2"},
    )
    assert dict(result.tables) == {"users_2": 1, "e2": ROWS, "people_2": 0}
    assert set(result.sessions) == {"all_2", "named_2"}
    hub.get_tesseract("users_2").add([{"id": 2, "name": "Alan"}])
    assert hub.get_session("named_2").get_data().total_count == 2
    assert hub.get_session("named").get_data().total_count == 1
    assert hub.restore(path, tables=["users"], rename="three").tables == {"three": 1}


def test_a_name_that_is_taken_is_refused_before_anything_is_done(hub: EventHorizon, path: Path) -> None:
    told = refused(hub, path, "NAME_TAKEN")
    assert "table 'everything'" in told and "session 'named'" in told
    refused(hub, path, "NAME_TAKEN", tables=["users"])
    refused(hub, path, "NAME_TAKEN", tables=["users"], rename="everything")
    refused(hub, path, "BAD_OPTION", rename="one")
    refused(hub, path, "BAD_OPTION", tables=["users", "everything"], rename={"users": "x", "everything": "x"})
    refused(hub, path, "BAD_OPTION", tables=["users"], rename="9 lives")
    refused(hub, path, "BAD_OPTION", rename={"nobody": "x"})
    refused(hub, path, "NOT_IN_BACKUP", tables=["nobody"])
    refused(hub, path, "BAD_OPTION", columns={"id": "string"})
    refused(hub, path, "BAD_OPTION", nonsense=True)


def test_what_reads_something_that_is_not_there_is_refused(hub: EventHorizon, other: EventHorizon, path: Path) -> None:
    told = refused(other, path, "NOT_IN_BACKUP", tables=["people"])
    assert "'people' reads the session 'all'" in told
    assert hub.restore(path, tables=["people"], rename="people_2").tables == {"people_2": 0}


def test_tables_are_exchanged_when_all_rows_are_there(hub: EventHorizon, path: Path) -> None:
    """With `replace`, readers go on under the name; what is there and asks the same stays."""
    users = hub.get_tesseract("users")
    users.add([{"id": 7, "name": "Eve"}])
    assert hub.get_session("named").get_data().total_count == 1
    with hub.get_session("all").mirror() as mirror:
        assert mirror.total_count == 2
        result = hub.restore(path, replace=True, verify=True)
        mirror.wait_for(result.version)
        assert [row["id"] for row in mirror.rows()] == [1]
    assert names(hub) == (["everything", "people", "users"], ["all", "named"])
    assert dict(result.tables) == {"everything": ROWS, "users": 1, "people": 0}
    assert hub.get_tesseract("people").count() == 1


def test_a_session_that_asks_something_else_is_not_replaced(hub: EventHorizon, path: Path) -> None:
    hub.get_session("named").update(filter='name ~ "z"')
    assert "session 'named'" in refused(hub, path, "NAME_TAKEN", replace=True)
    hub.restore(path, replace=True, tables=["users", "everything"])


@pytest.mark.parametrize("method", ["RenameTable", "CreateSession", "CreateTable", "UpdateTable"])
def test_what_was_done_is_undone(
    hub: EventHorizon, other: EventHorizon, path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call fails in the middle or at the end: nothing is left."""
    from tesseract_grpc.client.sync.rpc import Rpc

    hub.get_tesseract("people").create_index("name")
    hub.backup(path, overwrite=True)
    call, counts, nth = Rpc.call, {"": 0}, 1 if method == "UpdateTable" else 2

    def failing(self: Any, called: Any, request: Any, **more: Any) -> Any:
        name = type(request).__name__.removesuffix("Request")
        counts[name] = counts.get(name, 0) + 1
        if name == method and counts[name] == nth:
            raise TesseractError("as planned")
        return call(self, called, request, **more)

    monkeypatch.setattr(Rpc, "call", failing)
    with pytest.raises(TesseractError, match="as planned"):
        other.restore(path)
    monkeypatch.undo()
    assert names(other) == ([], [])
    assert other.restore(path).rows == ROWS + 1


def test_a_row_that_is_refused_is_named(hub: EventHorizon, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,name\n" + "".join(f"{at},n{at}\n" for at in range(5_000)) + "17,again\n")
    told: list[BackupProgress] = []
    with pytest.raises(BackupFailed) as failed:
        hub.restore(path, key="id", batch=1_000, on_progress=told.append)
    assert failed.value.reason == "VALUE_REFUSED"
    assert "rows.csv, row 5,001 of table 'rows'" in failed.value.message
    assert names(hub) == ([], [])
    with pytest.raises(BackupFailed) as failed:
        hub.restore(path, columns={"name": "int64"})
    assert "rows.csv, row 1, column 'name'" in failed.value.message
    result = hub.restore(path)
    assert result.inferred is not None
    assert result.inferred.key == ("row",)
    assert result.inferred.key_why == 'rows numbered from 1, because "id" has nulls or duplicates'
    assert hub.get_tesseract("rows").count() == 5_001


def test_a_dry_run_changes_nothing(hub: EventHorizon, other: EventHorizon, path: Path) -> None:
    before = other.info().version
    result = other.restore(path, dry_run=True)
    assert (result.rows, result.version, other.info().version) == (ROWS + 1, 0, before)
    refused(hub, path, "NAME_TAKEN", dry_run=True)


def test_nobody_sees_a_table_before_it_is_whole(hub: EventHorizon, tmp_path: Path) -> None:
    source = hub.create_tesseract("numbers", [KEY, {"name": "x", "type": "float64"}])
    source.ingest({"id": list(range(30_000)), "x": [0.5] * 30_000})
    hub.backup(tmp_path / "a.tesseract")
    seen: set[int] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for table in hub.list_tesseracts():
                if table.name == "again":
                    with suppress(NotFound):  # it is removed between two restores
                        seen.add(table.count())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(3):
            hub.restore(tmp_path / "a.tesseract", rename="again", batch=500)
            hub.remove_tesseract("again")
    except BackupFailed:
        raise
    finally:
        stop.set()
        looking.join()
    assert seen <= {30_000}


def test_limits_hold_when_all_rows_are_there(hub: EventHorizon, other: EventHorizon, tmp_path: Path) -> None:
    """A table that keeps few rows is restored with the rows that it had."""
    kept = hub.create_tesseract("kept", [KEY], retention={"max_records": 10})
    kept.add({"id": list(range(25))})
    assert kept.count() == 10
    hub.backup(tmp_path / "a.tesseract")
    other.restore(tmp_path / "a.tesseract", verify=True)
    again = other.get_tesseract("kept")
    assert (raw(again), definition(again)) == (raw(kept), definition(kept))
    again.add({"id": [100]})
    assert [row["id"] for row in again.get_data()] == [*range(16, 25), 100]


def test_what_a_killed_restore_leaves_is_removed(hub: EventHorizon, path: Path) -> None:
    hub.create_tesseract("_restoring.0123abcd.1", [KEY])
    result = hub.restore(path, tables=["users"], rename="again")
    assert result.warnings == ("left by an interrupted restore: _restoring.0123abcd.1",)
    assert hub.discard_restores() == ["_restoring.0123abcd.1"]
    assert hub.discard_restores() == []
