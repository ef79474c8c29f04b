"""Debug mode through the socket: settings, records of everything that happens, pages, filters, followers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2 as dpb
from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2_grpc, query_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server.debug.record import Level, Record
from tesseract_grpc.server.debug.ring import Ring
from tests.server.support import Api, compare, insert, refused, rows, serving, sort, user, write_tokens


class Debug:
    """The debug mode of one hub, as a client sees it."""

    def __init__(self, api: Api) -> None:
        self.stub = diagnosis_service_pb2_grpc.DiagnosisServiceStub(api.channel)

    async def set(self, **values: Any) -> dpb.DebugSettings:
        settings = dpb.DebugSettings(**values)
        request = dpb.UpdateDebugSettingsRequest(settings=settings, update_mask=FieldMask(paths=list(values)))
        return (await self.stub.UpdateDebugSettings(request)).settings

    async def on(self, level: int = dpb.DEBUG_LEVEL_DEBUG, **values: Any) -> None:
        await self.set(enabled=True, level=level, **values)

    async def records(self, *, page_size: int = 0, **filter: Any) -> list[dpb.DebugRecord]:
        """All records, over as many pages as it takes."""
        found: list[dpb.DebugRecord] = []
        token = ""
        while True:
            request = dpb.ListDebugRecordsRequest(
                filter=dpb.DebugFilter(**filter), page_size=page_size, page_token=token
            )
            page = await self.stub.ListDebugRecords(request)
            found.extend(page.records)
            token = page.next_page_token
            if not token:
                return found

    async def one(self, kind: str, **filter: Any) -> dpb.DebugRecord:
        (found,) = await self.records(kinds=[kind], **filter)
        return found

    async def clear(self) -> int:
        return (await self.stub.ClearDebugRecords(dpb.ClearDebugRecordsRequest())).cleared


@pytest.fixture
async def debug(api: Api) -> Debug:
    """The debug mode of the hub with five users, off."""
    return Debug(api)


def ms(milliseconds: float) -> Duration:
    found = Duration()
    found.FromMicroseconds(round(milliseconds * 1_000))
    return found


async def eventually(look: Callable[[], Awaitable[Any]]) -> None:
    """Waits until there is something to see."""
    async with asyncio.timeout(20):
        while not await look():  # noqa: ASYNC110  # what is waited for is in the server
            await asyncio.sleep(0.02)


async def to_the_end(call: Any) -> grpc.aio.AioRpcError:
    """Reads a stream until it is refused; how that was."""
    async with asyncio.timeout(20):
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return error
    raise AssertionError("it ended well")


# Settings


async def test_settings_are_as_the_protocol_says_and_change_by_mask(debug: Debug) -> None:
    found = (await debug.stub.GetDebugSettings(dpb.GetDebugSettingsRequest())).settings
    assert (found.enabled, found.level, found.capacity, found.include_values) == (
        False,
        dpb.DEBUG_LEVEL_INFO,
        10_000,
        False,
    )
    assert found.slow_query.ToMilliseconds() == 100
    changed = await debug.set(level=dpb.DEBUG_LEVEL_ERROR, capacity=7, slow_query=ms(5))
    assert (changed.enabled, changed.level, changed.capacity) == (False, dpb.DEBUG_LEVEL_ERROR, 7)
    assert changed.slow_query.ToMilliseconds() == 5
    back = dpb.UpdateDebugSettingsRequest(update_mask=FieldMask(paths=["level", "capacity", "slow_query"]))
    assert (await debug.stub.UpdateDebugSettings(back)).settings == found


@pytest.mark.parametrize(
    ("settings", "paths", "reason", "field"),
    [
        ({}, [], "MALFORMED_REQUEST", "update_mask"),
        ({}, ["nothing"], "MALFORMED_REQUEST", "update_mask"),
        ({"level": 9}, ["level"], "MALFORMED_REQUEST", "settings.level"),
        ({"capacity": -1}, ["capacity"], "MALFORMED_REQUEST", "settings.capacity"),
        ({"capacity": 1_000_001}, ["capacity"], "LIMIT_EXCEEDED", "settings.capacity"),
        ({"slow_query": Duration(seconds=-1)}, ["slow_query"], "MALFORMED_REQUEST", "settings.slow_query"),
    ],
)
async def test_settings_that_cannot_be(
    debug: Debug, settings: dict[str, Any], paths: list[str], reason: str, field: str
) -> None:
    before = await debug.stub.GetDebugSettings(dpb.GetDebugSettingsRequest())
    request = dpb.UpdateDebugSettingsRequest(
        settings=dpb.DebugSettings(**settings), update_mask=FieldMask(paths=["enabled", *paths] if paths else [])
    )
    request.settings.enabled = True
    refusal = await refused(debug.stub.UpdateDebugSettings(request))
    assert (refusal.reason, refusal.fields) == (reason, (field,))
    assert await debug.stub.GetDebugSettings(dpb.GetDebugSettingsRequest()) == before


async def test_a_start_with_the_flag_records_from_the_beginning() -> None:
    async with serving(debug=True, debug_level="debug") as (_, api):
        await api.create_users()
        kinds = {record.kind for record in await Debug(api).records()}
        assert {"call", "table"} <= kinds


async def test_settings_are_those_of_one_hub_and_of_one_process(tmp_path: Path) -> None:
    async with serving(hubs=("default", "other"), data=tmp_path) as (_, api):
        debug = Debug(api)
        await debug.on()
        await api.create_users()
        assert await debug.records()
        other = dpb.ListDebugRecordsRequest(parent="hubs/other")
        assert not (await debug.stub.ListDebugRecords(other)).records
    async with serving(hubs=("default", "other"), data=tmp_path) as (_, api):
        found = await Debug(api).stub.GetDebugSettings(dpb.GetDebugSettingsRequest())
        assert (found.settings.enabled, found.record_count) == (False, 0)


# What is recorded


async def test_nothing_is_recorded_while_it_is_off(api: Api, debug: Debug) -> None:
    await api.insert([user(9)])
    assert await debug.records() == []
    await debug.on()
    await api.insert([user(10)])
    assert await debug.records(kinds=["commit"])
    count = len(await debug.records())
    await debug.set(enabled=False)
    await api.insert([user(11)])
    # Records outlive it; the call that turned it off began while it was on, and ended when it was off.
    assert len(await debug.records()) == count


async def test_a_commit_and_its_call(api: Api, debug: Debug) -> None:
    await debug.on()
    written = await api.write(
        insert([user(7), user(8)]),
        pb.WriteOperation(table="users", delete=pb.Delete(keys=rows([{"id": 0}]))),
        request_id="from the till",
    )
    commit = await debug.one("commit")
    assert (commit.level, commit.table, commit.version) == (
        dpb.DEBUG_LEVEL_DEBUG,
        "hubs/default/tables/users",
        written.version,
    )
    assert commit.request_id == "from the till"
    assert dict(commit.details) == {"operations": "2", "inserted": "2", "deleted": "1"}
    assert 0 < commit.duration.ToMicroseconds() < 1_000_000
    (call,) = await debug.records(kinds=["call"], table="users")
    assert (call.message, call.details["code"]) == ("Write ended with OK", "OK")
    assert (call.request_id, call.duration.ToMicroseconds() >= commit.duration.ToMicroseconds()) == (
        "from the till",
        True,
    )
    assert call.sequence == commit.sequence + 1


async def test_definitions_sessions_and_watches(api: Api, debug: Debug) -> None:
    await debug.on(dpb.DEBUG_LEVEL_INFO)
    await api.create_users("people")
    await api.tables.RenameTable(pb.RenameTableRequest(name="people", new_table_id="persons", request_id="r1"))
    await api.tables.DeleteTable(pb.DeleteTableRequest(name="persons"))
    await api.open("all")
    await api.sessions.UpdateSession(
        spb.UpdateSessionRequest(
            session=spb.Session(name="all", query=query_pb2.Query(sort=[sort("age")])),
            update_mask=FieldMask(paths=["query.sort"]),
        )
    )
    call = api.sessions.WatchSession(spb.WatchSessionRequest(name="all"))
    await call.read()
    await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="all"))
    await to_the_end(call)
    await asyncio.sleep(0.05)
    found = [(record.kind, record.message, record.table.rpartition("/")[2]) for record in await debug.records()]
    assert sorted(found[-2:]) == [  # the call ends with its watch, in either order
        ("refusal", "WatchSession refused: SESSION_DELETED", ""),
        ("watch", "a watch was closed", "users"),
    ]
    assert found[:-2] == [
        ("table", "table people was created", "people"),
        ("table", "table persons was renamed", "persons"),
        ("table", "table persons was deleted", "persons"),
        ("session", "session all was opened", "users"),
        ("session", "session all was edited", "users"),
        ("watch", "a watch was opened", "users"),
        ("session", "session all was closed", "users"),
    ]
    renamed = (await debug.records(kinds=["table"]))[1]
    assert (renamed.request_id, renamed.details["old_name"]) == ("r1", "people")
    opened, closed = await debug.records(kinds=["watch"], session="all")
    assert opened.details["watch_id"] == closed.details["watch_id"] != ""
    assert opened.details["peer"].startswith("ipv4:127.0.0.1")
    assert int(closed.details["sent_bytes"]) > 0


async def test_queries_and_the_plans_of_slow_ones(api: Api, debug: Debug) -> None:
    await debug.on(slow_query=ms(0))
    query = query_pb2.Query(table="users", filter=compare("age", "GREATER", int64_value=21), sort=[sort("name")])
    found = await api.tables.Query(pb.QueryRequest(query=query))
    await asyncio.sleep(0.05)
    read = await debug.one("query")
    assert (read.message, read.table) == ("3 of 3 rows were read", "hubs/default/tables/users")
    slow = await debug.one("slow_query")
    assert (slow.level, slow.version, slow.duration) == (dpb.DEBUG_LEVEL_WARNING, found.version, read.duration)
    lines = [line.strip().split(" (")[0] for line in slow.details["plan"].splitlines()]
    assert lines == ["order: by name", "filter: age >= ?", "table: users"]
    await api.tables.Query(pb.QueryRequest(query=query))  # the answer is known, and took no time
    assert [record.message for record in await debug.records(kinds=["query"])][1:] == ["the answer was known"]
    assert len(await debug.records(kinds=["slow_query"])) == 1


async def test_the_plan_of_a_slow_session_is_told_with_values_on_request(api: Api, debug: Debug) -> None:
    await debug.on(dpb.DEBUG_LEVEL_WARNING, slow_query=ms(0), include_values=True)
    await api.open("adults", query_pb2.Query(table="users", filter=compare("age", "GREATER", int64_value=21)))
    await api.sessions.QuerySession(spb.QuerySessionRequest(name="adults"))
    await asyncio.sleep(0.05)
    hydrated, read = await debug.records(kinds=["slow_query"], session="adults")
    assert hydrated.message.startswith("hydrating a session took")
    assert read.message.startswith("a query took")
    assert "age >= 22" in hydrated.details["plan"]
    assert "age >= 22" in read.details["plan"]


async def test_queries_that_are_fast_enough_are_not_slow(api: Api, debug: Debug) -> None:
    await debug.on(slow_query=ms(60_000))
    await api.all_rows()
    await asyncio.sleep(0.05)
    assert not await debug.records(kinds=["slow_query"])
    await debug.clear()
    await debug.set(level=dpb.DEBUG_LEVEL_INFO)
    await api.all_rows()
    assert not await debug.records(kinds=["query"])


async def test_refusals_have_their_reason_and_their_place(api: Api, debug: Debug) -> None:
    await debug.on(dpb.DEBUG_LEVEL_WARNING)
    await refused(api.insert([user(1), user(99)], request_id="again"))
    await refused(api.tables.Query(pb.QueryRequest(query=query_pb2.Query(table="nothing"))))
    stream = api.tables.WriteStream()
    await stream.write(pb.WriteStreamRequest(sequence=1, write=pb.WriteRequest(operations=[insert([user(1)])])))
    answer = await stream.read()
    assert isinstance(answer, pb.WriteStreamResponse)
    assert answer.refused.reason == "DUPLICATE_KEY"
    await stream.done_writing()
    write, query, streamed = await debug.records(kinds=["refusal"])
    assert write.message == "Write refused: DUPLICATE_KEY"
    assert (write.request_id, write.table) == ("again", "hubs/default/tables/users")
    assert write.details["refused_rows"] == "1"
    assert write.details["row_reasons"] == "DUPLICATE_KEY"
    assert "message" not in write.details
    assert (query.details["reason"], query.details["code"]) == ("UNKNOWN_TABLE", "NOT_FOUND")
    assert query.details["field"].startswith("query")
    assert streamed.message == "WriteStream refused: DUPLICATE_KEY"


async def test_refusals_have_their_message_where_values_are_asked_for(api: Api, debug: Debug) -> None:
    await debug.on(dpb.DEBUG_LEVEL_WARNING, include_values=True)
    refusal = await refused(api.insert([user(1, name="Ada"), user(99)]))
    assert refusal.reason == "DUPLICATE_KEY"
    record = await debug.one("refusal")
    assert record.details["message"] == refusal.message
    assert record.details["rows"].startswith("row 0: ")
    missing = await refused(api.tables.Query(pb.QueryRequest(query=query_pb2.Query(table="users", columns=["nobody"]))))
    assert (await debug.records(kinds=["refusal"]))[-1].details["message"] == missing.message


async def test_a_bug_is_an_error_with_its_place_in_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (server, api):
        await api.create_users()
        debug = Debug(api)
        await debug.on(dpb.DEBUG_LEVEL_ERROR)

        def broken(*_: Any, **__: Any) -> Any:
            raise RuntimeError("Ada Lovelace, 36")

        monkeypatch.setattr(server.hubs["default"], "begin_query", broken)
        refusal = await refused(api.all_rows())
        record = await debug.one("error")
        assert record.message == "Query failed: RuntimeError"
        assert record.details["error_id"] == refusal.metadata["error_id"]
        assert "test_debug.py" in record.details["trace"]
        assert "Lovelace" not in str(record)


async def test_the_log_and_its_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(data=tmp_path, snapshot_records=5) as (server, api):
        debug = Debug(api)
        await debug.on()
        await api.create_users()
        for id in range(6):
            await api.insert([user(id)])
        host = server._hosts.by_name["default"]
        await eventually(lambda: debug.records(kinds=["snapshot"]))
        snapshot = await debug.one("snapshot")
        assert snapshot.level == dpb.DEBUG_LEVEL_INFO
        assert int(snapshot.details["bytes"]) > 0
        flush = (await debug.records(kinds=["log"]))[0]
        assert flush.message == "1 changes were flushed"
        assert "log_ms" in (await debug.records(kinds=["commit"]))[-1].details
        await debug.clear()

        log: Any = host.journal.log

        def full() -> None:
            raise log._fail("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(log, "flush", full)
            await refused(api.insert([user(50)]))
        failed = await debug.one("log", level=dpb.DEBUG_LEVEL_ERROR)
        assert (failed.message, failed.details["error"]) == ("the log could not be written", "LogFailed")

        async def healed() -> bool:
            return len(await debug.records(kinds=["hub"])) == 2

        await eventually(healed)
        turned = [record.message for record in await debug.records(kinds=["hub"])]
        assert turned == ["the hub is read-only: its log cannot be written", "the hub takes writes again"]


async def test_those_who_look_leave_no_trace(api: Api, debug: Debug) -> None:
    await debug.on()
    await debug.clear()
    await debug.records()
    await debug.stub.GetDebugSettings(dpb.GetDebugSettingsRequest())
    assert await debug.records() == []


# Listing


async def test_filters_and_pages(api: Api, debug: Debug) -> None:
    await debug.on()
    for id in range(20, 40):
        await api.insert([user(id)])
    await api.create_users("others")
    await refused(api.insert([user(20)]))
    everything = await debug.records()
    assert [record.sequence for record in everything] == list(range(1, len(everything) + 1))
    assert await debug.records(page_size=3) == everything
    assert await debug.records(kinds=["commit"], page_size=7) == [r for r in everything if r.kind == "commit"]
    assert {r.kind for r in await debug.records(level=dpb.DEBUG_LEVEL_WARNING)} == {"refusal"}
    others = await debug.records(table="hubs/default/tables/others")
    assert {record.table for record in others} == {"hubs/default/tables/others"}
    middle = everything[len(everything) // 2]
    since = await debug.records(since=middle.time)
    assert since == [record for record in everything if record.time.ToNanoseconds() >= middle.time.ToNanoseconds()]
    assert await debug.clear() == len(everything)
    assert await debug.records() == []
    await api.insert([user(60)])
    assert (await debug.records())[0].sequence == len(everything) + 1


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        ({"page_size": -1}, "BAD_WINDOW", "page_size"),
        ({"page_token": "nonsense"}, "BAD_PAGE_TOKEN", "page_token"),
        ({"filter": dpb.DebugFilter(kinds=["calls"])}, "MALFORMED_REQUEST", "filter.kinds[0]"),
        ({"filter": dpb.DebugFilter(table="a b")}, "BAD_NAME", "filter.table"),
        ({"filter": dpb.DebugFilter(session="hubs/other/sessions/s")}, "BAD_NAME", "filter.session"),
        ({"parent": "hubs/nobody"}, "UNKNOWN_HUB", "parent"),
    ],
)
async def test_what_cannot_be_listed(debug: Debug, request_: dict[str, Any], reason: str, field: str) -> None:
    refusal = await refused(debug.stub.ListDebugRecords(dpb.ListDebugRecordsRequest(**request_)))
    assert (refusal.reason, refusal.fields) == (reason, (field,))


async def test_the_ring_is_bounded_and_counts_what_left(api: Api, debug: Debug) -> None:
    await debug.on(capacity=10)
    for id in range(20, 60):
        await api.insert([user(id)])
    found = await debug.stub.GetDebugSettings(dpb.GetDebugSettingsRequest())
    sequences = [record.sequence for record in await debug.records()]
    assert found.record_count == len(sequences) == 10
    assert sequences == list(range(found.dropped_count + 1, found.dropped_count + 11))
    await debug.set(capacity=3)
    assert len(await debug.records()) == 3


def test_the_ring_is_bounded_in_bytes_too() -> None:
    ring = Ring(100, most_bytes=10_000)
    for _ in range(50):
        ring.add(Record(0.0, Level.INFO, "table", "x" * 500, 1))
        ring.check()
    assert len(ring) == 10
    assert ring.dropped == 40
    assert [record.sequence for record in ring.since(0)] == list(range(41, 51))
    assert [record.sequence for record in ring.since(48)] == [48, 49, 50]
    assert (ring.missed(30), ring.missed(41), ring.missed(51)) == (11, 0, 0)
    assert ring.clear() == 10
    assert (ring.missed(45), len(ring), ring.next) == (0, 0, 51)
    ring.check()


# Following


async def test_records_are_followed(api: Api, debug: Debug) -> None:
    await debug.on()
    await api.insert([user(20)])
    request = dpb.WatchDebugRecordsRequest(filter=dpb.DebugFilter(kinds=["commit"]), include_existing=True)
    call = debug.stub.WatchDebugRecords(request)
    later = debug.stub.WatchDebugRecords(dpb.WatchDebugRecordsRequest(filter=dpb.DebugFilter(kinds=["commit"])))
    first = await later.read()
    assert isinstance(first, dpb.WatchDebugRecordsResponse)
    assert not first.records
    await api.insert([user(21)])
    assert await versions(call, 2) == [3, 4]
    assert await versions(later, 1) == [4]


async def versions(call: Any, count: int) -> list[int]:
    found: list[int] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            response = await call.read()
            assert response is not grpc.aio.EOF
            assert response.missed_count == 0
            found.extend(record.version for record in response.records)
    return found


async def test_a_slow_follower_misses_records_and_holds_nobody_up(debug: Debug) -> None:
    async with serving() as (server, api):
        await api.create_users()
        host = server._hosts.by_name["default"]
        quiet = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(api.target, options=quiet) as channel:
            mode = Debug(Api(channel))
            await mode.on(capacity=100)
            call = mode.stub.WatchDebugRecords(dpb.WatchDebugRecordsRequest())
            await call.read()
            recorder = host.debug.recorder
            assert recorder is not None
            for _ in range(200):
                for _ in range(100):
                    recorder.add(Level.INFO, "hub", "x" * 1_000)
                await asyncio.sleep(0.001)
            last = host.debug.ring.next - 1
            missed, sequences = 0, list[int]()
            async with asyncio.timeout(20):
                while not sequences or sequences[-1] < last:
                    response = await call.read()
                    assert isinstance(response, dpb.WatchDebugRecordsResponse)
                    missed += response.missed_count
                    sequences.extend(record.sequence for record in response.records)
            assert sequences == sorted(set(sequences))
            assert len(sequences) + missed == last  # told, or counted
            assert missed > 0
            call.cancel()


async def test_followers_end_with_the_server() -> None:
    async with serving() as (server, api):
        debug = Debug(api)
        call = debug.stub.WatchDebugRecords(dpb.WatchDebugRecordsRequest())
        await call.read()
        stopping = asyncio.create_task(server.stop())
        assert (await to_the_end(call)).code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(stopping, 5)


async def test_there_are_not_too_many_followers(debug: Debug, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tesseract_grpc.server.debug.mode.MOST_FOLLOWERS", 1)
    first = debug.stub.WatchDebugRecords(dpb.WatchDebugRecordsRequest())
    await first.read()
    second = debug.stub.WatchDebugRecords(dpb.WatchDebugRecordsRequest())
    assert (await refused(second.read())).reason == "LIMIT_EXCEEDED"
    first.cancel()


async def test_debugging_is_for_administrators(tmp_path: Path) -> None:
    async with serving(token_file=write_tokens(tmp_path)) as (_, api):
        stub = Debug(api).stub
        for role, code in (("write", "ROLE_REQUIRED"), ("admin", None)):
            metadata = (("authorization", f"Bearer {role}-token-000000"),)
            call = stub.ListDebugRecords(dpb.ListDebugRecordsRequest(), metadata=metadata)
            if code is None:
                await call
            else:
                assert (await refused(call)).reason == code
