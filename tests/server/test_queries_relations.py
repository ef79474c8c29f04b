"""Sources, joins, lookups, unions and derived tables through the socket, followed while every table changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1.schema_pb2 import Column, Index, Table
from tesseract_grpc.engine.operators import room
from tesseract_grpc.testing import RecordingWatcher, check_stream, rows_of
from tests.server.boards import Board, drop, open_shop, put, query
from tests.server.support import Api, refused, serving
from tests.wire import batch


@pytest.fixture
async def shop() -> AsyncIterator[Api]:
    async with serving() as (_, api):
        await open_shop(api)
        yield api
        assert not (await api.hubs.CheckHub(hpb.CheckHubRequest())).violations


ON_PERSON = [{"left": "person", "right": "id"}]


async def test_a_join_follows_both_sides(shop: Api) -> None:
    board = await Board.open(
        shop,
        query(
            table="orders",
            joins=[
                {"source": {"table": "people"}, "on": ON_PERSON, "columns": [{"column": "name"}, {"column": "team"}]}
            ],
            filter={"custom": "team == 'north'"},
            columns=["name", "item"],
            sort=[{"column": "id"}],
        ),
    )
    assert await board.rows() == [
        {"id": 10, "name": "Bob", "item": "pen"},
        {"id": 12, "name": "Bob", "item": "ink"},
    ]
    await put(shop, "people", [{"id": 3, "team": "north"}, {"id": 2, "name": "Bea"}])
    assert await board.column("name") == ["Bea", "Cyd", "Bea"]
    await put(shop, "orders", [{"id": 13, "person": 3}, {"id": 10, "person": 4}])
    assert await board.column("id") == [11, 12, 13]
    await drop(shop, "people", 3)
    assert await board.column("id") == [12]


async def test_a_left_join_keeps_what_nothing_matches(shop: Api) -> None:
    join = {"source": {"table": "items"}, "kind": "JOIN_KIND_LEFT", "on": [{"left": "item", "right": "code"}]}
    board = await Board.open(shop, query(table="orders", joins=[{**join, "prefix": "the_"}], columns=["the_label"]))
    assert await board.column("the_label") == ["Pen", "Ink", "Ink", None]
    await put(shop, "items", [{"code": "cup", "label": "Cup"}, {"code": "ink", "label": "Blue ink"}])
    assert await board.column("the_label") == ["Pen", "Blue ink", "Blue ink", "Cup"]
    await drop(shop, "items", "pen")
    assert await board.column("the_label") == [None, "Blue ink", "Blue ink", "Cup"]


async def test_a_row_comes_once_for_each_match(shop: Api) -> None:
    join = {"source": {"table": "orders"}, "on": [{"left": "id", "right": "person"}], "prefix": "order_"}
    board = await Board.open(shop, query(table="people", joins=[join], columns=["name", "order_item"]))
    assert [(row["name"], row["order_item"]) for row in await board.rows()] == [
        ("Bob", "pen"), ("Bob", "ink"), ("Cyd", "ink"),
    ]  # fmt: skip
    assert board.reader.mirror.key_names == ("id", "order_id")
    await put(shop, "orders", [{"id": 14, "person": 1, "item": "mug"}, {"id": 12, "person": 3}])
    assert sorted((row["name"], row["order_item"]) for row in await board.rows()) == [
        ("Ada", "mug"), ("Bob", "pen"), ("Cyd", "ink"), ("Cyd", "ink"),
    ]  # fmt: skip


LOOKUP = {"source": {"table": "people"}, "on": [{"left": "person"}]}


async def test_a_join_of_too_many_rows_is_refused(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_ROWS", 4)
    on_item = {"source": {"query": {"table": "orders"}}, "on": [{"left": "item", "right": "item"}], "prefix": "o_"}
    squares = query(table="orders", joins=[on_item])
    refusal = await refused(shop.tables.Query(pb.QueryRequest(query=squares)))
    assert (refusal.code.name, refusal.reason) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
    assert "6 rows" in refusal.message
    await drop(shop, "orders", 12, 13)
    await shop.open("squares", squares)
    watch = shop.sessions.WatchSession(spb.WatchSessionRequest(name="squares"))
    await watch.read()
    await put(shop, "orders", [{"id": 14, "item": "cup"}, {"id": 15, "item": "mug"}])
    assert (await shop.sessions.QuerySession(spb.QuerySessionRequest(name="squares"))).total_count == 4
    await put(shop, "orders", [{"id": 15, "item": "cup"}])

    async def end() -> None:
        while await watch.read():
            pass

    assert (await refused(end())).reason == "LIMIT_EXCEEDED", "it ends alone: the commit was made"
    assert (await shop.all_rows("orders")).total_count == 4
    assert "squares" not in str(await shop.sessions.ListSessions(spb.ListSessionsRequest()))


async def test_a_union_of_too_many_rows_is_refused(shop: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_ROWS", 8)
    twice = query(source={"union": {"sources": [{"table": "orders"}, {"table": "orders"}]}})
    board = await Board.open(shop, twice)
    assert len(await board.rows()) == 8
    again = query(
        source={"union": {"sources": [{"subSession": "twice"}, {"subSession": "twice"}], "branchColumn": "half"}},
        subSessions={"twice": {"source": {"union": {"sources": [{"table": "orders"}, {"table": "orders"}]}}}},
    )
    refusal = await refused(shop.tables.Query(pb.QueryRequest(query=again)))
    assert (refusal.reason, "16 rows" in refusal.message) == ("LIMIT_EXCEEDED", True)
    await put(shop, "orders", [{"id": 99}])

    async def end() -> None:
        while await board.reader.call.read():
            pass

    assert (await refused(end())).reason == "LIMIT_EXCEEDED"


async def test_lookups_show_what_they_find(shop: Api) -> None:
    board = await Board.open(
        shop,
        query(
            table="orders",
            computed=[
                {"name": "who", "lookup": {**LOOKUP, "column": "name"}},
                {"name": "card", "lookup": {**LOOKUP, "template": "${name} (${team})"}},
                {"name": "size", "lookup": {**LOOKUP, "expression": "name.length + id"}},
                {"name": "loud", "expression": "who.toUpperCase()"},
            ],
            columns=["who", "card", "size", "loud"],
            filter={"custom": "who != 'Cyd'"},
        ),
    )
    assert await board.rows() == [
        {"id": 10, "who": "Bob", "card": "Bob (north)", "size": 5, "loud": "BOB"},
        {"id": 12, "who": "Bob", "card": "Bob (north)", "size": 5, "loud": "BOB"},
    ]
    await put(shop, "people", [{"id": 2, "name": "Robert"}, {"id": 3, "name": "Sid"}])
    assert await board.column("who") == ["Robert", "Sid", "Robert"]
    got = (await shop.sessions.GetSession(spb.GetSessionRequest(name=board.name))).session
    assert got.query.computed[0].lookup.on == [q.JoinKey(left="person", right="id")]
    assert got.query.computed[0].lookup.source.table == "hubs/default/tables/people"


async def test_sub_sessions_and_groups_of_groups(shop: Api) -> None:
    board = await Board.open(
        shop,
        query(
            table="people",
            subSessions={
                "paid": {"table": "orders", "filter": {"custom": "person != null"}},
                "stats": {
                    "source": {"subSession": "paid"},
                    "group": {
                        "by": ["person"],
                        "aggregates": [
                            {"name": "n", "function": "AGGREGATE_FUNCTION_COUNT"},
                            {"name": "worth", "function": "AGGREGATE_FUNCTION_SUM", "expression": "price * qty"},
                        ],
                    },
                },
            },
            computed=[
                {
                    "name": "worth",
                    "lookup": {
                        "source": {"subSession": "stats"},
                        "on": [{"left": "id", "right": "person"}],
                        "column": "worth",
                    },
                }
            ],
            columns=["name", "worth"],
            sort=[{"column": "worth", "direction": "SORT_DIRECTION_DESCENDING"}],
        ),
    )
    assert await board.rows() == [
        {"id": 2, "name": "Bob", "worth": 29.0},
        {"id": 3, "name": "Cyd", "worth": 8.0},
        {"id": 1, "name": "Ada", "worth": None},
        {"id": 4, "name": "Dan", "worth": None},
    ]
    await put(shop, "orders", [{"id": 13, "person": 4, "qty": 100}, {"id": 11, "qty": 2}])
    assert [(row["name"], row["worth"]) for row in await board.rows()][:3] == [
        ("Dan", 300.0), ("Bob", 29.0), ("Cyd", 16.0),
    ]  # fmt: skip


async def test_a_session_over_a_session_outlives_it(shop: Api) -> None:
    inks = query(table="orders", filter={"custom": "item == 'ink'"}, columns=["price", "qty"])
    await shop.open("inks", inks)
    board = await Board.open(
        shop, query(source={"session": "hubs/default/sessions/inks"}, filter={"custom": "price > 7"})
    )
    assert await board.rows() == [{"id": 11, "price": 8.0, "qty": 1}]
    got = (await shop.sessions.GetSession(spb.GetSessionRequest(name=board.name))).session
    assert got.query.source.session == "hubs/default/sessions/inks"
    await shop.sessions.DeleteSession(spb.DeleteSessionRequest(name="inks"))
    await put(shop, "orders", [{"id": 12, "price": 9.0}])
    found = await shop.sessions.QuerySession(spb.QuerySessionRequest(name=board.name))
    await board.reader.until(found.version)
    assert board.reader.ids() == [row["id"] for row in rows_of(found.rows)] == [11, 12]
    # An edit of it names a session that is there no more.
    edit = spb.Session(name=board.name, query=query(sort=[{"column": "qty"}]))
    update = spb.UpdateSessionRequest(session=edit, update_mask=FieldMask(paths=["query.sort"]))
    refusal = await refused(shop.sessions.UpdateSession(update))
    assert refusal.reason == "UNKNOWN_SESSION"


async def test_unions_keep_every_row(shop: Api) -> None:
    def part(filter: str) -> dict[str, Any]:
        return {"query": {"table": "orders", "filter": {"custom": filter}, "columns": ["item"]}}

    union = {"sources": [part("item == 'ink'"), part("qty > 1")], "branchColumn": "part"}
    board = await Board.open(shop, query(source={"union": union}))
    assert await board.rows() == [
        {"part": 0, "id": 11, "item": "ink"},
        {"part": 0, "id": 12, "item": "ink"},
        {"part": 1, "id": 10, "item": "pen"},
        {"part": 1, "id": 12, "item": "ink"},
    ]
    await put(shop, "orders", [{"id": 12, "item": "pen"}])
    assert [(row["part"], row["id"]) for row in await board.rows()] == [(0, 11), (1, 10), (1, 12)]


DERIVED = query(
    table="orders",
    joins=[{"source": {"table": "people"}, "on": ON_PERSON, "columns": [{"column": "name"}]}],
    computed=[{"name": "worth", "expression": "price * qty"}],
    columns=["name", "worth"],
)


async def derive(api: Api, id: str = "sales", **options: Any) -> pb.CreateTableResponse:
    table = Table(query=DERIVED, description="what was sold")
    return await api.tables.CreateTable(pb.CreateTableRequest(table_id=id, table=table, **options))


async def test_a_derived_table_is_a_table(shop: Api) -> None:
    checked = (await derive(shop, validate_only=True)).table
    assert ([column.name for column in checked.columns], checked.query) == (["id", "name", "worth"], DERIVED)
    created = await derive(shop)
    assert (created.version, created.table.row_count, created.table.description) == (7, 3, "what was sold")
    assert created.table.query.table == "hubs/default/tables/orders"
    table = (await shop.tables.GetTable(pb.GetTableRequest(name="sales"))).table
    table.ClearField("memory")
    assert table == created.table
    board = await Board.open(shop, query(table="sales", filter={"custom": "worth > 10"}))
    assert await board.column("worth") == [15.0, 14.0]
    await put(shop, "orders", [{"id": 11, "qty": 5}])
    assert await board.rows() == [
        {"id": 10, "name": "Bob", "worth": 15.0},
        {"id": 11, "name": "Cyd", "worth": 40.0},
        {"id": 12, "name": "Bob", "worth": 14.0},
    ]
    keys = batch([{"id": 11}, {"id": 99}], {"id": "int64"})
    found = await shop.tables.GetRows(pb.GetRowsRequest(table="sales", keys=keys, columns=["worth"]))
    assert rows_of(found.rows) == [{"id": 11, "worth": 40.0}]


async def test_a_derived_table_is_watched_as_a_table() -> None:
    async with serving() as (server, api):
        await open_shop(api)
        await derive(api)
        with grpc.insecure_channel(server.address) as channel, RecordingWatcher.table(channel, "sales") as watcher:
            await asyncio.to_thread(watcher.wait_for, 7)
            assert [row["worth"] for row in watcher.mirror.rows] == [15.0, 8.0, 14.0]
            version = await put(api, "orders", [{"id": 13, "person": 1}, {"id": 10, "qty": 1}])
            await asyncio.to_thread(watcher.wait_for, version)
            assert sorted(row["worth"] for row in watcher.mirror.rows) == [1.5, 3.0, 8.0, 14.0]
            check_stream(watcher.responses)


async def test_what_a_derived_table_refuses(shop: Api) -> None:
    await derive(shop)
    write = pb.WriteOperation(table="sales", delete=pb.Delete(keys=batch([{"id": 11}], {"id": "int64"})))
    refusal = await refused(shop.write(write))
    assert (refusal.reason, refusal.fields) == ("NOT_WRITABLE", ("operations[0].table",))
    for name in ("orders", "people"):
        refusal = await refused(shop.tables.DeleteTable(pb.DeleteTableRequest(name=name)))
        assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "TABLE_IN_USE")
    columns = Table(query=DERIVED, columns=[Column(name="x")])
    indexes = Table(query=DERIVED, indexes=[Index(column="name")])
    nothing = Table(query=query(table="orders", columns=["nobody"]))
    unnamed = Table(query=query(source={"session": "nobody"}))
    for table, reason, field in (
        (columns, "MALFORMED_REQUEST", "table.columns"),
        (indexes, "MALFORMED_REQUEST", "table.indexes"),
        (nothing, "UNKNOWN_COLUMN", "table.query.columns"),
        (unnamed, "UNKNOWN_SESSION", "table.query.source.session"),
        (Table(query=q.Query()), "BAD_NAME", "table.query.table"),
    ):
        refusal = await refused(shop.tables.CreateTable(pb.CreateTableRequest(table_id="other", table=table)))
        assert (refusal.reason, refusal.fields or (field,)) == (reason, (field,))
    assert (await refused(derive(shop, "orders"))).reason == "TABLE_EXISTS"
    await shop.tables.DeleteTable(pb.DeleteTableRequest(name="sales"))
    await shop.tables.DeleteTable(pb.DeleteTableRequest(name="orders"))


async def test_a_derived_table_may_have_indexes(shop: Api) -> None:
    await derive(shop)
    table = Table(name="sales", indexes=[Index(column="name")])
    update = pb.UpdateTableRequest(table=table, update_mask=FieldMask(paths=["indexes"]))
    assert len((await shop.tables.UpdateTable(update)).table.indexes) == 1
    await put(shop, "orders", [{"id": 13, "person": 3}])
    asked = query(table="sales", filter={"custom": "name == 'Cyd'"})
    assert [row["id"] for row in await (await Board.open(shop, asked)).rows()] == [11, 13]
    plan = await shop.sessions.ExplainSession(spb.ExplainSessionRequest(query=asked))
    assert "index name" in plan.text


async def test_names_are_followed_through_renames(shop: Api) -> None:
    await derive(shop)
    await shop.open("over", query(source={"query": {"table": "orders"}}))
    await shop.tables.RenameTable(pb.RenameTableRequest(name="orders", new_table_id="sold"))
    assert (
        await shop.tables.GetTable(pb.GetTableRequest(name="sales"))
    ).table.query.table == "hubs/default/tables/sold"
    got = (await shop.sessions.GetSession(spb.GetSessionRequest(name="over"))).session
    assert got.query.source.query.table == "hubs/default/tables/sold"


CIRCLE = {
    "a": {"source": {"subSession": "b"}},
    "b": {"source": {"subSession": "a"}},
}
REFUSED: dict[str, tuple[q.Query, str, str]] = {
    "an unknown source": (query(source={"table": "nobody"}), "UNKNOWN_TABLE", "query.source.table"),
    "an unknown session": (query(source={"session": "nobody"}), "UNKNOWN_SESSION", "query.source.session"),
    "a table of another hub": (
        query(source={"query": {"table": "hubs/other/tables/x"}}), "BAD_NAME", "query.source.query.table",
    ),
    "a session of another hub": (
        query(source={"session": "hubs/other/sessions/x"}), "BAD_NAME", "query.source.session",
    ),
    "an unknown sub-session": (query(source={"subSession": "nobody"}), "UNKNOWN_SESSION", "query.source.sub_session"),
    "a circle": (
        query(source={"subSession": "a"}, subSessions=CIRCLE),
        "BAD_SCHEMA", "query.sub_sessions[b].source.sub_session",
    ),
    "a join of an unknown table": (
        query(table="orders", joins=[{"source": {"table": "x"}, "on": ON_PERSON}]),
        "UNKNOWN_TABLE", "query.joins[0].source.table",
    ),
    "a join on an unknown column": (
        query(table="orders", joins=[{"source": {"table": "people"}, "on": [{"left": "x", "right": "id"}]}]),
        "UNKNOWN_COLUMN", "query.joins[0].on[0].left",
    ),
    "a join on an unknown column of the other": (
        query(table="orders", joins=[{"source": {"table": "people"}, "on": [{"left": "person", "right": "x"}]}]),
        "UNKNOWN_COLUMN", "query.joins[0].on[0].right",
    ),
    "a join of two types": (
        query(table="orders", joins=[{"source": {"table": "people"}, "on": [{"left": "item", "right": "id"}]}]),
        "WRONG_TYPE", "query.joins[0].on[0]",
    ),
    "a join that takes a name": (
        query(table="people", joins=[{"source": {"table": "people"}, "on": [{"left": "id", "right": "id"}]}]),
        "DUPLICATE_COLUMN", "query.joins[0].columns",
    ),
    "a lookup of an unknown column": (
        query(table="orders", computed=[{"name": "x", "lookup": {**LOOKUP, "column": "x"}}]),
        "UNKNOWN_COLUMN", "query.computed[0].lookup.column",
    ),
    "a union of different columns": (
        query(source={"union": {"sources": [{"table": "orders"}, {"table": "people"}]}}),
        "UNKNOWN_COLUMN", "query.source.union.sources[1]",
    ),
    "deep in a sub-session": (
        query(table="orders", subSessions={"s": {"table": "people", "filter": {"comparison": {"column": "x"}}}}),
        "MALFORMED_FILTER", "query.sub_sessions[s].filter.comparison.operator",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
async def test_relations_that_cannot_be_are_refused(shop: Api, what: str) -> None:
    asked, reason, field = REFUSED[what]
    refusal = await refused(shop.tables.Query(pb.QueryRequest(query=asked)))
    assert refusal.code.name in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert (refusal.reason, refusal.fields or (field,)) == (reason, (field,))
