"""Migrations of the schema against a real server: up, down, what is refused, and what stopped in the middle."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import AsyncEventHorizon, AsyncSchemaMigrator, NotFound, SchemaMigrationFailed
from tesseract_grpc.client.aio.schema_lock import AsyncSchemaLock
from tests.client.aio.support import Aside, pause

ID = {"name": "id", "type": "int64", "primary_key": True}
NAME = {"name": "name", "type": "string"}
EMAIL = {"name": "email", "type": "string"}

Make = Callable[..., AsyncSchemaMigrator]


@pytest.fixture
def make(hub: AsyncEventHorizon, table_id: str) -> Make:
    """Migrators with a history of their own."""

    def made(directory: Path | None = None, **options: Any) -> AsyncSchemaMigrator:
        return AsyncSchemaMigrator(hub, directory, history=f"{table_id}_history", **options)

    return made


async def names(hub: AsyncEventHorizon, prefix: str) -> list[str]:
    """The tables of this test, without the history."""
    found = [table.name for table in await hub.list_tesseracts()]
    return [name for name in found if name.startswith(prefix) and "_history" not in name]


async def states(migrator: AsyncSchemaMigrator) -> dict[int, str]:
    return {each.version: each.state for each in await migrator.status()}


async def reason_of(call: Callable[[], Awaitable[Any]]) -> SchemaMigrationFailed:
    with pytest.raises(SchemaMigrationFailed) as caught:
        await call()
    assert caught.value.hint
    return caught.value


def three_tables(migrator: AsyncSchemaMigrator, prefix: str) -> AsyncSchemaMigrator:
    for number in (3, 1, 2):  # whatever the order
        migrator.add_migration(
            number, [{"create_table": {"id": f"{prefix}_{number}", "columns": [ID]}}], name=f"t{number}"
        )
    return migrator


async def test_up_down_and_status(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    told: list[Any] = []
    migrator = three_tables(make(on_progress=told.append), table_id)
    assert await states(migrator) == {1: "pending", 2: "pending", 3: "pending"}
    assert await names(hub, table_id) == []
    done = await migrator.up(2)
    assert [(each.version, each.name, each.direction) for each in done] == [(1, "t1", "up"), (2, "t2", "up")]
    assert told == done
    assert await states(migrator) == {1: "applied", 2: "applied", 3: "pending"}
    assert [each.version for each in await migrator.up()] == [3]
    assert await migrator.up() == []
    assert await names(hub, table_id) == [f"{table_id}_{number}" for number in (1, 2, 3)]
    assert [(each.version, each.direction) for each in await migrator.down()] == [(3, "down")]
    assert [each.version for each in await migrator.migrate(1)] == [2]
    assert [each.version for each in await migrator.migrate(3)] == [2, 3]
    assert [each.version for each in await migrator.down(0)] == [3, 2, 1]
    assert await migrator.down() == []
    assert await names(hub, table_id) == []
    assert (await reason_of(lambda: migrator.up(7))).reason == "UNKNOWN_VERSION"


async def test_the_history_is_a_table(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    migrator = three_tables(make(), table_id)
    await migrator.up(2)
    await migrator.down()
    rows = await hub.query(table=f"{table_id}_history")
    assert [(row["entry"], row["version"], row["direction"], row["state"]) for row in rows] == [
        (1, 1, "up", "applied"),
        (2, 2, "up", "applied"),
        (3, 2, "down", "applied"),
    ]
    assert all(row["duration"] > 0 and row["applied_at"] is not None and row["checksum"] for row in rows)
    assert all("@" in row["applied_by"] for row in rows)
    assert await hub.query(table=f"{table_id}_history_lock") == []
    (one, *_) = await migrator.status()
    assert one.applied_at == rows[0]["applied_at"]
    assert one.reversible


async def test_functions_of_the_hub_and_of_the_table(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    """The style of the ancestor's guide: a new table, filled, in the place of the old one."""
    users = await hub.create_tesseract(table_id, [ID, NAME])
    await users.add([{"id": 1, "name": "Ada L"}, {"id": 2, "name": "Bob"}])
    migrator = make()

    async def add_email(table: Any, hub: Any) -> Any:
        new = await hub.create_tesseract(f"{table_id}_v2", [*table.columns, EMAIL])
        old = await table.get_data()
        await new.add([{**row, "email": row["name"].lower().replace(" ", ".") + "@example.com"} for row in old])
        await hub.remove_tesseract(table_id)
        return await hub.rename_tesseract(f"{table_id}_v2", table_id)

    async def add_label(hub: Any) -> None:
        label = {"name": "label", "expression": 'name + " <" + email + ">"'}
        table = await hub.get_tesseract(table_id)
        new = await hub.create_tesseract(f"{table_id}_v3", [*table.columns, label])
        await new.add(await table.get_data())
        await hub.remove_tesseract(table_id)
        await hub.rename_tesseract(f"{table_id}_v3", table_id)

    migrator.add_migration(2, add_email)
    migrator.add_migration(3, add_label)
    table = await migrator.migrate(table_id, 1, 3)
    assert [row["label"] for row in await table.get_data()] == ["Ada L <ada.l@example.com>", "Bob <bob@example.com>"]
    again = await migrator.migrate(table_id, 1, 3)  # nothing is left to do
    assert again.columns == table.columns
    assert [each.state for each in await migrator.status(table=table_id)] == ["applied", "applied"]
    error = await reason_of(lambda: migrator.migrate(table_id, 3, 1))
    assert error.reason == "IRREVERSIBLE"
    other = await hub.create_tesseract(f"{table_id}_other", [ID, NAME])
    failed = await reason_of(lambda: migrator.migrate(other.name, 7, 9))
    assert failed.reason == "UNKNOWN_VERSION"


async def test_what_the_caller_says_and_what_the_history_says(make: Make, table_id: str) -> None:
    migrator = three_tables(make(), table_id)
    with pytest.raises(NotFound):
        await migrator.migrate("nobody", 1, 2)
    assert [each.state for each in await migrator.status(table="nobody")] == ["applied", "applied", "pending"]
    assert (await reason_of(lambda: migrator.migrate("nobody", 3, 3))).reason == "VERSION_DIFFERS"


async def test_what_was_applied_must_stay(make: Make, table_id: str, tmp_path: Path) -> None:
    def write(number: int, **words: Any) -> None:
        (tmp_path / f"000{number}_step.json").write_text(json.dumps(words))

    write(1, up=[{"create_table": {"id": f"{table_id}_1", "columns": [ID]}}])
    write(2, up=[{"create_table": {"id": f"{table_id}_2", "columns": [ID]}}])
    await make(tmp_path).up()
    write(2, up=[{"create_table": {"id": f"{table_id}_2", "columns": [ID, NAME]}}])
    for call in (make(tmp_path).up, make(tmp_path).down, make(tmp_path).dry_run):
        error = await reason_of(call)
        assert (error.reason, error.field) == ("CHECKSUM_DRIFT", "0002_step.json")
    assert await states(make(tmp_path)) == {1: "applied", 2: "changed"}
    await make(tmp_path).mark(2, "applied")
    assert await states(make(tmp_path)) == {1: "applied", 2: "applied"}
    assert await make(tmp_path).up() == []
    (tmp_path / "0001_step.json").unlink()
    assert (await reason_of(lambda: make(tmp_path).up())).reason == "MISSING_MIGRATION"
    assert await states(make(tmp_path)) == {1: "missing", 2: "applied"}


async def test_numbers_do_not_come_late(make: Make, table_id: str) -> None:
    early = make()
    early.add_migration(5, [{"create_table": {"id": f"{table_id}_5", "columns": [ID]}}])
    await early.up()
    error = await reason_of(lambda: three_tables(early, table_id).up())
    assert error.reason == "OUT_OF_ORDER"
    assert "5" in error.message
    await early.mark(1, "applied")
    await early.mark(2, "applied")
    await early.mark(3, "applied")
    assert await early.up() == []


async def test_a_migration_that_fails_leaves_a_true_history(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    migrator = make()
    table = {"id": f"{table_id}_1", "columns": [ID]}
    migrator.add_migration(
        1, [{"create_table": table}, {"rename_table": {f"{table_id}_x": f"{table_id}_2"}}], name="two"
    )
    error = await reason_of(lambda: migrator.up())
    assert error.reason == "STEP_FAILED"
    assert "step 2 of 2" in error.message
    assert "rename table" in error.message
    assert isinstance(error.__cause__, NotFound)
    (status,) = await migrator.status()
    assert (status.state, f"{table_id}_x" in status.error) == ("failed", True)
    # The first step stands: the same call goes on with the second, once what it needs is there.
    assert (await reason_of(lambda: migrator.down())).reason == "HALF_DONE"
    assert (await reason_of(lambda: migrator.up())).reason == "STEP_FAILED"
    await hub.create_tesseract(f"{table_id}_x", [ID])
    assert [each.version for each in await migrator.up()] == [1]
    assert await names(hub, table_id) == [f"{table_id}_1", f"{table_id}_2"]
    rows = await hub.query(table=f"{table_id}_history")
    assert [(row["state"], row["attempt"], row["steps_done"], row["error"]) for row in rows] == [
        ("applied", 3, 2, None)
    ]


async def test_a_first_step_that_fails_leaves_nothing(make: Make, table_id: str) -> None:
    migrator = make()
    migrator.add_migration(1, [{"remove_table": f"{table_id}_x"}])
    assert "nothing of it was done" in (await reason_of(lambda: migrator.up())).hint
    changed = make()  # it may be corrected, for nothing of it was done
    changed.add_migration(1, [{"create_table": {"id": f"{table_id}_1", "columns": [ID]}}])
    assert len(await changed.up()) == 1


async def test_a_function_that_fails_is_not_called_again_by_itself(
    hub: AsyncEventHorizon, make: Make, table_id: str
) -> None:
    calls: list[int] = []

    async def up(hub: Any) -> None:
        calls.append(1)
        await hub.create_tesseract(f"{table_id}_{len(calls)}", [ID])
        if len(calls) < 2:
            raise ValueError("half way")

    def migrator() -> AsyncSchemaMigrator:
        made = make()
        made.add_migration(1, up, name="half")
        return made

    error = await reason_of(lambda: migrator().up())
    assert "ValueError: half way" in error.message
    assert "retry" in error.hint
    again = await reason_of(lambda: migrator().up())
    assert (again.reason, "ValueError: half way" in again.message) == ("HALF_DONE", True)
    assert len(calls) == 1
    assert len(await migrator().up(retry=True)) == 1
    assert await names(hub, table_id) == [f"{table_id}_1", f"{table_id}_2"]
    assert (await reason_of(lambda: migrator().down())).reason == "IRREVERSIBLE"
    await migrator().mark(1, "pending")
    assert await states(migrator()) == {1: "pending"}


async def test_who_was_killed_between_a_step_and_its_note(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    """The same request is sent again, under the same id, and is answered as it was then."""
    first = three_tables(make(), table_id)
    await first.up(1)
    history = await hub.get_tesseract(f"{table_id}_history")
    (row,) = await history.get_data()
    await history.update({"entry": row["entry"], "state": "running", "steps_done": 0, "duration": 0})
    second = three_tables(make(), table_id)
    assert (await second.status())[0].state == "interrupted"
    assert [each.version for each in await second.up(1)] == [1]  # the table is there, and nobody complains
    (row,) = await history.get_data()
    assert (row["state"], row["steps_done"], row["attempt"]) == ("applied", 1, 1)


async def test_two_migrators_do_not_run_at_once(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    running: list[str] = []

    async def slow(hub: Any) -> None:
        running.append("begin")
        await pause(0.4)
        running.append("end")

    def migrator(version: int) -> AsyncSchemaMigrator:
        made = make()
        made.add_migration(1, slow)
        made.add_migration(2, slow)
        return made

    async def up() -> int:
        return len(await migrator(2).up())

    one, two = Aside(up), Aside(up)
    assert sorted([await one.result(), await two.result()]) == [0, 2]
    assert running == ["begin", "end"] * 2


async def test_a_lock_is_waited_for_and_taken_over(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    await three_tables(make(), table_id).up(1)  # the tables of history and lock
    table = await hub.get_tesseract(f"{table_id}_history_lock")
    async with AsyncSchemaLock(table, 5.0, 5.0):
        error = await reason_of(lambda: three_tables(make(lock_timeout=0.3), table_id).up())
        assert error.reason == "LOCKED"
        assert "@" in error.message
    now = (await table.get_data()).to_list()
    assert now == []
    await table.add({"id": "migrations", "owner": "a ghost", "since": "2024-05-01T12:00:00Z", "beat": 3})
    migrator = three_tables(make(lock_timeout=5, lease=0.3), table_id)
    assert [each.version for each in await migrator.up(2)] == [2]  # it gave no sign of life
    assert (await table.get_data()).to_list() == []


async def test_a_lock_that_was_lost_stops_the_migrator(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    async def robbed(hub: Any) -> None:
        table = await hub.get_tesseract(f"{table_id}_history_lock")
        await table.update({"id": "migrations", "owner": "somebody else"})

    migrator = make()
    migrator.add_migration(1, robbed)
    migrator.add_migration(2, [{"create_table": {"id": f"{table_id}_2", "columns": [ID]}}])
    assert (await reason_of(lambda: migrator.up())).reason == "LOCK_LOST"
    assert await names(hub, table_id) == []
    assert (await states(migrator))[1] == "interrupted"
    assert [row["owner"] for row in await hub.query(table=f"{table_id}_history_lock")] == ["somebody else"]


async def test_a_dry_run_does_nothing(hub: AsyncEventHorizon, make: Make, table_id: str) -> None:
    async def up(hub: Any) -> None:
        raise AssertionError

    taken = await hub.create_tesseract(f"{table_id}_taken", [ID])
    migrator = make()
    migrator.add_migration(1, [{"create_table": {"id": f"{table_id}_1", "columns": [ID]}}], name="one")
    migrator.add_migration(2, [{"create_table": {"id": taken.name, "columns": [ID]}}, {"remove_table": taken.name}])
    migrator.add_migration(3, up)
    planned = await migrator.dry_run()
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
    assert await names(hub, table_id) == [taken.name]
    with pytest.raises(NotFound):
        await hub.get_tesseract(f"{table_id}_history")
    assert [each.version for each in await migrator.dry_run(1)] == [1]


async def test_files_of_python(hub: AsyncEventHorizon, make: Make, table_id: str, tmp_path: Path) -> None:
    (tmp_path / "_helper.py").write_text("raise AssertionError\n")
    (tmp_path / "0001_teams.py").write_text(
        f'''"""Teams."""

async def up(hub):
    await hub.create_tesseract("{table_id}_teams", [{{"name": "id", "type": "string", "primary_key": True}}])

async def down(hub):
    await hub.remove_tesseract("{table_id}_teams")
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
    await migrator.up()
    assert await names(hub, table_id) == [f"{table_id}_people", f"{table_id}_teams"]
    await migrator.down(0)
    assert await names(hub, table_id) == []
