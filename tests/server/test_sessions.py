"""SessionService: sessions and reading them."""

from __future__ import annotations

import asyncio

from google.protobuf.duration_pb2 import Duration

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import rows_of
from tests.server.support import Api, compare, refused, serving, sort, user

ADULTS = q.Query(
    table="users",
    filter=compare("age", "GREATER", int64_value=21),
    columns=["name"],
    sort=[sort("age", descending=True)],
)


async def test_a_session_says_what_it_is(api: Api) -> None:
    session = await api.open("adults", ADULTS, description="grown up")
    assert session.name == "hubs/default/sessions/adults"
    assert session.query.table == "hubs/default/tables/users"
    assert session.query.filter == ADULTS.filter
    assert [column.name for column in session.columns] == ["id", "name"]
    assert (session.anonymous, session.generation, session.total_count, session.watcher_count) == (False, 1, 3, 0)
    assert session.description == "grown up"
    assert session.create_time.seconds > 0
    assert not session.HasField("idle_timeout")
    assert (await api.sessions.GetSession(spb.GetSessionRequest(name="adults"))).session == session


async def test_the_query_comes_back_whole(api: Api) -> None:
    filter = q.Filter(
        any_of=q.FilterList(
            filters=[
                q.Filter(negate=compare("age", "LESS", float64_value=1.5)),
                q.Filter(membership=q.Membership(column="name", values=[], negated=True)),
                q.Filter(like=q.Like(column="name", pattern="a", negated=True)),
                q.Filter(regex=q.Regex(column="name", pattern="a", case_insensitive=True)),
                q.Filter(null_test=q.NullTest(column="age", negated=True)),
                q.Filter(all_of=q.FilterList()),
                compare("born", "GREATER", timestamp_value=5),
                compare("active", "NOT_EQUAL"),
            ]
        )
    )
    session = await api.open("all", q.Query(table="users", filter=filter))
    assert session.query.filter == filter


async def test_the_same_session_again_is_the_same_session(api: Api) -> None:
    first = await api.open("adults", ADULTS)
    assert await api.open("adults", ADULTS) == first
    found = await refused(api.open("adults", q.Query(table="users")))
    assert (found.reason, found.resource) == ("SESSION_EXISTS", "hubs/default/sessions/adults")


async def test_reading_a_session(api: Api) -> None:
    await api.open("adults", ADULTS)
    request = spb.QuerySessionRequest(name="adults", window=q.Window(limit=2))
    response = await api.sessions.QuerySession(request)
    assert rows_of(response.rows) == [{"id": 4, "name": "user 4"}, {"id": 3, "name": "user 3"}]
    assert (response.total_count, response.version) == (3, 2)
    assert [column.name for column in response.columns] == ["id", "name"]
    call = api.sessions.QuerySession(spb.QuerySessionRequest(name="adults", min_version=3))
    await asyncio.sleep(0.02)
    await api.insert([user(9)])
    assert (await call).total_count == 4


async def test_streaming_a_session() -> None:
    async with serving(piece_bytes=2_048) as (_, api):
        await api.create_users()
        await api.insert([user(id) for id in range(500)])
        await api.open("adults", ADULTS)
        request = spb.QuerySessionStreamRequest(name="adults")
        pieces = [piece async for piece in api.sessions.QuerySessionStream(request)]
        assert len(pieces) > 3
        assert [row["id"] for piece in pieces for row in rows_of(piece.rows)] == list(range(499, 1, -1))
        assert {piece.version for piece in pieces} == {2}
        assert [bool(piece.columns) for piece in pieces] == [True] + [False] * (len(pieces) - 1)


async def test_sessions_are_listed_and_deleted(api: Api) -> None:
    for name in ("b", "a", "c"):
        await api.open(name)
    response = await api.sessions.ListSessions(spb.ListSessionsRequest(page_size=2))
    assert [session.name[-1] for session in response.sessions] == ["a", "b"]
    rest = await api.sessions.ListSessions(spb.ListSessionsRequest(page_token=response.next_page_token))
    assert [session.name[-1] for session in rest.sessions] == ["c"]
    await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="b"))
    assert (await refused(api.sessions.DeleteSession(spb.DeleteSessionRequest(name="b")))).reason == "UNKNOWN_SESSION"
    await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="b", allow_missing=True))
    response = await api.sessions.ListSessions(spb.ListSessionsRequest())
    assert [session.name[-1] for session in response.sessions] == ["a", "c"]


async def test_validate_only_opens_nothing(api: Api) -> None:
    session = spb.Session(query=ADULTS, description="x")
    request = spb.CreateSessionRequest(session_id="adults", session=session, validate_only=True)
    response = await api.sessions.CreateSession(request)
    assert (response.version, response.session.total_count, response.session.generation) == (0, 3, 1)
    assert [column.name for column in response.session.columns] == ["id", "name"]
    assert (await refused(api.sessions.GetSession(spb.GetSessionRequest(name="adults")))).reason == "UNKNOWN_SESSION"
    await api.open("adults", q.Query(table="users"))
    assert (await refused(api.sessions.CreateSession(request))).reason == "SESSION_EXISTS"


async def test_sessions_end_with_their_table(api: Api) -> None:
    await api.open("adults", ADULTS)
    await api.tables.DeleteTable(pb.DeleteTableRequest(name="users"))
    assert (await refused(api.sessions.GetSession(spb.GetSessionRequest(name="adults")))).reason == "UNKNOWN_SESSION"


async def test_an_anonymous_session_ends_after_its_last_watcher(api: Api) -> None:
    session = await api.open("", ADULTS, idle_timeout=Duration(nanos=300_000_000))
    assert session.anonymous
    assert session.idle_timeout.ToMilliseconds() == 300
    watch = api.sessions.WatchSession(spb.WatchSessionRequest(name=session.name))
    await watch.read()
    await asyncio.sleep(0.5)
    found = (await api.sessions.GetSession(spb.GetSessionRequest(name=session.name))).session
    assert found.watcher_count == 1
    watch.cancel()
    await asyncio.sleep(0.1)
    assert (await api.sessions.GetSession(spb.GetSessionRequest(name=session.name))).session.watcher_count == 0
    await asyncio.sleep(0.5)
    assert (
        await refused(api.sessions.GetSession(spb.GetSessionRequest(name=session.name)))
    ).reason == "UNKNOWN_SESSION"


async def test_an_anonymous_session_that_nobody_watches_ends_too(api: Api) -> None:
    session = await api.open("", ADULTS, idle_timeout=Duration(nanos=200_000_000))
    for _ in range(4):  # reading it keeps it alive
        await asyncio.sleep(0.1)
        await api.sessions.QuerySession(spb.QuerySessionRequest(name=session.name))
    await asyncio.sleep(0.4)
    assert (
        await refused(api.sessions.GetSession(spb.GetSessionRequest(name=session.name)))
    ).reason == "UNKNOWN_SESSION"


async def test_the_idle_timeout_is_the_configured_one_by_default() -> None:
    async with serving(idle_timeout=7.5) as (_, api):
        await api.create_users()
        session = await api.open("", q.Query(table="users"))
        assert session.idle_timeout.ToMilliseconds() == 7_500


async def test_a_retry_of_an_anonymous_session_gets_the_first_one(api: Api) -> None:
    request = spb.CreateSessionRequest(session=spb.Session(query=ADULTS), request_id="r")
    first = await api.sessions.CreateSession(request)
    assert await api.sessions.CreateSession(request) == first
    assert len((await api.sessions.ListSessions(spb.ListSessionsRequest())).sessions) == 1
