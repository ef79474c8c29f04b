"""Editing live sessions through the socket: what changes, what watchers are told, what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import change_pb2
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import Answer, check_stream, rows_of
from tests.server.support import Api, compare, refused, rows, serving, sort, user
from tests.server.test_watch_session import Reader

OVER_21 = compare("age", "GREATER", int64_value=21)
OVER_23 = compare("age", "GREATER", int64_value=23)
ADULTS = q.Query(table="users", filter=OVER_21, columns=["name", "age"], sort=[sort("age")])


async def edit(api: Api, *paths: str, **options: Any) -> spb.UpdateSessionResponse:
    """Edits the session "adults": what the paths name becomes what `query` has."""
    session = spb.Session(name=options.pop("name", "adults"), description=options.pop("description", ""))
    session.query.CopyFrom(options.pop("query", q.Query()))
    mask = FieldMask(paths=paths)
    return await api.sessions.UpdateSession(spb.UpdateSessionRequest(session=session, update_mask=mask, **options))


async def shown(api: Api, name: str = "adults") -> Answer:
    found = await api.sessions.QuerySession(spb.QuerySessionRequest(name=name))
    return Answer(rows_of(found.rows), found.total_count)


async def test_an_edit_changes_what_the_mask_names(api: Api) -> None:
    await api.open("adults", ADULTS, description="old")
    response = await edit(api, "query.filter", query=q.Query(table="nobody", filter=OVER_23, sort=[sort("name")]))
    assert response.version == 3
    assert response.session.generation == 2
    assert response.session.query == q.Query(
        table="hubs/default/tables/users", filter=OVER_23, columns=["name", "age"], sort=response.session.query.sort
    )
    assert [key.column for key in response.session.query.sort] == ["age"]
    assert response.session.description == "old"
    assert (await shown(api)).total_count == 1
    got = (await api.sessions.GetSession(spb.GetSessionRequest(name="adults"))).session
    assert got == response.session
    response = await edit(api, "query.filter")
    assert not response.session.query.HasField("filter")
    assert response.session.total_count == 5


async def test_a_whole_query_can_be_given(api: Api) -> None:
    await api.open("adults", ADULTS)
    response = await edit(api, "query", query=q.Query(table="users", sort=[sort("age", descending=True)]))
    assert not response.session.query.columns
    assert len(response.session.columns) == 8
    assert [row["id"] for row in (await shown(api)).rows] == [4, 3, 2, 1, 0]


async def test_what_is_the_same_takes_no_version(api: Api) -> None:
    await api.open("adults", ADULTS)
    response = await edit(api, "query.filter", "description", query=q.Query(filter=OVER_21), description="new")
    assert (response.version, response.session.generation, response.session.description) == (2, 1, "new")


async def test_validate_only_tells_and_edits_nothing(api: Api) -> None:
    await api.open("adults", ADULTS)
    response = await edit(api, "query.filter", "query.columns", query=q.Query(filter=OVER_23), validate_only=True)
    assert (response.version, response.session.generation, response.session.total_count) == (0, 2, 1)
    assert [column.name for column in response.session.columns][:3] == ["id", "name", "age"]
    assert len(response.session.columns) == 8
    kept = (await api.sessions.GetSession(spb.GetSessionRequest(name="adults"))).session
    assert (kept.generation, kept.total_count) == (1, 3)


async def test_an_edit_with_a_request_id_is_made_once(api: Api) -> None:
    await api.open("adults", ADULTS)
    first = await edit(api, "query.filter", query=q.Query(filter=OVER_23), request_id="once")
    await edit(api, "query.filter", query=q.Query(filter=OVER_21))
    assert await edit(api, "query.filter", query=q.Query(filter=OVER_23), request_id="once") == first
    assert (await shown(api)).total_count == 3


@pytest.mark.parametrize("window", [None, q.Window(limit=2)])
async def test_watchers_are_told_the_difference(api: Api, window: q.Window | None) -> None:
    await api.open("adults", ADULTS)
    reader = await Reader(api, name="adults", window=window).until(2)
    truth = {}
    for version, (paths, query) in enumerate(
        [
            (["query.filter"], q.Query(filter=OVER_23)),
            (["query.filter", "query.sort"], q.Query(sort=[sort("age", descending=True)])),
            (["query.columns"], q.Query(columns=["score", "name"])),
            (["query.columns", "query.filter"], q.Query(columns=["name"], filter=OVER_21)),
        ],
        start=3,
    ):
        response = await edit(api, *paths, query=query)
        assert response.version == version
        answer = await shown(api)
        truth[version] = Answer(answer.rows[: None if window is None else 2], answer.total_count)
        await reader.until(version)
        assert reader.mirror.rows == truth[version].rows
        assert reader.mirror.generation == version - 1
    check_stream(reader.responses, truth)
    events = reader.events()
    assert events.count("snapshot_end") == 1
    assert events.count("session_changed") == 4
    first = reader.responses[events.index("session_changed") + 1]
    assert (first.generation, first.from_version, first.to_version) == (2, 2, 3)
    assert not first.changes.updates, "rows that stay as they are are not sent again"


async def test_an_edit_that_shows_the_same_rows_is_told(api: Api) -> None:
    await api.open("adults", ADULTS)
    reader = await Reader(api, name="adults").until(2)
    await edit(api, "query.filter", query=q.Query(filter=compare("age", "GREATER_OR_EQUAL", int64_value=22)))
    await reader.until(3)
    check_stream(reader.responses)
    assert reader.events()[-2:] == ["session_changed", "changes"]
    assert reader.responses[-1].changes == change_pb2.Changes(total_count=3)


async def test_commits_around_an_edit_are_told_in_order(api: Api) -> None:
    await api.open("adults", ADULTS)
    reader = await Reader(api, name="adults", min_interval={"nanos": 200_000_000}).until(2)
    await api.insert([user(10)])
    await reader.until(3)
    await api.insert([user(11)])  # held back by min_interval when the edit comes
    await edit(api, "query.columns", query=q.Query(columns=["score"]))
    await api.insert([user(12)])
    await reader.until(6)
    check_stream(reader.responses, {6: await shown(api)})
    assert reader.events().count("snapshot_end") == 1


async def test_an_edit_of_what_names_the_rows_is_a_reset(api: Api) -> None:
    await api.open("adults", ADULTS)
    reader = await Reader(api, name="adults").until(2)
    count = q.Aggregate(name="n", function=q.AGGREGATE_FUNCTION_COUNT)
    grouped = q.Query(table="users", group=q.Grouping(by=["active"], aggregates=[count]))
    await edit(api, "query", query=grouped)
    await reader.until(3)
    check_stream(reader.responses, {3: await shown(api)})
    assert reader.events()[-4:] == ["reset", "begin", "snapshot_rows", "snapshot_end"]
    reset = next(each for each in reader.responses if each.WhichOneof("event") == "reset")
    assert reset.reset.reason == change_pb2.RESET_REASON_DEFINITION_CHANGED
    assert {each.generation for each in reader.responses[-4:]} == {2}
    await api.insert([user(9, active=True)])
    await reader.until(4)
    assert reader.mirror.rows == (await shown(api)).rows


async def test_two_edits_behind_a_slow_reader_lead_to_the_last(api: Api) -> None:
    await api.open("adults", ADULTS)
    reader = await Reader(api, name="adults", min_interval={"nanos": 300_000_000}).until(2)
    await api.insert([user(10)])
    await reader.until(3)
    await edit(api, "query.filter", query=q.Query(filter=OVER_23))
    await edit(api, "query.columns", query=q.Query(columns=["score"]))
    await reader.until(5)
    check_stream(reader.responses, {5: await shown(api)})


async def test_edits_disturb_no_other_session(api: Api) -> None:
    await api.open("adults", ADULTS)
    await api.open("others", ADULTS)
    reader = await Reader(api, name="others").until(2)
    await edit(api, "query.filter", query=q.Query(filter=OVER_23))
    await api.insert([user(10)])
    await reader.until(4)
    check_stream(reader.responses, {4: await shown(api, "others")})
    assert "session_changed" not in reader.events()


async def test_a_permanent_filter_can_be_narrowed_and_never_widened(api: Api) -> None:
    session = await api.open("adults", q.Query(table="users", sort=[sort("id")]), permanent_filter=OVER_21)
    assert session.permanent_filter == OVER_21
    assert not session.query.HasField("filter")
    assert session.total_count == 3
    narrowed = await edit(api, "query.filter", query=q.Query(filter=compare("id", "GREATER", int64_value=3)))
    assert [row["id"] for row in (await shown(api)).rows] == [4]
    assert narrowed.session.permanent_filter == OVER_21
    wide = await edit(api, "query.filter", query=q.Query(filter=compare("id", "GREATER", int64_value=-1)))
    assert wide.session.total_count == 3
    await edit(api, "query", query=q.Query(table="users"))
    assert (await shown(api)).total_count == 3
    await api.write(pb.WriteOperation(table="users", update=pb.Update(rows=rows([{"id": 4, "age": 1}]))))
    assert (await shown(api)).total_count == 2


async def test_the_permanent_filter_is_part_of_a_definition(api: Api) -> None:
    await api.open("adults", ADULTS, permanent_filter=OVER_23)
    assert (await api.open("adults", ADULTS, permanent_filter=OVER_23)).generation == 1
    for other in (None, OVER_21):
        refusal = await refused(api.open("adults", ADULTS, permanent_filter=other))
        assert refusal.reason == "SESSION_EXISTS"
    request = spb.CreateSessionRequest(
        session_id="new", session=spb.Session(query=ADULTS, permanent_filter=OVER_23), validate_only=True
    )
    session = (await api.sessions.CreateSession(request)).session
    assert (session.total_count, session.permanent_filter) == (1, OVER_23)


async def test_a_large_session_is_sorted_aside_while_others_write() -> None:
    async with serving() as (server, api):
        await api.create_users()
        count = 51_000
        numbers = [{"id": id, "name": "x", "age": id * 7919 % count} for id in range(count)]
        await api.insert(numbers)
        await api.open("adults", q.Query(table="users", columns=["age"]))
        reader = await Reader(api, name="adults", window=q.Window(limit=3)).until(2)
        call = edit(api, "query.sort", query=q.Query(sort=[sort("age", descending=True)]))
        editing = asyncio.create_task(call)
        await asyncio.sleep(0)
        await api.insert([user(count, age=count), user(count + 1, age=-1)])
        await editing
        version = server.hubs["default"].version
        assert version == 4
        await reader.until(version)
        found = await api.sessions.QuerySession(spb.QuerySessionRequest(name="adults", window=q.Window(limit=3)))
        assert [row["age"] for row in rows_of(found.rows)] == [count, count - 1, count - 2]
        check_stream(reader.responses, {version: Answer(rows_of(found.rows), found.total_count)})


async def test_an_edit_that_is_wrong_changes_nothing(api: Api) -> None:
    await api.open("adults", ADULTS)
    before = (await api.sessions.GetSession(spb.GetSessionRequest(name="adults"))).session
    for paths, query, reason, field in (
        ([], q.Query(), "MALFORMED_REQUEST", "update_mask"),
        (["name"], q.Query(), "MALFORMED_REQUEST", "update_mask"),
        (["query.filter.custom"], q.Query(), "MALFORMED_REQUEST", "update_mask"),
        (["permanent_filter"], q.Query(), "NOT_WRITABLE", "update_mask"),
        (["query.table"], q.Query(), "BAD_NAME", "session.query.table"),
        (["query.table"], q.Query(table="nobody"), "UNKNOWN_TABLE", "session.query.table"),
        (["query.columns"], q.Query(columns=["nobody"]), "UNKNOWN_COLUMN", "session.query.columns"),
        (["query.sort"], q.Query(sort=[sort("notes")]), "BAD_SORT", "session.query.sort[0].column"),
        (
            ["query.filter"],
            q.Query(filter=compare("name", "EQUAL", int64_value=1)),
            "WRONG_TYPE",
            "session.query.filter.comparison.value",
        ),
    ):
        refusal = await refused(edit(api, *paths, query=query))
        assert (refusal.reason, *refusal.fields) == (reason, field)
    assert (await refused(edit(api, "query", name="nobody"))).reason == "UNKNOWN_SESSION"
    assert (await api.sessions.GetSession(spb.GetSessionRequest(name="adults"))).session == before
