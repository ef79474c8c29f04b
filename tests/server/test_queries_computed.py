"""Computed columns and the hub's clock through the socket: in tables, in queries, and as time goes by."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc._proto.tesseract.v1.schema_pb2 import Column, Table
from tesseract_grpc.testing import Answer, ManualClock, check_stream, rows_of
from tests.server.support import Api, refused, serving, sort, user
from tests.server.test_watch_session import Reader
from tests.wire import batch

INT64, FLOAT64, STRING = value_pb2.DATA_TYPE_INT64, value_pb2.DATA_TYPE_FLOAT64, value_pb2.DATA_TYPE_STRING
TIMESTAMP = value_pb2.DATA_TYPE_TIMESTAMP
ID = Column(name="id", type=INT64, primary_key=True)


async def create(api: Api, *columns: Column, **options: Any) -> pb.CreateTableResponse:
    table = Table(columns=[ID, *columns])
    return await api.tables.CreateTable(pb.CreateTableRequest(table_id="t", table=table, **options))


async def put(api: Api, rows: list[dict[str, Any]], types: dict[str, str]) -> pb.WriteResponse:
    return await api.write(pb.WriteOperation(table="t", upsert=pb.Upsert(rows=batch(rows, types))))


async def ask(api: Api, **query: Any) -> list[dict[str, Any]]:
    found = await api.tables.Query(pb.QueryRequest(query=q.Query(**query)))
    return rows_of(found.rows)


async def test_a_table_computes_columns() -> None:
    async with serving() as (_, api):
        columns = (
            Column(name="double", expression="total * 2"),  # in any order
            Column(name="price", type=FLOAT64),
            Column(name="qty", type=INT64),
            Column(name="total", expression="price * qty"),
        )
        table = (await create(api, *columns)).table
        assert [column.type for column in table.columns] == [INT64, FLOAT64, FLOAT64, INT64, FLOAT64]
        assert [column.expression for column in table.columns] == ["", "total * 2", "", "", "price * qty"]
        types = {"id": "int64", "price": "float64", "qty": "int64", "total": "float64"}
        await put(api, [{"id": 1, "price": 1.5, "qty": 2}, {"id": 2, "price": None, "qty": 2}], types)
        await put(api, [{"id": 1, "qty": 3}], types)
        assert await ask(api, table="t", columns=["total", "double"]) == [
            {"id": 1, "total": 4.5, "double": 9.0},
            {"id": 2, "total": None, "double": None},
        ]
        assert await ask(api, table="t", filter=q.Filter(custom="double > 8"), columns=["qty"]) == [{"id": 1, "qty": 3}]
        refusal = await refused(put(api, [{"id": 1, "total": 1.0}], types))
        assert (refusal.reason, refusal.fields) == ("NOT_WRITABLE", ("operations[0].upsert.rows.columns[total]",))


async def test_a_default_may_be_an_expression() -> None:
    clock = ManualClock(1_000.0)
    async with serving(clock=clock) as (_, api):
        created = Column(name="created", type=TIMESTAMP, default_expression="now()")
        label = Column(name="label", type=STRING, default_expression="'no ' + id")
        table = (await create(api, created, label)).table
        assert [column.default_expression for column in table.columns] == ["", "now()", "'no ' + id"]
        types = {"id": "int64", "label": "string", "created": "timestamp"}
        await put(api, [{"id": 1}], types)
        clock.advance(0.25)
        await put(api, [{"id": 2, "label": "two"}], types)
        await put(api, [{"id": 1, "label": None}], types)
        assert await ask(api, table="t") == [
            {"id": 1, "created": 1_000_000_000, "label": None},
            {"id": 2, "created": 1_000_250_000, "label": "two"},
        ]


WRONG = {
    "an expression": ([Column(name="a", expression="id +")], "BAD_EXPRESSION", "table.columns[1].expression"),
    "a column of nobody": ([Column(name="a", expression="nobody")], "UNKNOWN_COLUMN", "table.columns[1].expression"),
    "another type": ([Column(name="a", type=INT64, expression="'x'")], "WRONG_TYPE", "table.columns[1].expression"),
    "a circle": (
        [Column(name="a", expression="b + 1"), Column(name="b", expression="a + 1")],
        "BAD_SCHEMA",
        "table.columns",
    ),
    "a default of another type": (
        [Column(name="a", type=INT64, default_expression="'x'")],
        "WRONG_TYPE",
        "table.columns[1].default_expression",
    ),
}


@pytest.mark.parametrize("what", WRONG)
async def test_definitions_that_cannot_be_are_refused(what: str) -> None:
    columns, reason, field = WRONG[what]
    async with serving() as (_, api):
        refusal = await refused(create(api, *columns))
        assert (refusal.reason, refusal.fields) == (reason, (field,))
        assert not (await api.tables.ListTables(pb.ListTablesRequest())).tables


def computed(name: str, expression: str = "", template: str = "") -> q.ComputedColumn:
    if template:
        return q.ComputedColumn(name=name, template=template)
    return q.ComputedColumn(name=name, expression=expression)


PAIRS = q.Query(
    table="users",
    computed=[computed("pay", "score * 10 + bonus"), computed("bonus", "age > 22 ? 5 : 0"),
              computed("card", template="${name} (${age})")],
    columns=["card", "pay"],
    filter=q.Filter(custom="pay > 5"),
    sort=[sort("pay", descending=True)],
)  # fmt: skip


async def test_a_session_computes_columns(api: Api) -> None:
    session = await api.open("pay", PAIRS)
    assert [(column.name, column.type) for column in session.columns] == [
        ("id", INT64),
        ("card", STRING),
        ("pay", FLOAT64),
    ]
    assert session.query.computed == PAIRS.computed
    reader = await Reader(api, name="pay").until(2)
    assert reader.mirror.rows == [
        {"id": 4, "card": "user 4 (24)", "pay": 25.0},
        {"id": 3, "card": "user 3 (23)", "pay": 20.0},
        {"id": 2, "card": "user 2 (22)", "pay": 10.0},
    ]
    await api.insert([user(10, score=0.25, age=50, name="ten")])
    await reader.until(3)
    assert reader.mirror.rows[-1] == {"id": 10, "card": "ten (50)", "pay": 7.5}
    found = await api.sessions.QuerySession(spb.QuerySessionRequest(name="pay"))
    check_stream(reader.responses, {3: Answer(rows_of(found.rows), found.total_count)})
    grouped = await ask(
        api,
        table="users",
        computed=[computed("old", "age >= 23")],
        group=q.Grouping(by=["old"], aggregates=[q.Aggregate(name="n", function=q.AGGREGATE_FUNCTION_COUNT)]),
    )
    assert grouped == [{"old": False, "n": 3}, {"old": True, "n": 3}]


async def test_what_cannot_be_computed_is_refused(api: Api) -> None:
    for columns, reason, field in (
        ([computed("x", "age +")], "BAD_EXPRESSION", "query.computed[0].expression"),
        ([computed("x", "1"), computed("y", "nobody")], "UNKNOWN_COLUMN", "query.computed[1].expression"),
        ([computed("x", template="${nobody}")], "UNKNOWN_COLUMN", "query.computed[0].template"),
        ([computed("age", "1")], "DUPLICATE_COLUMN", "query.computed[0].name"),
    ):
        refusal = await refused(ask(api, table="users", computed=columns))
        assert (refusal.reason, refusal.fields) == (reason, (field,))


async def test_rows_leave_a_window_of_time_by_themselves() -> None:
    clock = ManualClock(1_000.0)
    async with serving(clock=clock, tick_interval=0.02) as (server, api):
        await create(api, Column(name="at", type=TIMESTAMP))
        types = {"id": "int64", "at": "timestamp"}
        await put(api, [{"id": 1, "at": 999_000_000}, {"id": 2, "at": 1_005_000_000}], types)
        await asyncio.sleep(0.1)
        assert server.hubs["default"].version == 2, "where nobody asks for the present, time takes no versions"
        await api.open("recent", q.Query(table="t", filter=q.Filter(custom="at > now() - 10s")))
        reader = await Reader(api, name="recent").until(2)
        assert reader.ids() == [1, 2]
        clock.advance(9.5)
        while reader.ids() != [2]:
            await reader.next()
        last = reader.responses[-1]
        assert [removes.reason for removes in last.changes.removes] == [4], "EXPIRED"
        check_stream(reader.responses)
        await api.sessions.DeleteSession(spb.DeleteSessionRequest(name="recent"))
        version = server.hubs["default"].version
        clock.advance(10)
        await asyncio.sleep(0.1)
        assert server.hubs["default"].version == version


async def test_the_present_is_that_of_the_question() -> None:
    clock = ManualClock(1_000.0)
    async with serving(clock=clock, tick_interval=3_600) as (_, api):
        await create(api, Column(name="at", type=TIMESTAMP))
        await put(api, [{"id": 1, "at": 1_000_000_000}], {"id": "int64", "at": "timestamp"})
        old = q.Filter(custom="at < now() - 1m")
        assert await ask(api, table="t", filter=old) == []
        clock.advance(61)
        assert len(await ask(api, table="t", filter=old)) == 1


async def test_a_reader_may_hold_changes_of_time_back() -> None:
    clock = ManualClock(1_000.0)
    async with serving(clock=clock, tick_interval=0.02) as (_, api):
        await create(api, Column(name="at", type=TIMESTAMP))
        await put(api, [{"id": 1, "at": 0}], {"id": "int64", "at": "timestamp"})
        query = q.Query(table="t", computed=[computed("age", "(now() - at) / 1000")], columns=["age"])
        await api.open("ages", query)
        reader = await Reader(api, name="ages", min_interval=Duration(nanos=50_000_000)).until(2)
        before = reader.mirror.rows[0]["age"]
        clock.advance(1)
        while reader.mirror.rows[0]["age"] == before:
            await reader.next()
        assert reader.mirror.rows[0]["age"] == before + 1
        check_stream(reader.responses)
