"""Snapshots of hubs: as bytes, and back; written while the hub goes on, when they are due, and in spite of failures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Condition, Write, WriteKind
from tesseract_grpc.engine.data.commit_log import CommitLog, LogDamaged, LogEntry, LogFailed, StoredSnapshot
from tesseract_grpc.engine.data.errors import CommitRefused
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live import hub_image
from tesseract_grpc.engine.live.image import Ending, Piece
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, SessionSource
from tesseract_grpc.server.changes import BEHAVIOURS
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.snapshots import rows as rows_codec
from tesseract_grpc.server.snapshots import task as snapshot_task
from tesseract_grpc.server.snapshots.container import Kind, from_json, opened, pack, piece, to_json, unpack
from tesseract_grpc.server.snapshots.definitions import KeptNote
from tesseract_grpc.server.snapshots.restore import restore, restore_newest
from tesseract_grpc.server.snapshots.rows import encode_piece
from tesseract_grpc.server.snapshots.state import LastStep, encode_head, encode_last
from tesseract_grpc.server.snapshots.task import Snapshots
from tesseract_grpc.store.memory_log import MemoryLog
from tesseract_grpc.store.sqlite_log import SqliteLog
from tests.engine.images import Twins, same_state
from tests.engine.small import small_thresholds
from tests.engine.test_image import fill, goes_on, imaged
from tests.engine.world import World


def host_of(hub: Hub | None = None, name: str = "test", **options: Any) -> Host:
    host = Host(name, ServerConfig(hubs=(name,), **options), lambda: 1_000.0, BEHAVIOURS, None)
    host.hub = hub or Hub(name, epoch="e")
    return host


def written(host: Host, image: list[Piece | Ending], position: int = 7, **extra: bytes) -> list[bytes]:
    """A snapshot as bytes."""
    pieces = [encode_head(host.name)]
    for each in image:
        if isinstance(each, Ending):
            notes = {name: KeptNote(n.description, n.create_time) for name, n in host.table_notes.items()}
            last = LastStep(host.name, position, each, notes, {}, host.memory.answers(), extra)
            pieces.extend(encode_last(last))
        else:
            pieces.extend(encode_piece(each))
    return pieces


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_image, "CELLS", 1)
    monkeypatch.setattr(hub_image, "SMALLEST", 3)
    monkeypatch.setattr(hub_image, "FEW", 1)
    monkeypatch.setattr(rows_codec, "PIECE_BYTES", 2)


@pytest.mark.usefixtures("slices")
@pytest.mark.parametrize("seed", range(20, 25))
def test_a_hub_from_the_bytes_of_its_image_is_the_hub(seed: int) -> None:
    rng = Random(seed)
    with small_thresholds():
        world = World()
        world.start(rng)
        fill(world, rng)
        content = written(host_of(world.hub), imaged(world, rng))
        other = host_of(Hub("test", epoch="test", limits=world.hub.limits))
        found = restore(other, StoredSnapshot(7, iter(content)))
        assert (found.position, found.version) == (7, world.hub.version)
        other.hub.check()
        same_state(world.hub, other.hub)
        goes_on(world, Twins(world.hub, other.hub), rng, 10)
        other.hub.check()


SHORT = Limits(history=HistoryLimits(1, 1_000))
"""A history of one commit: two records are replayed for it."""


def people(count: int, texts: int = 7, name: str = "people", limits: Limits | None = None) -> Hub:
    hub = Hub("test", epoch="e", limits=limits)
    columns = (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("age", DataType.INT64),
        ColumnSchema("score", DataType.FLOAT64),
        ColumnSchema("born", DataType.TIMESTAMP),
        ColumnSchema("active", DataType.BOOL),
    )
    hub.create_table(name, TableSchema(columns), [IndexSchema("age")])
    hub.commit([Write(name, WriteKind.INSERT, some_people(hub, 0, count, texts, name))])
    return hub


def some_people(hub: Hub, start: int, count: int, texts: int = 7, name: str = "people") -> Batch:
    rows = [
        {
            "id": key,
            "name": f"name {key % texts}",
            "age": None if key % 5 == 0 else key % 90,
            "score": float("nan") if key % 3 == 0 else key / 7,
            "born": key * 1_000_000,
            "active": key % 2 == 0,
        }
        for key in range(start, start + count)
    ]
    return Batch.of_rows(hub.table(name).schema.columns, rows)


def restored(log: CommitLog, **options: Any) -> Host:
    host, stored = host_of(**options), log.load_snapshot()
    assert stored is not None
    restore(host, stored)
    return host


def logged(log: CommitLog, count: int) -> CommitLog:
    for _ in range(count):
        log.append(LogEntry(log.last + 1, 1, b"record"))
    log.flush()
    return log


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CommitLog]:
    made: CommitLog = MemoryLog() if request.param == "memory" else SqliteLog(tmp_path)
    yield logged(made, 3)
    made.close()


async def test_what_the_server_knows_comes_along(log: CommitLog) -> None:
    host = host_of(people(5))
    host.table_notes["people"] = host.note("who is there")
    host.hub.open_session(Query("people"), "everybody")
    host.hub.open_session(Query("people"), "anonymous-1")
    host.session_notes["everybody"] = host.note("all of them")
    host.lifetimes.begin("anonymous-1", 5.0)
    request = twin.table_service.WriteRequest(request_id="once")
    answer = host.memory.once(request, lambda: twin.table_service.WriteResponse(version=3))
    snapshots = Snapshots(host, log, lambda: 3, lambda: {"journal": b"\0\1"})
    assert await snapshots.write() == 3
    await snapshots.close()
    stored = log.load_snapshot()
    assert stored is not None
    other = host_of()
    found = restore(other, stored)
    assert found.extra == {"journal": b"\0\1"} and found.position == 3
    assert other.hub.sessions.keys() == {"everybody"}, "an anonymous session is of one process"
    assert other.table_notes == host.table_notes and other.session_notes == host.session_notes
    assert other.memory.recall(request) == answer and type(other.memory.recall(request)) is type(answer)
    host.lifetimes.close()


async def test_writes_go_on_while_a_snapshot_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub_image, "CELLS", 1_000)
    monkeypatch.setattr(snapshot_task, "STEP", 0.0)
    host, log = host_of(people(20_000)), logged(SqliteLog(tmp_path), 3)
    hub, position = host.hub, 3
    snapshots = Snapshots(host, log, lambda: position)
    writing = asyncio.create_task(snapshots.write())
    key = 0
    while not writing.done():
        await asyncio.sleep(0)
        key += 1
        rows = some_people(hub, key * 37 % 25_000, 3)
        hub.commit([Write("people", WriteKind.UPSERT, rows)])
        hub.commit([Write("people", WriteKind.DELETE, Batch(1, {"id": rows.columns["id"].slice(0, 1)}))])
        position = logged(log, 1).last
    at = await writing
    await snapshots.close()
    assert key > 20 and at > 10, "it was taken in one step"
    other = restored(log)
    replay(other.hub, at - 3, key)
    same_state(hub, other.hub)
    other.hub.check()
    log.close()


def replay(hub: Hub, done: int, until: int) -> None:
    for key in range(done + 1, until + 1):
        rows = some_people(hub, key * 37 % 25_000, 3)
        hub.commit([Write("people", WriteKind.UPSERT, rows)])
        hub.commit([Write("people", WriteKind.DELETE, Batch(1, {"id": rows.columns["id"].slice(0, 1)}))])


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("options", [{"snapshot_records": 4}, {"snapshot_bytes": 400}])
async def test_snapshots_are_written_when_they_are_due_and_the_log_forgets(options: Any, log: CommitLog) -> None:
    host, position = host_of(people(3, limits=SHORT), **options), 3
    snapshots = Snapshots(host, log, lambda: position)
    await snapshots.write()
    running = asyncio.create_task(snapshots.run())
    for number in range(1, 4):
        for _ in range(4):
            assert not snapshots._due.is_set(), "it is early"
            position = logged(log, 1).last
            snapshots.applied(100)
        wanted = position
        await until(lambda wanted=wanted: snapshots.newest is not None and snapshots.newest.position == wanted)
        older = 3 + 4 * (number - 1)
        await until(lambda older=older: log.since == older)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await snapshots.close()


class Full(MemoryLog):
    """A log that has no room for snapshots for a while."""

    full = True

    def begin_snapshot(self) -> Any:
        writer: Any = super().begin_snapshot()
        if self.full:
            writer.keep = fails
        return writer


def fails(position: int) -> None:
    raise LogFailed(f"there is no room at {position}")


async def test_a_snapshot_that_fails_is_tried_again() -> None:
    log, host = Full(), host_of(people(3), snapshot_records=1)
    logged(log, 3)
    snapshots = Snapshots(host, log, lambda: 3, retry=0.01)
    running = asyncio.create_task(snapshots.run())
    snapshots.applied(1)
    await until(lambda: snapshots.failure)
    assert "no room" in snapshots.failure and log.newest_snapshot is None
    log.full = False
    await until(lambda: log.newest_snapshot is not None and not snapshots.failure)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await snapshots.close()
    assert not host.hub._sources["people"].watches


async def test_a_damaged_snapshot_falls_back_to_the_one_before(tmp_path: Path) -> None:
    log, host = SqliteLog(tmp_path), host_of(people(30))
    logged(log, 3)
    await Snapshots(host, log, lambda: 3).write()
    host.hub.commit([Write("people", WriteKind.DELETE, Batch(1, {"id": some_people(host.hub, 1, 1).columns["id"]}))])
    logged(log, 1)
    await Snapshots(host, log, lambda: 4).write()
    assert restored(log).hub.table("people").row_count == 29
    file = tmp_path / "snapshot-4"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    other = host_of()
    stored = log.load_snapshot()
    assert stored is not None and restore(other, stored).position == 3 and other.hub.table("people").row_count == 30
    log.close()


async def test_recovery_starts_where_enough_records_follow() -> None:
    log, limits = MemoryLog(), Limits(history=HistoryLimits(10, 1_000))
    host = host_of(people(3, limits=limits))
    for _ in range(20):
        logged(log, 7)
        await Snapshots(host, log, lambda: log.last).write()
        found = restore_newest(host_of(Hub("test", epoch="e", limits=limits)), log)
        if log.last < 7 + 20:
            assert found is None and not log.since, "all records are there"
        else:
            assert found is not None and log.last - 20 - 7 < found.position <= log.last - 20


def head(**values: Any) -> bytes:
    return piece(Kind.HEAD, to_json({"format": 1, "hub": "test", **values}))


GOOD = written(host_of(people(4)), list(people(4).image().pieces()))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "not a valid Kind"),
        ([head(format=99), *GOOD[1:]], "use a newer one"),
        ([head(hub="other"), *GOOD[1:]], "one of hub 'other'"),
        (GOOD[1:], "no head"),
        (GOOD[:-1], "no end"),
        ([GOOD[0], *GOOD[2:]], "has not begun"),
        ([*GOOD[:2], GOOD[1], *GOOD[2:]], "begins twice"),
        ([*GOOD[:2], *GOOD[3:]], "after the last|restored"),
        ([*GOOD[:-1], piece(Kind.END, to_json({"position": 8, "version": 2, "now": 0}))], "of position 8"),
        ([*GOOD[:-1], piece(Kind.SESSION, b"\5\0\0\0ab"), GOOD[-1]], "ends within a value"),
    ],
)
def test_what_is_no_snapshot_of_this_hub_is_refused(content: list[bytes], says: str) -> None:
    if content == [*GOOD[:2], *GOOD[3:]]:  # rows that are missing are not noticed here: the file knows its pieces
        assert restore(host_of(), StoredSnapshot(7, iter(content))).position == 7
        return
    with pytest.raises(LogDamaged, match=says):
        restore(host_of(), StoredSnapshot(7, iter(content)))


def test_queries_of_queries_are_kept_however_deep(log: CommitLog) -> None:
    host = host_of(people(4))
    query = Query("people")
    host.hub.open_session(query, "s0")
    for depth in range(1, 25):
        host.hub.open_session(Query(source=SessionSource(f"s{depth - 1}")), f"s{depth}")
    host.hub.edit_session("s3", Query("people", columns=("name",)))
    host.hub.close_session("s5")
    other = host_of()
    restore(other, StoredSnapshot(7, iter(written(host, list(host.hub.image().pieces())))))
    same_state(host.hub, other.hub)
    closed = other.hub.session("s24").resolved.query
    for _ in range(24):
        assert isinstance(closed.source, QuerySource)
        closed = closed.source.query
    assert closed == query


def test_packing() -> None:
    assert unpack(pack([b"", b"ab", bytes(300)])) == [b"", b"ab", bytes(300)]
    assert unpack(b"") == []
    with pytest.raises(ValueError, match="within a length"):
        unpack(b"\1\0")
    with pytest.raises(ValueError, match="no object"):
        from_json(b"[]")
    kind, content = opened(piece(Kind.GONE, b"x"))
    assert kind is Kind.GONE and bytes(content) == b"x"


EXTREMES = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("part", DataType.STRING, primary_key=True),
        ColumnSchema("x", DataType.FLOAT64),
        ColumnSchema("n", DataType.INT64),
        ColumnSchema("t", DataType.TIMESTAMP, default_expression="now()"),
        ColumnSchema("j", DataType.JSON),
        ColumnSchema("e", DataType.ENUM, enum_values=("low", "high", "")),
        ColumnSchema("b", DataType.BOOL, required=True, default=True),
        ColumnSchema("late", DataType.BOOL, expression="t < now() - 2000"),
    )
)


def test_values_at_their_limits_and_what_was_worked_out_once() -> None:
    hub = Hub("test", epoch="e")
    hub.tick(5_000_000)
    hub.create_table("extremes", EXTREMES, [IndexSchema("n"), IndexSchema("e")])
    hub.create_table("empty", EXTREMES)
    most, least = 2**63 - 1, -(2**63)
    rows: list[dict[str, Any]] = [
        {"id": most, "part": "", "x": float("nan"), "n": least, "j": "null", "e": ""},
        {"id": least, "part": "é\0", "x": None, "n": most, "j": None, "e": None},
        {"id": 0, "part": "z" * 500, "x": float("inf"), "n": None, "j": '{"a": [1, "x"]}', "e": "high"},
        {"id": 0, "part": "a", "x": -0.0, "n": 0, "j": '""', "e": "low"},
        {"id": 1, "part": "gone", "x": 5e-324, "n": 1, "j": "1", "e": "low"},
    ]

    def write(to: Hub, kind: WriteKind, what: list[dict[str, Any]], condition: Condition | None = None) -> int:
        batch = Batch.of_rows(EXTREMES.columns, what)
        return to.commit([Write("extremes", kind, batch, condition=condition)]).version

    write(hub, WriteKind.INSERT, rows)
    hub.tick(6_000_000)
    write(hub, WriteKind.DELETE, [{"id": 1, "part": "gone"}, {"id": least, "part": "é\0"}])
    write(hub, WriteKind.INSERT, [rows[1]])  # now it is the last
    updated = write(hub, WriteKind.UPDATE, [{"id": 0, "part": "a", "n": 7}])
    other = host_of()
    restore(other, StoredSnapshot(7, iter(written(host_of(hub), list(hub.image().pieces())))))
    same_state(hub, other.hub)
    other.hub.check()
    table = other.hub.table("extremes")
    assert table.batch(table.live_slots(), (0,)).to_rows() == [{"id": key} for key in (most, 0, 0, least)]
    for each in (hub, other.hub):
        with pytest.raises(CommitRefused):
            write(each, WriteKind.UPDATE, [{"id": 0, "part": "a", "n": 8}], Condition(if_version=updated - 1))
        write(each, WriteKind.UPDATE, [{"id": 0, "part": "a", "n": 8}], Condition(if_version=updated))
        write(each, WriteKind.INSERT, [{"id": 2, "part": "late"}])
        each.tick(9_000_000)
    same_state(hub, other.hub)
