"""What writers are promised, over the wire, on a hub with a log: also by a server that goes on after a crash.

A crash is a copy of the directory, made while the server has it and with what was acknowledged last in it: what a
process that was killed at that moment leaves behind, without the time that killing one takes.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, query_pb2
from tesseract_grpc.store.sqlite_log import SqliteLog
from tesseract_grpc.testing import AsyncRecordingWatcher, Book, rows_of, validate_read_your_writes
from tests.server.support import TYPES, Api, insert, pb, refused, rows, serving, sort, spb, take_apart, user
from tests.wire import batch

SNAPSHOTS: dict[str, Any] = {"snapshot_records": 5, "history_commits": 1}
"""With these a start begins with a snapshot, and reads a few records."""


class Disk:
    """A disk that can be held up: while `held` is set, nothing becomes durable."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.flushes = 0

    def hold(self) -> None:
        self.free.clear()

    def release(self) -> None:
        self.free.set()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made, flush = Disk(), SqliteLog.flush

    def held(self: SqliteLog) -> int:
        made.free.wait(30)
        made.flushes += 1
        return flush(self)

    monkeypatch.setattr(SqliteLog, "flush", held)
    yield made
    made.release()


_PARTS = shutil.ignore_patterns("*.part")


@pytest.fixture
def crash(tmp_path: Path) -> Callable[[], Path]:
    """Copies tmp_path/data as it is on the disk now; where to."""

    def copy() -> Path:  # without what is being written and would take its name when it is whole
        copies = len(list(tmp_path.glob("copy-*")))
        return Path(shutil.copytree(tmp_path / "data", tmp_path / f"copy-{copies}", ignore=_PARTS))

    return copy


def upsert(id: int, **values: object) -> pb.WriteOperation:
    return pb.WriteOperation(table="users", upsert=pb.Upsert(rows=rows([user(id, **values)])))


def _wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


async def snapshot_after(api: Api, position: int) -> None:
    """Waits until there is a snapshot of a position after this one."""
    for _ in range(2_000):
        log = (await api.hubs.GetHub(hub_service_pb2.GetHubRequest())).hub.log
        if log.snapshot_position > position:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("there is no snapshot")


async def row_versions(api: Api, *ids: int, table: str = "users") -> list[int]:
    answer = await api.tables.GetRows(pb.GetRowsRequest(table=table, keys=rows([{"id": id} for id in ids])))
    return list(answer.row_versions)


async def test_a_retry_after_a_crash_gets_the_first_answer(tmp_path: Path, crash: Callable[[], Path]) -> None:
    """Writes, writes of streams and definitions; from the records, and from a snapshot."""
    request = pb.WriteRequest(operations=[insert([user(1), user(2)])], request_id="a")
    streamed = pb.WriteStreamRequest(sequence=9, write=pb.WriteRequest(operations=[upsert(3)], request_id="b"))
    renaming = pb.RenameTableRequest(name="others", new_table_id="people", request_id="c")
    async with serving(data=tmp_path / "data", **SNAPSHOTS) as (_, api):
        await api.create_users()
        await api.create_users("others", request_id="d")
        first = await api.tables.Write(request)
        call = api.tables.WriteStream(iter([streamed]))
        second = [answer async for answer in call]
        third = await api.tables.RenameTable(renaming)
        early = crash()
        for id in range(10, 30):
            await api.write(upsert(id))
        await snapshot_after(api, 10)
        late = crash()
    for copy in (early, late):
        async with serving(data=copy, **SNAPSHOTS) as (server, api):
            version = server.hubs["default"].version
            assert await api.tables.Write(request) == first
            call = api.tables.WriteStream(iter([streamed]))
            assert [answer async for answer in call] == second
            assert (await api.tables.RenameTable(renaming)).version == third.version
            other = pb.WriteRequest(operations=[upsert(4)], request_id="a")
            assert (await refused(api.tables.Write(other))).reason == "REQUEST_ID_REUSED"
            assert server.hubs["default"].version == version, "nothing happened twice"


async def test_a_start_from_a_snapshot_and_the_records_after_it(tmp_path: Path, crash: Callable[[], Path]) -> None:
    """Whole rows with their versions, the order of insertion, sessions, at many places between two snapshots."""
    copies = []
    async with serving(data=tmp_path / "data", **SNAPSHOTS) as (_, api):
        await api.create_users()
        await api.open("aged", query_pb2.Query(table="users", sort=[sort("age")]))
        for number in range(24):
            adding = pb.Increment(rows=batch([{"id": 0, "age": 1 + number}], TYPES), ignore_missing=True)
            await api.write(upsert(number % 9, age=number), pb.WriteOperation(table="users", increment=adding))
            if number % 4 == 0:
                await api.write(pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": number % 7}]))))
            if number > 15:
                await snapshot_after(api, 10)
                copies.append((crash(), await content(api)))
    for copy, true in copies:
        async with serving(data=copy, **SNAPSHOTS) as (_, api):
            assert await content(api) == true
            log = (await api.hubs.GetHub(hub_service_pb2.GetHubRequest())).hub.log
            assert 0 < log.recovered_records < log.position, "it begins with a snapshot"


async def content(api: Api) -> list[object]:
    """What there is."""
    versions = await row_versions(api, *range(10))
    asked = await api.sessions.QuerySession(spb.QuerySessionRequest(name="aged"))
    return [versions, rows_of((await api.all_rows()).rows), rows_of(asked.rows), asked.version]


async def test_conditions_after_a_crash(tmp_path: Path, crash: Callable[[], Path]) -> None:
    """A row has the version that it had."""
    async with serving(data=tmp_path / "data") as (_, api):
        await api.create_users()
        for _ in range(3):
            await api.write(upsert(1), upsert(2))
        changed = (await api.write(upsert(2, age=50))).version
        (one, two) = await row_versions(api, 1, 2)
        assert two == changed
        assert one < two
        copy = crash()
    async with serving(data=copy) as (_, api):
        assert await row_versions(api, 1, 2) == [one, two]
        again = upsert(2, age=51)
        again.condition.if_version = one
        assert (await refused(api.write(again))).reason == "CONDITION_NOT_MET"
        again.condition.if_version = two
        version = (await api.write(again)).version
        assert version == changed + 1
        absent = upsert(2)
        absent.condition.if_absent = True
        assert (await refused(api.write(absent))).reason == "CONDITION_NOT_MET"


async def test_commits_of_several_tables_after_a_crash_at_any_moment(tmp_path: Path, crash: Callable[[], Path]) -> None:
    """The disk is copied again and again under load: in no copy is there half of a commit."""
    async with serving(data=tmp_path / "data", durability="normal", snapshot_records=50) as (_, api):
        await api.create_users("left")
        await api.create_users("right")
        done: list[int] = []

        async def writer(number: int) -> None:
            for id in range(number, 400, 4):
                await api.write(insert([user(id)], "left"), insert([user(id), user(1_000 + id)], "right"))
                done.append(id)

        writers = [asyncio.create_task(writer(number)) for number in range(4)]
        copies = []
        while not all(task.done() for task in writers):
            acknowledged = len(done)
            copies.append((acknowledged, await asyncio.to_thread(_copied, tmp_path, crash)))
            await asyncio.sleep(0.05)
        await asyncio.gather(*writers)
    for acknowledged, copy in copies[:: max(1, len(copies) // 4)]:
        async with serving(data=copy) as (_, api):
            left, right = [
                {row for column in (await api.all_rows(table)).rows.columns[:1] for row in column.int64s.values}
                for table in ("left", "right")
            ]
            assert right == left | {1_000 + id for id in left}
            assert len(left) >= acknowledged


def _copied(folder: Path, crash: Callable[[], Path]) -> Path:
    """A copy of files that change meanwhile is no crash: copies until two in a row are the same."""
    end = time.monotonic() + 5
    while True:
        copy = crash()
        now = {path.name: path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file()}
        then = {path.name: path.stat().st_size for path in copy.rglob("*") if path.is_file()}
        if now == then or time.monotonic() > end:
            return copy
        shutil.rmtree(copy)


async def test_nobody_sees_what_is_not_durable(tmp_path: Path, disk: Disk, crash: Callable[[], Path]) -> None:
    """While the disk is held up: no acknowledgement, no read, no watch, no `min_version` knows of the write."""
    book = Book()
    async with serving(data=tmp_path / "data", progress_interval=0.05, max_version_wait=0.2) as (_, api):
        await api.create_users()
        first = await api.write(upsert(1))
        book.wrote(first)
        async with AsyncRecordingWatcher.table(api.channel, "users") as watcher:
            await watcher.wait_for(first.version)
            disk.hold()
            write = asyncio.create_task(_write(api, 2))
            said = len(watcher.responses)
            await watcher.wait_until(lambda each: len(each.responses) > said + 2)
            assert not write.done()
            assert len(watcher.mirror.rows) == 1
            answer = await api.all_rows()
            assert (answer.version, answer.total_count) == (first.version, 1)
            query = query_pb2.Query(table="users")
            late = await refused(api.tables.Query(pb.QueryRequest(query=query, min_version=first.version + 1)))
            assert late.reason == "VERSION_NOT_REACHED"
            copy = crash()
            waiting = asyncio.create_task(_read(api, first.version + 1))
            disk.release()
            second = await write
            book.wrote(second)
            read = await waiting
            book.read(second.version, read.version)
            assert (second.version, read.version, read.total_count) == (first.version + 1, second.version, 2)
            await watcher.wait_for(second.version)
            book.saw(watcher.mirror.version)
        after = crash()
    async with serving(data=copy) as (server, api):
        assert (await api.all_rows()).total_count == 1
        assert server.hubs["default"].version == first.version
    async with serving(data=after) as (server, api):
        book.restarted(server.hubs["default"].version)
        assert (await api.all_rows()).total_count == 2
    validate_read_your_writes(book)


async def _write(api: Api, id: int) -> pb.WriteResponse:
    return await api.write(upsert(id))


async def _read(api: Api, version: int) -> pb.QueryResponse:
    request = pb.QueryRequest(query=query_pb2.Query(table="users"), min_version=version)
    return await api.tables.Query(request)


async def _answer(call: Any) -> pb.WriteStreamResponse:
    return cast(pb.WriteStreamResponse, await call.read())


@pytest.mark.parametrize("durability", ["fsync", "normal"])
async def test_a_stream_of_writes_is_acknowledged_when_durable(
    tmp_path: Path, disk: Disk, crash: Callable[[], Path], durability: str
) -> None:
    """In order, each with its version; none while the disk is held up. What was acknowledged is in a copy made then."""
    async with serving(data=tmp_path / "data", durability=durability) as (_, api):
        await api.create_users()
        call = api.tables.WriteStream()
        for sequence in range(1, 6):
            await call.write(
                pb.WriteStreamRequest(sequence=sequence, write=pb.WriteRequest(operations=[upsert(sequence)]))
            )
        versions = [(await _answer(call)).committed.version for _ in range(5)]
        assert versions == list(range(versions[0], versions[0] + 5))
        copy = crash()
        disk.hold()
        await call.write(pb.WriteStreamRequest(sequence=6, write=pb.WriteRequest(operations=[upsert(6)])))
        reading = asyncio.create_task(_answer(call))
        await asyncio.sleep(0.2)
        assert not reading.done()
        disk.release()
        answer = await reading
        assert answer.sequence == 6
        assert answer.committed.durability == getattr(pb, f"DURABILITY_{durability.upper()}")
        await call.done_writing()
    async with serving(data=copy) as (_, api):
        assert await row_versions(api, 1, 2, 3, 4, 5, 6) == versions


async def test_writers_are_held_back_and_readers_are_not(tmp_path: Path, disk: Disk) -> None:
    """A queue that is full refuses with RetryInfo; streams of writes wait instead; afterwards all is taken."""
    async with serving(data=tmp_path / "data", max_pending_writes=20, progress_interval=0.1) as (_, api):
        await api.create_users()
        version = (await api.write(upsert(0))).version
        disk.hold()
        calls = [asyncio.create_task(_write(api, id)) for id in range(1, 101)]
        stream = api.tables.WriteStream(
            pb.WriteStreamRequest(sequence=id, write=pb.WriteRequest(operations=[upsert(id)])) for id in range(200, 230)
        )
        await asyncio.to_thread(_wait_for, lambda: sum(call.done() for call in calls) >= 40)
        for call in calls:
            if call.done():
                error = call.exception()
                assert isinstance(error, grpc.aio.AioRpcError)
                refusal = take_apart(error)
                assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "WRITES_OVERLOADED")
                assert refusal.retry_ms
        assert (await api.all_rows()).version == version
        async with AsyncRecordingWatcher.table(api.channel, "users") as watcher:
            await watcher.wait_for(version)
            disk.release()
            answers = [answer async for answer in stream]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            taken = [answer for answer in outcomes if isinstance(answer, pb.WriteResponse)]
            assert [answer.WhichOneof("outcome") for answer in answers] == ["committed"] * 30
            versions = [answer.version for answer in taken] + [answer.committed.version for answer in answers]
            assert sorted(versions) == list(range(version + 1, version + 1 + len(versions)))
            assert 1 <= len(taken) <= 60
            await watcher.wait_for(max(versions))
            assert len(watcher.mirror.rows) == 1 + len(versions)
            watcher.check()
