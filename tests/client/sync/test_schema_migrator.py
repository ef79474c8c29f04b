# Generated from tests/client/aio/test_schema_migrator.py by tools/generate_sync_client.py: edit that file and run it.
"""Migrations of the schema against a real server: up, down, what is refused, and what stopped in the middle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import EventHorizon, NotFound, SchemaMigrationFailed, SchemaMigrator
from tesseract_grpc.client.sync.schema_lock import SchemaLock
from tests.client.sync.support import Aside, pause

ID = {"name": "id", "type": "int64", "primary_key": True}
NAME = {"name": "name", "type": "string"}
EMAIL = {"name": "email", "type": "string"}

Make = Callable[..., SchemaMigrator]


@pytest.fixture
def make(hub: EventHorizon, table_id: str) -> Make:
    """Migrators with a history of their own."""

    def made(directory: Path | None = None, **options: Any) -> SchemaMigrator:
        return SchemaMigrator(hub, directory, history=f"{table_id}_history", **options)

    return made


def names(hub: EventHorizon, prefix: str) -> list[str]:
    """The tables of this test, without the history."""
    found = [table.name for table in hub.list_tesseracts()]
    return [name for name in found if name.startswith(prefix) and "_history" not in name]


def states(migrator: SchemaMigrator) -> dict[int, str]:
    return {each.version: each.state for each in migrator.status()}


def reason_of(call: Callable[[], Any]) -> SchemaMigrationFailed:
    with pytest.raises(SchemaMigrationFailed) as caught:
        call()
    assert caught.value.hint
    return caught.value


def three_tables(migrator: SchemaMigrator, prefix: str) -> SchemaMigrator:
    for number in (3, 1, 2):  # whatever the order
        migrator.add_migration(
            number, [{"create_table": {"id": f"{prefix}_{number}", "columns": [ID]}}], name=f"t{number}"
        )
    return migrator


def test_up_down_and_status(hub: EventHorizon, make: Make, table_id: str) -> None:
    told: list[Any] = []
    migrator = three_tables(make(on_progress=told.append), table_id)
    assert states(migrator) == {1: "pending", 2: "pending", 3: "pending"}
    assert names(hub, table_id) == []
    done = migrator.up(2)
    assert [(each.version, each.name, each.direction) for each in done] == [(1, "t1", "up"), (2, "t2", "up")]
    assert told == done
    assert states(migrator) == {1: "applied", 2: "applied", 3: "pending"}
    assert [each.version for each in migrator.up()] == [3]
    assert migrator.up() == []
    assert names(hub, table_id) == [f"{table_id}_{number}" for number in (1, 2, 3)]
    assert [(each.version, each.direction) for each in migrator.down()] == [(3, "down")]
    assert [each.version for each in migrator.migrate(1)] == [2]
    assert [each.version for each in migrator.migrate(3)] == [2, 3]
    assert [each.version for each in migrator.down(0)] == [3, 2, 1]
    assert migrator.down() == []
    assert names(hub, table_id) == []
    assert (reason_of(lambda: migrator.up(7))).reason == "UNKNOWN_VERSION"


def test_the_history_is_a_table(hub: EventHorizon, make: Make, table_id: str) -> None:
    migrator = three_tables(make(), table_id)
    migrator.up(2)
    migrator.down()
    rows = hub.query(table=f"{table_id}_history")
    assert [(row["entry"], row["version"], row["direction"], row["state"]) for row in rows] == [
        (1, 1, "up", "applied"),
        (2, 2, "up", "applied"),
        (3, 2, "down", "applied"),
    ]
    assert all(row["duration"] > 0 and row["applied_at"] is not None and row["checksum"] for row in rows)
    assert all("@" in row["applied_by"] for row in rows)
    assert hub.query(table=f"{table_id}_history_lock") == []
    (one, *_) = migrator.status()
    assert one.applied_at == rows[0]["applied_at"]
    assert one.reversible


def test_functions_of_the_hub_and_of_the_table(hub: EventHorizon, make: Make, table_id: str) -> None:
    """The style of the ancestor's guide: a new table, filled, in the place of the old one."""
    users = hub.create_tesseract(table_id, [ID, NAME])
    users.add([{"id": 1, "name": "Ada L"}, {"id": 2, "name": "Bob"}])
    migrator = make()

    def add_email(table: Any, hub: Any) -> Any:
        new = hub.create_tesseract(f"{table_id}_v2", [*table.columns, EMAIL])
        old = table.get_data()
        new.add([{**row, "email": row["name"].lower().replace(" ", ".") + "@example.com"} for row in old])
        hub.remove_tesseract(table_id)
        return hub.rename_tesseract(f"{table_id}_v2", table_id)

    def add_label(hub: Any) -> None:
        label = {"name": "label", "expression": 'name + " <" + email + ">"'}
        table = hub.get_tesseract(table_id)
        new = hub.create_tesseract(f"{table_id}_v3", [*table.columns, label])
        new.add(table.get_data())
        hub.remove_tesseract(table_id)
        hub.rename_tesseract(f"{table_id}_v3", table_id)

    migrator.add_migration(2, add_email)
    migrator.add_migration(3, add_label)
    table = migrator.migrate(table_id, 1, 3)
    assert [row["label"] for row in table.get_data()] == ["Ada L <ada.l@example.com>", "Bob <bob@example.com>"]
    again = migrator.migrate(table_id, 1, 3)  # nothing is left to do
    assert again.columns == table.columns
    assert [each.state for each in migrator.status(table=table_id)] == ["applied", "applied"]
    error = reason_of(lambda: migrator.migrate(table_id, 3, 1))
    assert error.reason == "IRREVERSIBLE"
    other = hub.create_tesseract(f"{table_id}_other", [ID, NAME])
    failed = reason_of(lambda: migrator.migrate(other.name, 7, 9))
    assert failed.reason == "UNKNOWN_VERSION"


def test_what_the_caller_says_and_what_the_history_says(make: Make, table_id: str) -> None:
    migrator = three_tables(make(), table_id)
    with pytest.raises(NotFound):
        migrator.migrate("nobody", 1, 2)
    assert [each.state for each in migrator.status(table="nobody")] == ["applied", "applied", "pending"]
    assert (reason_of(lambda: migrator.migrate("nobody", 3, 3))).reason == "VERSION_DIFFERS"


def test_what_was_applied_must_stay(make: Make, table_id: str, tmp_path: Path) -> None:
    def write(number: int, **words: Any) -> None:
        (tmp_path / f"000{number}_step.json").write_text(json.dumps(words))

    write(1, up=[{"create_table": {"id": f"{table_id}_1", "columns": [ID]}}])
    write(2, up=[{"create_table": {"id": f"{table_id}_2", "columns": [ID]}}])
    make(tmp_path).up()
    write(2, up=[{"create_table": {"id": f"{table_id}_2", "columns": [ID, NAME]}}])
    for call in (make(tmp_path).up, make(tmp_path).down, make(tmp_path).dry_run):
        error = reason_of(call)
        assert (error.reason, error.field) == ("CHECKSUM_DRIFT", "0002_step.json")
    assert states(make(tmp_path)) == {1: "applied", 2: "changed"}
    make(tmp_path).mark(2, "applied")
    assert states(make(tmp_path)) == {1: "applied", 2: "applied"}
    assert make(tmp_path).up() == []
    (tmp_path / "0001_step.json").unlink()
    assert (reason_of(lambda: make(tmp_path).up())).reason == "MISSING_MIGRATION"
    assert states(make(tmp_path)) == {1: "missing", 2: "applied"}


def test_numbers_do_not_come_late(make: Make, table_id: str) -> None:
    early = make()
    early.add_migration(5, [{"create_table": {"id": f"{table_id}_5", "columns": [ID]}}])
    early.up()
    error = reason_of(lambda: three_tables(early, table_id).up())
    assert error.reason == "OUT_OF_ORDER"
    assert "5" in error.message
    early.mark(1, "applied")
    early.mark(2, "applied")
    early.mark(3, "applied")
    assert early.up() == []


def test_a_migration_that_fails_leaves_a_true_history(hub: EventHorizon, make: Make, table_id: str) -> None:
    migrator = make()
    table = {"id": f"{table_id}_1", "columns": [ID]}
    migrator.add_migration(
        1, [{"create_table": table}, {"rename_table": {f"{table_id}_x": f"{table_id}_2"}}], name="two"
    )
    error = reason_of(lambda: migrator.up())
    assert error.reason == "STEP_FAILED"
    assert "step 2 of 2" in error.message
    assert "rename table" in error.message
    assert isinstance(error.__cause__, NotFound)
    (status,) = migrator.status()
    assert (status.state, f"{table_id}_x" in status.error) == ("failed", True)
    # The first step stands: the same call goes on with the second, once what it needs is there.
    assert (reason_of(lambda: migrator.down())).reason == "HALF_DONE"
    assert (reason_of(lambda: migrator.up())).reason == "STEP_FAILED"
    hub.create_tesseract(f"{table_id}_x", [ID])
    assert [each.version for each in migrator.up()] == [1]
    assert names(hub, table_id) == [f"{table_id}_1", f"{table_id}_2"]
    rows = hub.query(table=f"{table_id}_history")
    assert [(row["state"], row["attempt"], row["steps_done"], row["error"]) for row in rows] == [
        ("applied", 3, 2, None)
    ]


def test_a_first_step_that_fails_leaves_nothing(make: Make, table_id: str) -> None:
    migrator = make()
    migrator.add_migration(1, [{"remove_table": f"{table_id}_x"}])
    assert "nothing of it was done" in (reason_of(lambda: migrator.up())).hint
    changed = make()  # it may be corrected, for nothing of it was done
    changed.add_migration(1, [{"create_table": {"id": f"{table_id}_1", "columns": [ID]}}])
    assert len(changed.up()) == 1


def test_a_function_that_fails_is_not_called_again_by_itself(hub: EventHorizon, make: Make, table_id: str) -> None:
    calls: list[int] = []

    def up(hub: Any) -> None:
        calls.append(1)
        hub.create_tesseract(f"{table_id}_{len(calls)}", [ID])
        if len(calls) < 2:
            raise ValueError("half way")

    def migrator() -> SchemaMigrator:
        made = make()
        made.add_migration(1, up, name="half")
        return made

    error = reason_of(lambda: migrator().up())
    assert "ValueError: half way" in error.message
    assert "retry" in error.hint
    again = reason_of(lambda: migrator().up())
    assert (again.reason, "ValueError: half way" in again.message) == ("HALF_DONE", True)
    assert len(calls) == 1
    assert len(migrator().up(retry=True)) == 1
    assert names(hub, table_id) == [f"{table_id}_1", f"{table_id}_2"]
    assert (reason_of(lambda: migrator().down())).reason == "IRREVERSIBLE"
    migrator().mark(1, "pending")
    assert states(migrator()) == {1: "pending"}


def test_who_was_killed_between_a_step_and_its_note(hub: EventHorizon, make: Make, table_id: str) -> None:
    """The same request is sent again, under the same id, and is answered as it was then."""
    first = three_tables(make(), table_id)
    first.up(1)
    history = hub.get_tesseract(f"{table_id}_history")
    (row,) = history.get_data()
    history.update({"entry": row["entry"], "state": "running", "steps_done": 0, "duration": 0})
    second = three_tables(make(), table_id)
    assert (second.status())[0].state == "interrupted"
    assert [each.version for each in second.up(1)] == [1]  # the table is there, and nobody complains
    (row,) = history.get_data()
    assert (row["state"], row["steps_done"], row["attempt"]) == ("applied", 1, 1)


def test_two_migrators_do_not_run_at_once(hub: EventHorizon, make: Make, table_id: str) -> None:
    running: list[str] = []

    def slow(hub: Any) -> None:
        running.append("begin")
        pause(0.4)
        running.append("end")

    def migrator(version: int) -> SchemaMigrator:
        made = make()
        made.add_migration(1, slow)
        made.add_migration(2, slow)
        return made

    def up() -> int:
        return len(migrator(2).up())

    one, two = Aside(up), Aside(up)
    assert sorted([one.result(), two.result()]) == [0, 2]
    assert running == ["begin", "end"] * 2


def test_a_lock_is_waited_for_and_taken_over(hub: EventHorizon, make: Make, table_id: str) -> None:
    three_tables(make(), table_id).up(1)  # the tables of history and lock
    table = hub.get_tesseract(f"{table_id}_history_lock")
    with SchemaLock(table, 5.0, 5.0):
        error = reason_of(lambda: three_tables(make(lock_timeout=0.3), table_id).up())
        assert error.reason == "LOCKED"
        assert "@" in error.message
    now = (table.get_data()).to_list()
    assert now == []
    table.add({"id": "migrations", "owner": "a ghost", "since": "2024-05-01T12:00:00Z", "beat": 3})
    migrator = three_tables(make(lock_timeout=5, lease=0.3), table_id)
    assert [each.version for each in migrator.up(2)] == [2]  # it gave no sign of life
    assert (table.get_data()).to_list() == []


def test_a_lock_that_was_lost_stops_the_migrator(hub: EventHorizon, make: Make, table_id: str) -> None:
    def robbed(hub: Any) -> None:
        table = hub.get_tesseract(f"{table_id}_history_lock")
        table.update({"id": "migrations", "owner": "somebody else"})

    migrator = make()
    migrator.add_migration(1, robbed)
    migrator.add_migration(2, [{"create_table": {"id": f"{table_id}_2", "columns": [ID]}}])
    assert (reason_of(lambda: migrator.up())).reason == "LOCK_LOST"
    assert names(hub, table_id) == []
    assert (states(migrator))[1] == "interrupted"
    assert [row["owner"] for row in hub.query(table=f"{table_id}_history_lock")] == ["somebody else"]


def test_a_dry_run_does_nothing(hub: EventHorizon, make: Make, table_id: str) -> None:
    def up(hub: Any) -> None:
        raise AssertionError

    taken = hub.create_tesseract(f"{table_id}_taken", [ID])
    migrator = make()
    migrator.add_migration(1, [{"create_table": {"id": f"{table_id}_1", "columns": [ID]}}], name="one")
    migrator.add_migration(2, [{"create_table": {"id": taken.name, "columns": [ID]}}, {"remove_table": taken.name}])
    migrator.add_migration(3, up)
    planned = migrator.dry_run()
    assert [(each.version, each.name, each.direction) for each in planned] == [
        (1, "one", "up"),
        (2, "", "up"),
        (3, "", "up"),
    ]
    texts = [[(step.text, step.checked) for step in each.steps] for each in planned]
    assert texts == [
        [(f"create table {table_id}_1 (id)", True)],
        [(f"create table {table_id}_taken (id)", True), (f"remove table {table_id}_taken", False)],
        [("call up()", False)],
    ]
    assert planned[0].problems == ()
    (problem,) = planned[1].problems
    assert f"{table_id}_taken" in problem
    assert names(hub, table_id) == [taken.name]
    with pytest.raises(NotFound):
        hub.get_tesseract(f"{table_id}_history")
    assert [each.version for each in migrator.dry_run(1)] == [1]


def test_files_of_python(hub: EventHorizon, make: Make, table_id: str, tmp_path: Path) -> None:
    (tmp_path / "_helper.py").write_text("raise AssertionError\n")
    (tmp_path / "0001_teams.py").write_text(
        f'''"""Teams."""

def up(hub):
    hub.create_tesseract("{table_id}_teams", [{{"name": "id", "type": "string", "primary_key": True}}])

def down(hub):
    hub.remove_tesseract("{table_id}_teams")
'''
    )
    (tmp_path / "0002_members.toml").write_text(
        f'''[[up]]
create_table = {{ id = "{table_id}_members", columns = [{{ name = "id", type = "int64", primary_key = true }}] }}
[[up]]
rename_table = {{ "{table_id}_members" = "{table_id}_people" }}
'''
    )
    migrator = make(tmp_path)
    assert [each.name for each in migrator.migrations] == ["teams", "members"]
    migrator.up()
    assert names(hub, table_id) == [f"{table_id}_people", f"{table_id}_teams"]
    migrator.down(0)
    assert names(hub, table_id) == []
