"""WatchHub through the socket: what happens to tables, to sessions and to the hub itself."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.server.services import hub_story
from tests.server.support import Api, refused, serving, sort, take_apart, user

QUIET = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
"""A client that does not widen its windows, and a connection of its own."""


class Reader:
    """Reads one watch of the hub, Progress aside."""

    def __init__(self, api: Api, **fields: Any) -> None:
        self.call = api.hubs.WatchHub(hpb.WatchHubRequest(**fields))
        self.version = 0

    async def any(self) -> hpb.WatchHubResponse:
        response = await asyncio.wait_for(self.call.read(), 10)
        assert isinstance(response, hpb.WatchHubResponse), "the stream ended"
        assert response.version >= self.version, "versions fall"
        self.version = response.version
        return response

    async def next(self) -> hpb.WatchHubResponse:
        while True:
            response = await self.any()
            if response.WhichOneof("event") != "progress":
                return response

    async def expect(self, event: str) -> Any:
        response = await self.next()
        assert response.WhichOneof("event") == event, response
        return getattr(response, event)

    async def until_progress(self) -> list[hpb.WatchHubResponse]:
        found = []
        while (response := await self.any()).WhichOneof("event") != "progress":
            found.append(response)
        return found


async def test_it_begins_with_the_hub_and_tells_nothing_of_before(api: Api) -> None:
    reader = Reader(api)
    begin = await reader.expect("begin")
    assert (begin.hub.name, begin.hub.version, begin.hub.table_count) == ("hubs/default", 2, 1)
    assert begin.progress_interval_ms == 5_000
    await api.insert([user(9)])  # rows are no news here
    await api.create_users("others")
    created = await reader.next()
    assert (created.version, created.table_created.name) == (4, "hubs/default/tables/others")
    assert [column.name for column in created.table_created.columns][:2] == ["id", "name"]
    asked = await api.hubs.RequestProgress(hpb.RequestProgressRequest(watch_id=begin.watch_id))
    progress = await reader.any()
    assert (progress.WhichOneof("event"), progress.version >= asked.version) == ("progress", True)
    assert abs(progress.progress.seconds - time.time()) < 60


async def test_the_life_of_a_table(api: Api) -> None:
    reader = Reader(api)
    await reader.expect("begin")
    await api.create_users("people")
    assert (await reader.expect("table_created")).name == "hubs/default/tables/people"
    table = schema_pb2.Table(name="people", description="all of them")
    await api.tables.UpdateTable(pb.UpdateTableRequest(table=table, update_mask=FieldMask(paths=["description"])))
    altered = await reader.expect("table_altered")
    assert (altered.name, altered.description) == ("hubs/default/tables/people", "all of them")
    await api.tables.RenameTable(pb.RenameTableRequest(name="people", new_table_id="persons"))
    renamed = await reader.expect("table_renamed")
    assert (renamed.old_name, renamed.table.name) == ("hubs/default/tables/people", "hubs/default/tables/persons")
    await api.open("members", query_pb2.Query(table="persons"))
    assert (await reader.expect("session_opened")).name == "hubs/default/sessions/members"
    await api.tables.DeleteTable(pb.DeleteTableRequest(name="persons"))
    closed = await reader.expect("session_closed")
    assert (closed.name, closed.reason) == ("hubs/default/sessions/members", "TABLE_DELETED")
    assert "persons" in closed.message
    assert await reader.expect("table_deleted") == "hubs/default/tables/persons"


async def test_what_changes_nothing_is_no_news(api: Api) -> None:
    await api.open("all")
    reader = Reader(api)
    await reader.expect("begin")
    await api.tables.DeleteTable(pb.DeleteTableRequest(name="nobody", allow_missing=True))
    await refused(api.create_users())
    await api.tables.CreateTable(
        pb.CreateTableRequest(
            table_id="checked",
            table=schema_pb2.Table(columns=[schema_pb2.Column(name="id", type=2, primary_key=True)]),  # type: ignore[arg-type]
            validate_only=True,
        )
    )
    await api.open("all")  # the same again
    await api.sessions.UpdateSession(
        spb.UpdateSessionRequest(
            session=spb.Session(name="all", query=query_pb2.Query(sort=[])), update_mask=FieldMask(paths=["query.sort"])
        )
    )
    await api.create_users("marker")
    assert (await reader.expect("table_created")).name == "hubs/default/tables/marker"


async def test_the_life_of_sessions_named_and_anonymous() -> None:
    async with serving(idle_timeout=0.2) as (_, api):
        await api.create_users()
        reader = Reader(api)
        await reader.expect("begin")
        await api.open("named")
        opened = await reader.expect("session_opened")
        assert (opened.name, opened.anonymous, opened.query.table) == (
            "hubs/default/sessions/named",
            False,
            "hubs/default/tables/users",
        )
        edit = spb.Session(name="named", query=query_pb2.Query(sort=[sort("age")]))
        request = spb.UpdateSessionRequest(session=edit, update_mask=FieldMask(paths=["query.sort"]))
        await api.sessions.UpdateSession(request)
        edited = await reader.expect("session_edited")
        assert (edited.generation, edited.query.sort[0].column) == (2, "age")
        request.session.description = "by age"
        request.update_mask.paths[:] = ["description"]
        await api.sessions.UpdateSession(request)
        assert (await reader.expect("session_edited")).description == "by age"
        await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="named"))
        assert (await reader.expect("session_closed")).reason == "SESSION_DELETED"
        await api.open("")
        anonymous = await reader.expect("session_opened")
        assert anonymous.anonymous
        assert anonymous.idle_timeout.ToMilliseconds() == 200
        closed = await reader.expect("session_closed")
        assert (closed.name, closed.reason) == (anonymous.name, "SESSION_EXPIRED")


async def test_what_there_is_comes_first_when_asked_for(api: Api) -> None:
    await api.create_users("others")
    await api.open("one")
    await api.open("two", query_pb2.Query(table="others"))
    reader = Reader(api, include_existing=True)
    await reader.expect("begin")
    told = await reader.until_progress()
    names = [getattr(response, response.WhichOneof("event") or "").name for response in told]
    assert names == [
        "hubs/default/tables/users",
        "hubs/default/tables/others",
        "hubs/default/sessions/one",
        "hubs/default/sessions/two",
    ]
    assert told[0].table_created.row_count == 5
    await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="one"))
    assert (await reader.expect("session_closed")).name == "hubs/default/sessions/one"


async def test_what_happens_while_it_is_told_what_there_is() -> None:
    """Whatever comes in between, in the end the reader knows exactly what there is."""
    async with serving() as (_, api):
        await api.create_users()
        for number in range(300):
            await api.open(f"s{number}")
        for number in range(10):
            await api.create_users(f"t{number}")
        reader = Reader(api, include_existing=True)
        busy = asyncio.gather(
            *(api.sessions.DeleteSession(spb.DeleteSessionRequest(name=f"s{n}")) for n in range(0, 300, 7)),
            *(
                api.tables.RenameTable(pb.RenameTableRequest(name=f"t{n}", new_table_id=f"r{n}"))
                for n in range(0, 10, 3)
            ),
            *(api.tables.DeleteTable(pb.DeleteTableRequest(name=f"t{n}")) for n in range(1, 10, 3)),
            *(api.open(f"new{n}") for n in range(20)),
        )
        await busy
        await api.create_users("marker")
        known: set[str] = set()
        complete = False
        while not complete or "hubs/default/tables/marker" not in known:
            response = await reader.any()
            kind = response.WhichOneof("event")
            match kind:
                case "progress":
                    complete = True
                case "table_created" | "session_opened":
                    name = getattr(response, kind).name
                    assert name not in known, f"{name} is told twice"
                    known.add(name)
                case "table_deleted":
                    known.remove(response.table_deleted)
                case "session_closed":
                    known.remove(response.session_closed.name)
                case "table_renamed":
                    known.remove(response.table_renamed.old_name)
                    known.add(response.table_renamed.table.name)
        tables = (await api.tables.ListTables(pb.ListTablesRequest(page_size=1_000))).tables
        sessions = (await api.sessions.ListSessions(spb.ListSessionsRequest(page_size=1_000))).sessions
        assert known == {table.name for table in tables} | {session.name for session in sessions}


async def test_an_idle_watch_says_progress() -> None:
    async with serving(progress_interval=0.2) as (_, api):
        reader = Reader(api)
        await reader.expect("begin")
        begun = time.monotonic()
        assert (await reader.any()).WhichOneof("event") == "progress"
        assert time.monotonic() - begun < 1.0


async def test_the_state_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(data=tmp_path) as (server, api):
        await api.create_users()
        reader = Reader(api)
        await reader.expect("begin")
        log: Any = server._hosts.by_name["default"].journal.log

        def full() -> None:
            raise log._fail("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(log, "flush", full)
            await refused(api.insert([user(1)]))
        state = await reader.expect("hub_state")
        assert (state.state, state.state_message) == (hpb.HUB_STATE_READ_ONLY, "no space left")
        assert (await reader.expect("hub_state")).state == hpb.HUB_STATE_SERVING


async def test_a_start_tells_nothing_of_what_it_reads_in_the_log(tmp_path: Path) -> None:
    async with serving(data=tmp_path) as (_, api):
        await api.create_users()
        await api.open("all")
    async with serving(data=tmp_path) as (_, api):
        reader = Reader(api)
        assert (await reader.expect("begin")).hub.session_count == 1
        await api.create_users("marker")
        assert (await reader.expect("table_created")).name == "hubs/default/tables/marker"


async def test_it_ends_with_the_server_and_for_those_who_may_not() -> None:
    async with serving() as (server, api):
        reader = Reader(api)
        await reader.expect("begin")
        assert (await refused(api.hubs.WatchHub(hpb.WatchHubRequest(name="nobody")).read())).reason == "UNKNOWN_HUB"
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await reader.next()
        assert take_apart(caught.value).reason == "SERVER_SHUTTING_DOWN"
        await stopping


async def test_a_reader_who_does_not_read_is_ended_and_nobody_else_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_story, "QUEUE", 50)
    async with serving(lag_after=0.2) as (server, api):
        await api.create_users()
        host = server._hosts.by_name["default"]
        async with grpc.aio.insecure_channel(api.target, options=QUIET) as channel:
            stuck = Api(channel).hubs.WatchHub(hpb.WatchHubRequest())
            await stuck.read()
            other = Reader(api)
            await other.expect("begin")
            heard, number, worst = 0, 0, 0.0
            table = schema_pb2.Table(name="users", description="x" * 1_000)
            request = pb.UpdateTableRequest(table=table, update_mask=FieldMask(paths=["description"]))
            while host.audience.tally.slow_readers == 0:
                assert number < 5_000, "nobody noticed"
                begun = time.perf_counter()
                await api.tables.UpdateTable(request)
                worst = max(worst, time.perf_counter() - begun)
                await other.expect("table_altered")
                heard, number = heard + 1, number + 1
            assert heard == number
            assert worst < 1.0
            error = await to_the_end(stuck)
            assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_READER")
            assert "events of the hub wait" in error.message
        await api.tables.UpdateTable(request)
        await other.expect("table_altered")


async def to_the_end(call: Any) -> Any:
    async with asyncio.timeout(20):
        try:
            while await call.read() is not grpc.aio.EOF:
                pass
        except grpc.aio.AioRpcError as error:
            return take_apart(error)
    raise AssertionError("it ended well")


async def test_a_reader_bears_more_at_once_than_waits_for_it_in_general(monkeypatch: pytest.MonkeyPatch) -> None:
    """To delete a table closes its sessions in one step, however many they are."""
    monkeypatch.setattr(hub_story, "QUEUE", 10)
    async with serving() as (_, api):
        await api.create_users()
        for number in range(100):
            await api.open(f"s{number}", query_pb2.Query(table="users", columns=["id"]))
        reader = Reader(api)
        await reader.expect("begin")
        await api.tables.DeleteTable(pb.DeleteTableRequest(name="users"))
        closed = {(await reader.expect("session_closed")).name for _ in range(100)}
        assert len(closed) == 100
        assert await reader.expect("table_deleted") == "hubs/default/tables/users"
