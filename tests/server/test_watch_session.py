"""WatchSession through the socket: what comes, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.server.codec import changes as codec
from tesseract_grpc.testing import Mirror, check_stream, rows_of
from tests.server.support import Api, compare, rows, serving, sort, take_apart, user

OLDEST = q.Query(table="users", sort=[sort("age", descending=True)])


class Reader:
    """Reads one watch, keeps what came and the mirror of it."""

    def __init__(self, api: Api, **fields: Any) -> None:
        self.call = api.sessions.WatchSession(spb.WatchSessionRequest(**{"name": "oldest", **fields}))
        self.responses: list[spb.WatchSessionResponse] = []
        self.mirror = Mirror()

    async def next(self) -> spb.WatchSessionResponse:
        response = await asyncio.wait_for(self.call.read(), 10)
        assert isinstance(response, spb.WatchSessionResponse), "the stream ended"
        self.responses.append(response)
        self.mirror.apply(response)
        return response

    async def until(self, version: int) -> Reader:
        while not (self.mirror.consistent and self.mirror.version >= version):
            await self.next()
        return self

    def ids(self) -> list[int]:
        return [row["id"] for row in self.mirror.rows]

    def events(self) -> list[str | None]:
        return [response.WhichOneof("event") for response in self.responses]


@pytest.fixture
async def oldest(api: Api) -> Api:
    await api.open("oldest", OLDEST)
    return api


def age(id: int, value: int) -> pb.WriteOperation:
    return pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": id, "age": value}])))


def gone(*ids: int) -> pb.WriteOperation:
    return pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": id} for id in ids])))


async def test_begin_snapshot_end_changes(oldest: Api) -> None:
    reader = await Reader(oldest).until(2)
    assert reader.events() == ["begin", "snapshot_rows", "snapshot_end"]
    begin, piece, end = reader.responses
    assert not begin.begin.resumed
    assert begin.begin.progress_interval_ms == 5_000
    assert begin.begin.epoch
    assert [column.name for column in begin.begin.columns if column.primary_key] == ["id"]
    assert (begin.continued, piece.continued, end.continued) == (False, True, False)
    assert {(r.from_version, r.to_version, r.generation) for r in reader.responses} == {(2, 2, 1)}
    assert (end.snapshot_end.row_count, end.snapshot_end.total_count) == (5, 5)
    assert reader.ids() == [4, 3, 2, 1, 0]

    await oldest.write(age(0, 99), gone(3))
    change = await reader.next()
    assert (change.from_version, change.to_version) == (2, 3)
    assert change.changes.removes[0].reason == change_pb2.REMOVE_REASON_DELETED
    assert rows_of(change.changes.updates[0].rows) == [{"id": 0, "age": 99}]
    assert list(change.changes.moves.indexes) == [0]
    assert change.changes.total_count == 4
    assert reader.ids() == [0, 4, 2, 1]
    check_stream(reader.responses)


async def test_a_window_has_positions_and_says_why_rows_left(oldest: Api) -> None:
    reader = await Reader(oldest, window=q.Window(offset=1, limit=2)).until(2)
    assert reader.ids() == [3, 2]
    assert reader.mirror.total_count == 5
    version = (await oldest.insert([user(9)])).version
    await reader.until(version)
    assert reader.ids() == [4, 3]
    change = reader.responses[-1].changes
    assert [removes.reason for removes in change.removes] == [change_pb2.REMOVE_REASON_WINDOW]
    assert list(change.inserts.indexes) == [0]
    check_stream(reader.responses)


async def test_a_filter_lets_rows_come_and_go(api: Api) -> None:
    await api.open("oldest", q.Query(table="users", filter=compare("age", "GREATER", int64_value=22), columns=["age"]))
    reader = await Reader(api).until(2)
    assert reader.ids() == [3, 4]
    await reader.until((await api.write(age(3, 1), age(0, 50))).version)
    assert reader.responses[-1].changes.removes[0].reason == change_pb2.REMOVE_REASON_FILTERED
    assert reader.ids() == [4, 0] or reader.ids() == [0, 4]
    check_stream(reader.responses)


async def test_an_empty_result_is_complete_too(api: Api) -> None:
    await api.open("oldest", q.Query(table="users", filter=compare("age", "GREATER", int64_value=1_000)))
    reader = await Reader(api).until(2)
    assert reader.events() == ["begin", "snapshot_end"]
    assert reader.responses[-1].snapshot_end.row_count == 0


async def test_large_snapshots_and_changes_come_in_pieces() -> None:
    async with serving(piece_bytes=4_096) as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(1_000)])
        await api.open("oldest", OLDEST)
        reader = await Reader(api).until(2)
        assert reader.events().count("snapshot_rows") > 5
        assert reader.ids() == list(range(999, -1, -1))
        everybody = [{"id": id, "age": -id, "score": 0.5} for id in range(1_000)]
        update = pb.WriteOperation(table="users", update=pb.Update(rows=rows(everybody)))
        more = pb.WriteOperation(table="users", insert=pb.Insert(rows=rows([user(id) for id in range(1_000, 2_000)])))
        await reader.until((await api.write(update, more, gone(*range(0, 1_000, 2)))).version)
        pieces = [response for response in reader.responses if response.WhichOneof("event") == "changes"]
        assert len(pieces) > 5
        assert [piece.continued for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        assert {(piece.from_version, piece.to_version) for piece in pieces} == {(2, 3)}
        assert max(piece.ByteSize() for piece in pieces) < 2 * 4_096
        fresh = [row async for row in all_rows(api)]
        assert reader.mirror.rows == fresh
        check_stream(reader.responses)


async def all_rows(api: Api) -> AsyncIterator[dict[str, Any]]:
    async for piece in api.sessions.QuerySessionStream(spb.QuerySessionStreamRequest(name="oldest")):
        for row in rows_of(piece.rows):
            yield row


async def test_progress_when_nothing_happens_and_when_nothing_concerns_it() -> None:
    async with serving(progress_interval=0.6) as (_, api):
        await api.create_users()
        await api.create_users("others")
        await api.open("oldest", OLDEST)
        reader = await Reader(api).until(2)
        started = time.monotonic()
        first = await reader.next()
        assert first.WhichOneof("event") == "progress"
        assert time.monotonic() - started < 1.0
        assert (first.from_version, first.to_version) == (2, 2)
        assert abs(first.progress.server_time.seconds - time.time()) < 60
        version = (await api.insert([user(1)], table="others")).version
        await reader.until(version)
        assert reader.responses[-1].WhichOneof("event") == "progress"
        assert reader.responses[-1].to_version == version
        version = (await api.insert([user(1)])).version
        await reader.until(version)
        assert reader.responses[-1].WhichOneof("event") == "changes"
        assert reader.responses[-1].from_version == version - 1
        check_stream(reader.responses)


async def test_a_busy_stream_sends_no_progress() -> None:
    async with serving(progress_interval=0.3) as (_, api):
        await api.create_users()
        await api.open("oldest", OLDEST)
        reader = await Reader(api).until(1)
        for id in range(10):
            await reader.until((await api.insert([user(id)])).version)
            await asyncio.sleep(0.08)
        assert reader.events()[2:] == ["changes"] * 10


async def test_min_interval_merges_commits(oldest: Api) -> None:
    reader = await Reader(oldest, min_interval=Duration(nanos=300_000_000)).until(2)
    version = 0
    for id in range(10, 20):
        version = (await oldest.insert([user(id)])).version
        await asyncio.sleep(0.01)
    started = time.monotonic()
    await reader.until(version)
    changes = [response for response in reader.responses if response.WhichOneof("event") == "changes"]
    assert len(changes) == 2
    assert 0.05 < time.monotonic() - started < 0.6
    assert changes[1].from_version == changes[0].to_version
    check_stream(reader.responses)


async def test_progress_while_a_change_is_held_back_does_not_run_ahead() -> None:
    async with serving(progress_interval=0.1) as (_, api):
        await api.create_users()
        await api.open("oldest", OLDEST)
        reader = await Reader(api, min_interval=Duration(seconds=1)).until(1)
        await reader.until((await api.insert([user(1)])).version)
        version = (await api.insert([user(2)])).version
        await reader.next()
        assert reader.responses[-1].WhichOneof("event") == "progress"
        assert reader.responses[-1].to_version == version - 1
        await reader.until(version)
        assert reader.responses[-1].WhichOneof("event") == "changes"
        check_stream(reader.responses)


async def test_min_version_is_waited_for(oldest: Api) -> None:
    reader = Reader(oldest, min_version=3)
    waiting = asyncio.create_task(reader.next())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await oldest.insert([user(9)])
    await waiting
    await reader.until(3)
    assert reader.ids()[0] == 9


async def test_watchers_are_counted_and_leave(oldest: Api) -> None:
    readers = [await Reader(oldest).until(2) for _ in range(3)]

    async def count() -> int:
        return (await oldest.sessions.GetSession(spb.GetSessionRequest(name="oldest"))).session.watcher_count

    assert await count() == 3
    for reader in readers:
        reader.call.cancel()
    for _ in range(100):
        if not await count():
            break
        await asyncio.sleep(0.02)
    assert await count() == 0


@pytest.mark.parametrize("what", ["session", "table"])
async def test_a_watch_ends_with_what_it_watches(oldest: Api, what: str) -> None:
    reader = await Reader(oldest).until(2)
    if what == "session":
        await oldest.sessions.DeleteSession(spb.DeleteSessionRequest(name="oldest"))
    else:
        await oldest.tables.DeleteTable(pb.DeleteTableRequest(name="users"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reader.call.read()
    found = take_apart(caught.value)
    assert found.code is grpc.StatusCode.FAILED_PRECONDITION
    assert found.reason == f"{what.upper()}_DELETED"


async def test_many_watchers_get_the_same_bytes(oldest: Api) -> None:
    call = oldest.raw.unary_stream("/tesseract.v1.SessionService/WatchSession")
    request = spb.WatchSessionRequest(name="oldest").SerializeToString()
    calls = [call(request) for _ in range(20)]
    for each in calls:
        for _ in range(3):
            await each.read()
    await oldest.write(age(1, 70), gone(2))
    payloads = {await asyncio.wait_for(each.read(), 5) for each in calls}
    assert len(payloads) == 1
    assert spb.WatchSessionResponse.FromString(payloads.pop()).changes.total_count == 4


async def test_a_change_is_encoded_once_for_all_watchers(oldest: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[object] = []
    original = codec._whole

    def counted(changes: Changes) -> Any:
        encoded.append(changes)
        return original(changes)

    monkeypatch.setattr(codec, "_whole", counted)
    readers = [await Reader(oldest).until(2) for _ in range(10)]
    for id in range(20, 25):
        version = (await oldest.insert([user(id)])).version
        for reader in readers:
            await reader.until(version)
    assert len(encoded) == 5


async def test_a_reader_that_stops_is_given_the_net_change_later(oldest: Api) -> None:
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 0)]
    slow_channel = grpc.aio.insecure_channel(str(oldest.target), options=options)
    async with slow_channel:
        slow = await Reader(Api(slow_channel)).until(2)
        quick = await Reader(oldest).until(2)
        text = "x" * 20_000
        version = 0
        for round in range(60):
            row = {"id": round % 5, "name": f"{text}{round}"}
            operation = pb.WriteOperation(table="users", update=pb.Update(rows=rows([row])))
            version = (await oldest.write(operation)).version
            await quick.until(version)
        await slow.until(version)
        assert slow.mirror.rows == quick.mirror.rows
        assert len(slow.responses) < len(quick.responses)
        check_stream(slow.responses)
        check_stream(quick.responses)
