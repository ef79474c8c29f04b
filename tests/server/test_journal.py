"""The journal: what is proposed is logged, flushed in groups, and only then seen; what happens when the log fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from tesseract_grpc._proto.tesseract.v1 import schema_pb2
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.engine.data.commit_log import Durability, LogDamaged, LogFailed
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.server import ServerConfig
from tesseract_grpc.server.changes import BEHAVIOURS
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.journal import JournalState
from tesseract_grpc.server.records import Kind, Moment, Record, decode_record
from tesseract_grpc.store.memory_log import MemoryLog
from tesseract_grpc.store.sqlite_log import SqliteLog
from tests import wire

TYPES = {"id": "int64", "n": "int64"}


class ScriptedLog(MemoryLog):
    """A log whose flushes wait to be let through, or fail; it calls itself durable."""

    durability = Durability.FSYNC

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.groups: list[int] = []
        self.failing = False
        self.bug: Exception | None = None
        self.kept_by_failure = 0

    def flush(self) -> int:
        """Waits for the gate. A failing flush may have brought some of its entries to the disk all the same."""
        assert self.gate.wait(10)
        if self.bug is not None:
            raise self.bug
        if self.failing:
            keep = self.durable + self.kept_by_failure
            while self._entries and self._entries[-1].position > keep:
                self._entries.pop()
            raise LogFailed("no space left on device")
        self.groups.append(self.last - self.durable)
        return super().flush()

    def reopen(self) -> None:
        """Tries again; finds what the failed flush left."""
        if self.bug is not None:
            raise self.bug
        if self.failing:
            raise LogFailed("still no space left on device")
        self.last = self.durable = self._entries[-1].position if self._entries else self.since


@asynccontextmanager
async def serving(log: Any, **options: Any) -> AsyncIterator[Host]:
    """A host over a log, with a table."""
    config = ServerConfig(**options)
    host = Host("default", config, lambda: 1_000.0, BEHAVIOURS, log)
    await host.journal.recover()
    host.journal.start()
    try:
        yield host
    finally:
        await host.journal.close(1.0)


def twinned(request: Any) -> Any:
    """A public message as the server reads it."""
    return twin.message_class(request.DESCRIPTOR.full_name).FromString(request.SerializeToString())


def table(name: str = "t") -> Any:
    """Asks for a table of a key and a number."""
    definition = schema_pb2.Table(columns=wire.columns(TYPES, ("id",)))
    return twinned(pb.CreateTableRequest(table_id=name, table=definition))


def insert(id: int, n: int = 0, **fields: Any) -> Any:
    """Asks to insert one row."""
    rows = wire.batch([{"id": id, "n": n}], TYPES)
    operation = pb.WriteOperation(table="t", insert=pb.Insert(rows=rows))
    return twinned(pb.WriteRequest(operations=[operation], **fields))


def rows(host: Host) -> list[int]:
    """The keys that are in the table, in order."""
    return [cast(int, row["id"]) for row in host.hub.query(Query("t")).rows.to_rows()]


async def wait_until(reached: Callable[[], bool]) -> None:
    """Waits until something is so, at most ten seconds."""
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 (nothing tells when)
            await asyncio.sleep(0.01)


async def turns(count: int = 20) -> None:
    """Lets everything that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0.005)


async def test_what_is_not_flushed_is_seen_by_nobody_and_what_is_seen_is_flushed() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        log.gate.clear()
        waiting = asyncio.ensure_future(host.journal.propose(insert(1)))
        await turns()
        assert rows(host) == []
        assert not waiting.done()
        assert log.durable == 1
        log.gate.set()
        response = await waiting
        assert rows(host) == [1]
        assert response.durability == pb.DURABILITY_FSYNC
        assert host.hub.version == response.version == 2


async def test_changes_that_wait_together_are_flushed_together_and_applied_in_order() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        log.gate.clear()
        first = host.journal.offer(insert(0))
        await turns(2)
        rest = [host.journal.offer(insert(id)) for id in range(1, 50)]
        await turns(2)
        log.gate.set()
        versions = [response.version for response in await asyncio.gather(first, *rest)]
        assert versions == list(range(2, 52))
        assert log.groups == [1, 1, 49]
        assert rows(host) == list(range(50))
        assert host.journal.position == log.last == 51


async def test_a_refused_change_stays_in_the_log_and_is_refused_again() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        await host.journal.propose(insert(1, request_id="one"))
        with pytest.raises(EngineError, match="exists"):
            await host.journal.propose(insert(1, 7))
        await host.journal.propose(insert(2))
        assert (host.journal.position, host.hub.version) == (4, 3)
    again = ScriptedLog()
    again._entries, again.last, again.durable = log._entries, log.last, log.durable
    async with serving(again) as host:
        assert (host.journal.position, host.hub.version) == (4, 3)
        assert rows(host) == [1, 2]
        assert host.journal.recovery.records == 4
        known = await host.journal.propose(insert(1, request_id="one"))
        assert known.version == 2
        assert host.journal.position == 4  # what is remembered is not logged again


async def test_a_log_that_fails_leaves_memory_as_the_log_and_takes_nothing_until_it_heals() -> None:
    log = ScriptedLog()
    states: list[JournalState] = []
    async with serving(log) as host:
        host.journal.on_state = lambda: states.append(host.journal.state)
        await host.journal.propose(table())
        await host.journal.propose(insert(1))
        log.failing = True
        answers = await asyncio.gather(*(host.journal.propose(insert(id)) for id in (2, 3)), return_exceptions=True)
        for answer in answers:
            assert isinstance(answer, Refusal)
            assert answer.reason is ServerReason.HUB_READ_ONLY
            assert answer.retry_after
            assert "no space left" in answer.message
        assert rows(host) == [1]
        with pytest.raises(Refusal, match="read-only"):
            host.journal.offer(insert(4))
        log.failing = False
        await wait_until(lambda: host.journal.state is JournalState.SERVING)
        await host.journal.propose(insert(5))
        assert rows(host) == [1, 5]
        assert states == [JournalState.READ_ONLY, JournalState.SERVING]


async def test_what_a_failed_flush_has_brought_to_the_disk_is_applied_when_the_log_heals() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        log.failing, log.kept_by_failure = True, 1
        answers = await asyncio.gather(
            *(host.journal.propose(insert(id, request_id=f"r{id}")) for id in (2, 3)), return_exceptions=True
        )
        assert all(isinstance(answer, Refusal) for answer in answers)
        log.failing = False
        await wait_until(lambda: host.journal.state is JournalState.SERVING)
        assert rows(host) == [2]
        for id in (2, 3):  # who sends it again gets what happened
            assert (await host.journal.propose(insert(id, request_id=f"r{id}"))).results[0].inserted == 1
        assert rows(host) == [2, 3]


async def test_a_log_that_fails_in_a_way_that_nobody_thought_of_is_a_log_that_failed() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        log.bug = RuntimeError("a bug")
        with pytest.raises(Refusal, match="read-only: a bug"):
            await asyncio.wait_for(host.journal.propose(table()), 5)
        await asyncio.sleep(1.2)  # an attempt to heal fails in the same way
        assert host.journal.state is JournalState.READ_ONLY
        log.bug = None
        await wait_until(lambda: host.journal.state is JournalState.SERVING)
        assert (await host.journal.propose(insert(1))).version == 2


async def test_a_version_that_came_with_a_snapshot_is_reached(tmp_path: Path) -> None:
    for life in range(2):
        async with serving(SqliteLog(tmp_path), history_commits=1) as host:
            if life == 0:
                await host.journal.propose(table())
                await host.journal.propose(insert(1))
                assert host.journal.snapshots is not None
                await host.journal.snapshots.write()
                for _ in range(4):
                    with pytest.raises(EngineError, match="exists"):
                        await host.journal.propose(insert(1))
            else:
                assert (host.journal.recovery.snapshot_position, host.journal.recovery.records) == (2, 4)
            await host.versions.wait(2, 1.0)
            assert rows(host) == [1]


async def test_answers_of_a_snapshot_are_remembered_though_fewer_are_now(tmp_path: Path) -> None:
    """What follows in the log was made when all of them were remembered."""
    async with serving(SqliteLog(tmp_path), history_commits=1) as host:
        await host.configure(host.config)
        await host.journal.propose(table())
        await host.journal.propose(insert(1, request_id="one"))
        assert host.journal.snapshots is not None
        await host.journal.snapshots.write()
        for id in (2, 3, 4):
            await host.journal.propose(insert(id))
    async with serving(SqliteLog(tmp_path), history_commits=1, request_id_memory=0) as host:
        assert host.journal.recovery.snapshot_position == 3
        assert (await host.journal.propose(insert(1, request_id="one"))).version == 2
        await host.configure(ServerConfig(request_id_memory=0))
        with pytest.raises(EngineError, match="exists"):
            await host.journal.propose(insert(1, request_id="one"))


async def test_too_many_changes_are_refused_and_go_on_when_there_is_room() -> None:
    log = ScriptedLog()
    async with serving(log, max_pending_writes=3) as host:
        await host.journal.propose(table())
        log.gate.clear()
        first = host.journal.offer(insert(0))
        await turns(2)
        taken = [host.journal.offer(insert(id)) for id in (1, 2, 3)]
        with pytest.raises(Refusal) as refused:
            host.journal.offer(insert(4))
        assert refused.value.reason is ServerReason.WRITES_OVERLOADED
        assert refused.value.retry_after
        room = asyncio.ensure_future(host.journal.room())
        await turns(2)
        assert not room.done()
        log.gate.set()
        await asyncio.gather(first, *taken, room)
        await host.journal.propose(insert(4))
        assert rows(host) == [0, 1, 2, 3, 4]


async def test_something_local_takes_the_version_that_its_record_takes_elsewhere() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        assert await host.journal.apart(lambda: "done") == "done"
        with pytest.raises(RuntimeError, match="local"):
            await host.journal.apart(fail)
        await host.journal.propose(insert(1))
        assert (host.hub.version, host.journal.position) == (4, 4)
    assert [entry.kind for entry in log.read(0)] == [Kind.CREATE_TABLE, Kind.ADVANCE, Kind.ADVANCE, Kind.WRITE]


def fail() -> None:
    """Something local that cannot be done."""
    raise RuntimeError("local")


async def test_an_end_finishes_what_is_on_its_way_and_takes_nothing_more() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        answers = [host.journal.offer(insert(id)) for id in range(100)]
        await host.journal.close()
        assert all(answer.result().version for answer in answers)
        with pytest.raises(Refusal) as refused:
            host.journal.offer(insert(200))
        assert refused.value.reason is ServerReason.SERVER_SHUTTING_DOWN
    assert log.durable == 101


async def test_a_client_that_goes_does_not_take_its_change_along() -> None:
    log = ScriptedLog()
    async with serving(log) as host:
        await host.journal.propose(table())
        log.gate.clear()
        waiting = asyncio.ensure_future(host.journal.propose(insert(1)))
        await turns(2)
        waiting.cancel()
        log.gate.set()
        await host.journal.propose(insert(2))
        assert rows(host) == [1, 2]


@pytest.mark.parametrize("payload", [b"", b"short", b"\0" * 9 + b"\xff\xff\xff"])
def test_a_record_that_is_none_is_damage(payload: bytes) -> None:
    with pytest.raises(LogDamaged, match="cannot be read"):
        decode_record(Kind.WRITE, payload)
    with pytest.raises(LogDamaged, match="cannot be read"):
        decode_record(99, b"\0" * 9)


def test_a_record_is_read_as_it_was_written() -> None:
    for request in (insert(1, 2, request_id="x"), table(), None):
        record = Record(Moment(123_456_789, True), request)
        assert decode_record(record.kind, record.encode()) == record
