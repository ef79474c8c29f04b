"""A table of each real database comes over whole: types, keys, pages, resuming, and what the comparison finds."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tesseract_grpc.client import (
    AsyncEventHorizon,
    EventHorizon,
    MigrationFailed,
    MigrationOptions,
    MigrationProgress,
    WriteBatch,
)
from tesseract_grpc.client.migrate.checksum import Checksum
from tesseract_grpc.client.migrate.reading import Reader
from tesseract_grpc.testing.serving import RunningServer
from tests.migrate.conftest import Source

ROWS = 257
"""Not a multiple of a batch or of a page."""


def make_orders(source: Source, name: str, rows: int = ROWS) -> None:
    """A table with a key of two columns, in another order than the columns, and all that is common to the databases."""
    moment = "TIMESTAMP" if source.kind == "postgresql" else "DATETIME"
    source.run(
        f"CREATE TABLE {name} (note VARCHAR(40), line INTEGER NOT NULL, region VARCHAR(8) NOT NULL, "
        f"price NUMERIC(10, 2), ok BOOLEAN, at {moment}, PRIMARY KEY (region, line))",
        f"CREATE INDEX {name}_note ON {name} (note)",
    )
    values = [
        f"({'NULL' if at % 5 == 0 else repr(f'note {at}')}, {at // 4}, '{'nesw'[at % 4]}', {at}.25, "
        f"{'true' if at % 2 else 'false'}, {'NULL' if at % 7 == 0 else repr(f'2024-03-01 10:00:{at % 60:02}')})"
        for at in range(rows)
    ]
    for start in range(0, rows, 500):
        source.run(
            f"INSERT INTO {name} (note, line, region, price, ok, at) VALUES " + ",".join(values[start : start + 500])
        )


def order(at: int) -> dict[str, Any]:
    """What the hub must have of a row."""
    return {
        "region": "nesw"[at % 4],
        "line": at // 4,
        "note": None if at % 5 == 0 else f"note {at}",
        "price": at + 0.25,
        "ok": bool(at % 2),
        "at": None if at % 7 == 0 else datetime(2024, 3, 1, 10, 0, at % 60, tzinfo=UTC),
    }


def by_key(rows: Any) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["region"], row["line"]))


def test_a_table_comes_over_whole(source: Source, name: str, hub: EventHorizon) -> None:
    make_orders(source, name)
    told: list[MigrationProgress] = []
    result = hub.migrate_from(source.url, name, batch=10, on_progress=told.append)
    assert (result.rows, result.verified, result.resumed_at, result.warnings) == (ROWS, True, 0, ())
    table = hub.get_tesseract(name)
    assert table.key == ("region", "line")
    assert [column["name"] for column in table.columns if column.get("index")] == ["note"]
    assert by_key(table.get_data()) == by_key(order(at) for at in range(ROWS))
    assert told[-1].phase == "verifying" or told[-1].rows == ROWS
    assert {progress.total for progress in told} == {ROWS}
    assert [p.rows for p in told if p.phase == "copying"][-1] == ROWS


async def test_asyncio_does_the_same(source: Source, name: str, server: RunningServer) -> None:
    make_orders(source, name, 50)
    async with AsyncEventHorizon.connect(server.address) as hub:
        result = await hub.migrate_from(source.url, name, to=f"{name}_aio", rename={"note": "remark"}, exclude=["ok"])
        assert (result.table, result.rows, result.verified) == (f"{name}_aio", 50, True)
        rows = await (await hub.get_tesseract(f"{name}_aio")).get_data()
        assert {frozenset(row) for row in rows} == {frozenset({"region", "line", "remark", "price", "at"})}


def test_pages_are_asked_for_by_key_and_never_by_offset(
    source: Source, name: str, hub: EventHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.engine import Connection

    make_orders(source, name)
    asked: list[str] = []
    original = Connection.execute

    def execute(self: Connection, statement: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(statement.compile(self.engine)).upper() if hasattr(statement, "compile") else str(statement))
        return original(self, statement, *rest, **more)

    monkeypatch.setattr(Connection, "execute", execute)
    monkeypatch.setattr("tesseract_grpc.client.migrate.reading.PAGE_BATCHES", 2)
    hub.migrate_from(source.url, name, batch=10)
    pages = [text for text in asked if "ORDER BY" in text and name.upper() in text.partition("WHERE")[0]]
    assert len(pages) == ROWS // 20 + 1
    assert all("LIMIT" in text for text in pages)
    # For SQLite, SQLAlchemy writes `LIMIT n OFFSET 0`, always 0.
    assert source.kind == "sqlite" or [text for text in asked if "OFFSET" in text] == []
    assert sum("WHERE" in text for text in pages) == len(pages) - 1


def test_a_query_comes_over(source: Source, name: str, hub: EventHorizon) -> None:
    make_orders(source, name)
    text = (
        f"SELECT line, price * 2 AS twice, note FROM {name} WHERE region = 'n' AND COALESCE(note, '') NOT LIKE 'x%:y' ;"
    )
    result = hub.migrate_from(source.url, query=text, key="line", to=name, types={"twice": "float64"})
    assert (result.rows, result.verified) == (65, True)
    rows = sorted(hub.get_tesseract(name).get_data(), key=lambda row: row["line"])
    assert rows[1] == {"line": 1, "twice": 8.5, "note": "note 4"}


def test_a_query_cannot_write(source: Source, name: str, hub: EventHorizon) -> None:
    make_orders(source, name, 3)
    with pytest.raises(MigrationFailed):
        hub.migrate_from(source.url, query=f"DELETE FROM {name}", key="line", to=name)
    assert hub.migrate_from(source.url, name).rows == 3


@pytest.mark.parametrize("stop_after", [1, 7])
def test_an_interrupted_migration_goes_on(
    source: Source, name: str, hub: EventHorizon, tmp_path: Path, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_orders(source, name)
    state = tmp_path / "state.json"
    batches = Reader.batches

    def broken(self: Reader, *given: Any, **more: Any) -> Any:
        for at, batch in enumerate(batches(self, *given, **more)):
            if at == stop_after:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patched:
        patched.setattr(Reader, "batches", broken)
        with pytest.raises(KeyboardInterrupt):
            hub.migrate_from(source.url, name, batch=10, state=state)
    kept = json.loads(state.read_text())
    assert kept["checksum"]["count"] <= stop_after * 10
    assert "s3cret" not in state.read_text()

    result = hub.migrate_from(source.url, name, batch=10, state=state)
    assert (result.rows, result.resumed_at, result.verified) == (ROWS, kept["checksum"]["count"], True)
    assert by_key(hub.get_tesseract(name).get_data()) == by_key(order(at) for at in range(ROWS))
    assert not state.exists()


async def test_a_task_that_is_cancelled_leaves_what_can_be_resumed(
    source: Source, name: str, server: RunningServer, tmp_path: Path
) -> None:
    make_orders(source, name)
    state = tmp_path / "state"
    begun = asyncio.Event()

    def tell(progress: MigrationProgress) -> None:
        if progress.rows:
            begun.set()

    async with AsyncEventHorizon.connect(server.address) as hub:
        task = asyncio.create_task(hub.migrate_from(source.url, name, batch=1, state=state, on_progress=tell))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        result = await hub.migrate_from(source.url, name, state=state)
        assert 0 < result.resumed_at < result.rows == ROWS
        assert by_key(await (await hub.get_tesseract(name)).get_data()) == by_key(order(at) for at in range(ROWS))


def test_rows_are_of_one_moment_while_others_write(source: Source, name: str, hub: EventHorizon) -> None:
    make_orders(source, name)
    if source.kind == "sqlite":
        source.run("PRAGMA journal_mode = WAL")
    written: list[int] = []

    def write(progress: MigrationProgress) -> None:
        if not written:
            written.append(progress.rows)
            source.run(
                f"DELETE FROM {name} WHERE region = 'w'",
                f"UPDATE {name} SET note = 'changed'",
                f"INSERT INTO {name} (region, line) VALUES ('zz', 1)",
            )

    assert hub.migrate_from(source.url, name, batch=5, on_progress=write).verified
    assert written[0] < ROWS / 2, "it was through before anybody wrote"
    assert by_key(hub.get_tesseract(name).get_data()) == by_key(order(at) for at in range(ROWS))


def test_mariadb_can_be_called_by_its_name(mariadb_server: Source, name: str, hub: EventHorizon) -> None:
    make_orders(mariadb_server, name)
    assert hub.migrate_from(mariadb_server.url.replace("mysql:", "mariadb:"), name).rows == ROWS


@pytest.mark.parametrize("harm", ["update", "delete"])
def test_what_changed_between_two_runs_is_found(
    source: Source, name: str, hub: EventHorizon, tmp_path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_orders(source, name)
    batches = Reader.batches

    def broken(self: Reader, *given: Any, **more: Any) -> Any:
        for at, batch in enumerate(batches(self, *given, **more)):
            if at == 20:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patched:
        patched.setattr(Reader, "batches", broken)
        with pytest.raises(KeyboardInterrupt):
            hub.migrate_from(source.url, name, batch=10, state=tmp_path / "state")
    change = f"UPDATE {name} SET note = 'other'" if harm == "update" else f"DELETE FROM {name}"
    source.run(f"{change} WHERE region = 'e' AND line = 1")
    with pytest.raises(MigrationFailed) as failed:
        hub.migrate_from(source.url, name, batch=10, state=tmp_path / "state")
    assert failed.value.reason == "MISMATCH"
    said = {
        "update": "1 row differs (keys e/1; columns: note in 1)",
        "delete": "1 row of the hub is not in the database (keys e/1)",
    }
    assert said[harm] in failed.value.message


@pytest.mark.parametrize("harm", ["update", "remove", "add"])
def test_the_comparison_names_what_differs(
    source: Source, name: str, hub: EventHorizon, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_orders(source, name)
    key = {"region": "s", "line": 7}

    def meddle(progress: MigrationProgress) -> None:
        if progress.rows == ROWS and progress.phase == "copying":
            table = hub.get_tesseract(name)
            batch = WriteBatch()
            if harm == "update":
                batch.update(table, {**key, "price": 0.0, "note": "?"})
            elif harm == "remove":
                batch.remove(table, [key])
            else:
                batch.add(table, {"region": "x", "line": 1})
            hub.write(batch)

    with pytest.raises(MigrationFailed) as failed:
        hub.migrate_from(source.url, name, on_progress=meddle)
    assert failed.value.reason == "MISMATCH"
    said = {
        "update": "the sums of note, price differ: 1 row differs (keys s/7; columns: note in 1, price in 1)",
        "remove": "1 row of the database is missing in the hub (keys s/7)",
        "add": "1 row of the hub is not in the database (keys x/1)",
    }
    assert said[harm] in failed.value.message


def test_batches_that_are_too_large_for_a_message_are_cut(
    sqlite_file: Source, name: str, hub: EventHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_orders(sqlite_file, name)
    monkeypatch.setattr("tesseract_grpc.client.sync.migration.SHARE_OF_MESSAGE", 0.0001)
    before = hub.info().version
    assert hub.migrate_from(sqlite_file.url, name, batch=ROWS).verified
    assert hub.info().version - before > 4


def test_an_existing_table_must_fit_and_be_empty(source: Source, name: str, hub: EventHorizon) -> None:
    make_orders(source, name, 4)
    columns: list[dict[str, Any]] = [
        {"name": "line", "type": "string", "primary_key": True},
        {"name": "note", "type": "string"},
    ]
    hub.create_tesseract(name, columns)
    with pytest.raises(MigrationFailed) as failed:
        hub.migrate_from(source.url, name)
    assert failed.value.reason == "TABLE_DIFFERS"
    for part in ("its key is (line)", "'line' is string there and int64 here", "no column 'price'"):
        assert part in failed.value.message
    options: MigrationOptions = {"to": f"{name}_2"}  # type: ignore[typeddict-unknown-key]
    assert hub.migrate_from(source.url, name, **options).rows == 4
    with pytest.raises(MigrationFailed, match="has 4 rows already"):
        hub.migrate_from(source.url, name, **options)


def test_checksums_do_not_depend_on_order_but_on_rows(hub: EventHorizon, name: str) -> None:
    table = hub.create_tesseract(
        name, [{"name": "k", "type": "int64", "primary_key": True}, {"name": "v", "type": "json"}]
    )
    rows: list[dict[str, Any]] = [{"k": at, "v": None if at % 3 == 0 else {"x": at % 4}} for at in range(50)]
    sums = []
    for given in (rows, rows[::-1], [{**row, "k": 49 - row["k"]} for row in rows]):
        table.remove(filter="k >= 0")
        table.add(given)
        found = Checksum()
        for block in table.get_data().blocks:
            found.add(Checksum.of(block, ("k",)))
        sums.append(found)
    assert sums[0] == sums[1]
    assert sums[0].differing(sums[2]) == ["v"]
    assert Checksum.of_json(json.loads(json.dumps(sums[0].to_json()))) == sums[0]
