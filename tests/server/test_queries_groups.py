"""Groups through the socket: every aggregate, levels, leafs, pivots and open nodes, followed while rows change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc.testing import rows_of
from tests.server.boards import Board, drop, open_shop, put, query
from tests.server.support import Api, refused, serving


@pytest.fixture
async def shop() -> AsyncIterator[Api]:
    async with serving() as (_, api):
        await open_shop(api)
        yield api
        assert not (await api.hubs.CheckHub(hpb.CheckHubRequest())).violations


def aggregate(name: str, function: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "function": f"AGGREGATE_FUNCTION_{function}", **more}


N = aggregate("n", "COUNT")
WORTH = aggregate("worth", "SUM", expression="price * qty")

EVERY = [
    N,
    aggregate("named", "COUNT_VALUES", column="person"),
    WORTH,
    aggregate("mean", "AVG", column="price"),
    aggregate("least", "MIN", column="price"),
    aggregate("most", "MAX", column="item"),
    aggregate("spread", "VAR", column="qty"),
    aggregate("cheap", "COUNT_IF", expression="price < 5"),
    aggregate("kinds", "DISTINCT_COUNT", column="item"),
    aggregate("weighted", "WEIGHTED_AVG", column="price", weight="qty"),
    aggregate("middle", "MEDIAN", column="price"),
    aggregate("half", "PERCENTILE", column="price", percentile=0.5),
    aggregate("first", "FIRST", column="item"),
    aggregate("dearest_last", "LAST", column="item", orderBy="price"),
    aggregate("dearest", "MAX_BY", column="item", orderBy="price"),
    aggregate("cheapest", "MIN_BY", column="id", orderBy="price"),
    aggregate("only", "UNIQUE", column="item"),
    aggregate("any_big", "ANY", expression="qty > 5"),
    aggregate("all_big", "EVERY", expression="qty > 5"),
    aggregate("items", "JOIN", column="item", separator="+", orderBy="id"),
    aggregate("ids", "ARRAY", column="id", limit=2),
    aggregate("inks", "COUNT", filter={"custom": "item == 'ink'"}),
    aggregate("share", "EXPRESSION", expression="worth / n"),
]


async def test_every_aggregate(shop: Api) -> None:
    board = await Board.open(shop, query(table="orders", group={"by": ["person"], "aggregates": EVERY}))
    bob, cyd, nobody = await board.rows()
    assert bob == {
        "person": 2, "n": 2, "named": 2, "worth": 29.0, "mean": 4.25, "least": 1.5, "most": "pen", "spread": 32.0,
        "cheap": 1, "kinds": 2, "weighted": 29 / 12, "middle": 4.25, "half": 4.25, "first": "pen",
        "dearest_last": "ink", "dearest": "ink", "cheapest": 10, "only": None, "any_big": True, "all_big": False,
        "items": "pen+ink", "ids": "[10,12]", "inks": 1, "share": 14.5,
    }  # fmt: skip
    assert (cyd["only"], cyd["spread"], nobody["person"], nobody["n"]) == ("ink", None, None, 1)
    await put(
        shop, "orders", [{"id": 10, "item": "ink", "qty": 20}, {"id": 14, "person": 2, "item": "ink", "price": 1.0}]
    )
    bob = (await board.rows())[0]
    assert (bob["n"], bob["only"], bob["items"], bob["ids"], bob["share"]) == (
        3,
        "ink",
        "ink+ink+ink",
        "[10,12]",
        44 / 3,
    )
    await drop(shop, "orders", 14, 13)
    assert await board.column("person") == [2, 3]
    assert (await board.rows())[0]["share"] == 22.0


ROLLUP = query(
    table="orders",
    joins=[{"source": {"table": "people"}, "kind": "JOIN_KIND_LEFT", "on": [{"left": "person", "right": "id"}]}],
    group={"by": ["team", "item"], "aggregates": [N, WORTH], "mode": "GROUP_MODE_ROLLUP"},
)


async def test_a_rollup_has_every_level(shop: Api) -> None:
    board = await Board.open(shop, ROLLUP)
    assert [(r["level"], r["team"], r["item"], r["n"]) for r in await board.rows()] == [
        (0, None, None, 4),
        (1, "north", None, 2), (2, "north", "ink", 1), (2, "north", "pen", 1),
        (1, "south", None, 1), (2, "south", "ink", 1),
        (1, None, None, 1), (2, None, "cup", 1),
    ]  # fmt: skip
    await put(shop, "orders", [{"id": 11, "person": 2}, {"id": 13, "person": 3}])
    assert [(r["level"], r["team"], r["item"], r["n"]) for r in await board.rows()] == [
        (0, None, None, 4),
        (1, "north", None, 3), (2, "north", "ink", 2), (2, "north", "pen", 1),
        (1, "south", None, 1), (2, "south", "cup", 1),
    ]  # fmt: skip
    await drop(shop, "orders", 10, 11, 12, 13)
    assert await board.rows() == []


def expansion(**words: Any) -> q.Window:
    window = q.Window()
    return ParseDict(words, window)


def node(*values: str | None) -> dict[str, Any]:
    return {"values": [{} if value is None else {"stringValue": value} for value in values]}


async def test_a_window_shows_what_is_open(shop: Api) -> None:
    roots = await Board.open(shop, ROLLUP, expansion(expansion={"depth": 0}))
    teams = await Board.open(shop, ROLLUP, expansion(expansion={"depth": 1, "expanded": [node("south")]}))
    closed = await Board.open(shop, ROLLUP, expansion(offset=1, limit=3, expansion={"collapsed": [node("north")]}))
    assert [r["level"] for r in await roots.rows()] == [0]
    assert [(r["level"], r["team"]) for r in await teams.rows()] == [
        (0, None), (1, "north"), (1, "south"), (2, "south"), (1, None),
    ]  # fmt: skip
    assert [(r["level"], r["team"]) for r in await closed.rows()] == [(1, "north"), (1, "south"), (2, "south")]
    await put(shop, "orders", [{"id": 15, "person": 3, "item": "cup"}, {"id": 16, "person": 2, "item": "mug"}])
    assert [(r["level"], r["team"], r["item"]) for r in await teams.rows()] == [
        (0, None, None), (1, "north", None), (1, "south", None), (2, "south", "cup"), (2, "south", "ink"),
        (1, None, None),
    ]  # fmt: skip
    assert [(r["level"], r["item"]) for r in await closed.rows()] == [(1, None), (1, None), (2, "cup")]
    assert [r["n"] for r in await roots.rows()] == [6]


async def test_leafs_stand_below_their_groups(shop: Api) -> None:
    asked = query(
        table="orders",
        group={"by": ["item"], "aggregates": [N], "mode": "GROUP_MODE_ROLLUP", "includeLeafs": True},
    )
    board = await Board.open(shop, asked)
    found = await board.rows()
    assert [(r["level"], r["item"], r["n"], r["id"]) for r in found if r["item"] in (None, "ink")] == [
        (0, None, 4, None), (1, "ink", 2, None), (2, "ink", None, 11), (2, "ink", None, 12),
    ]  # fmt: skip
    await put(shop, "orders", [{"id": 10, "item": "ink"}])
    assert [r["id"] for r in await board.rows() if r["level"] == 2 and r["item"] == "ink"] == [10, 11, 12]


async def test_a_total_beside_flat_groups(shop: Api) -> None:
    board = await Board.open(
        shop, query(table="orders", group={"by": ["item"], "aggregates": [N], "mode": "GROUP_MODE_TOTAL"})
    )
    assert sorted((r["level"], r["item"] or "", r["n"]) for r in await board.rows()) == [
        (0, "", 4), (1, "cup", 1), (1, "ink", 2), (1, "pen", 1),
    ]  # fmt: skip
    await drop(shop, "orders", 13)
    assert sorted((r["level"], r["item"] or "", r["n"]) for r in await board.rows()) == [
        (0, "", 3), (1, "ink", 2), (1, "pen", 1),
    ]  # fmt: skip


async def test_a_pivot_spreads_aggregates_over_values(shop: Api) -> None:
    pivot = {"column": "item", "values": [{"stringValue": "ink"}, {"stringValue": "mug"}]}
    board = await Board.open(
        shop, query(table="orders", group={"by": ["person"], "aggregates": [N, WORTH], "splitBy": pivot})
    )
    assert (await board.rows())[0] == {"person": 2, "ink|n": 1, "ink|worth": 14.0, "mug|n": 0, "mug|worth": None}
    await put(shop, "orders", [{"id": 10, "item": "mug"}])
    assert (await board.rows())[0] == {"person": 2, "ink|n": 1, "ink|worth": 14.0, "mug|n": 1, "mug|worth": 15.0}
    found = query(table="orders", group={"by": ["person"], "aggregates": [N], "splitBy": {"column": "item"}})
    response = await shop.tables.Query(pb.QueryRequest(query=found))
    assert [column.name for column in response.columns] == ["person", "cup|n", "ink|n", "mug|n"]


async def test_groups_are_chosen_and_sorted_by_what_they_hold(shop: Api) -> None:
    board = await Board.open(
        shop,
        query(
            table="orders",
            group={"by": ["item"], "aggregates": [N, WORTH]},
            having={"custom": "worth > 4"},
            sort=[{"column": "worth", "direction": "SORT_DIRECTION_DESCENDING"}],
            columns=["worth"],
        ),
        q.Window(limit=2),
    )
    assert await board.rows() == [{"item": "ink", "worth": 22.0}, {"item": "pen", "worth": 15.0}]
    await put(shop, "orders", [{"id": 13, "qty": 20}])
    assert await board.column("item") == ["cup", "ink"]


async def test_the_plan_of_a_rollup_is_told(shop: Api) -> None:
    plan = await shop.sessions.ExplainSession(spb.ExplainSessionRequest(query=ROLLUP))
    kinds = {line.strip().partition(":")[0] for line in plan.text.splitlines()}
    assert {"rollup", "group", "lookup", "order", "table"} <= kinds


def grouping(*aggregates: dict[str, Any], **more: Any) -> q.Query:
    return query(table="orders", group={"by": ["person"], "aggregates": aggregates, **more})


REFUSED: dict[str, tuple[q.Query, str, str]] = {
    "an unknown column": (grouping(aggregate("x", "SUM", column="nobody")), "UNKNOWN_COLUMN", "aggregates[0].column"),
    "an unknown grouping column": (query(table="orders", group={"by": ["nobody"]}), "UNKNOWN_COLUMN", "by"),
    "the sum of a text": (grouping(aggregate("x", "SUM", column="item")), "WRONG_TYPE", "aggregates[0].column"),
    "a name twice": (grouping(N, N), "DUPLICATE_COLUMN", ""),
    "the name of a grouping column": (grouping({**N, "name": "person"}), "DUPLICATE_COLUMN", ""),
    "an expression of the rows": (
        grouping(N, aggregate("x", "EXPRESSION", expression="price / n")),
        "UNKNOWN_COLUMN",
        "aggregates[1].expression",
    ),
    "an expression that is none": (
        grouping(aggregate("x", "SUM", expression="price *")),
        "BAD_EXPRESSION",
        "aggregates[0].expression",
    ),
    "an unknown weight": (
        grouping(aggregate("x", "WEIGHTED_AVG", column="price", weight="nobody")),
        "UNKNOWN_COLUMN",
        "aggregates[0].weight",
    ),
    "an unknown order": (
        grouping(aggregate("x", "MAX_BY", column="price", orderBy="nobody")),
        "UNKNOWN_COLUMN",
        "aggregates[0].order_by",
    ),
    "a wrong filter": (
        grouping(aggregate("x", "COUNT", filter={"custom": "nobody > 1"})),
        "UNKNOWN_COLUMN",
        "aggregates[0].filter.custom",
    ),
    "a pivot of an unknown column": (grouping(N, splitBy={"column": "nobody"}), "UNKNOWN_COLUMN", "split_by.column"),
    "a pivot of another type": (
        grouping(N, splitBy={"column": "item", "values": [{"int64Value": 1}]}),
        "WRONG_TYPE",
        "split_by.values[0]",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_groups_that_cannot_be_are_refused(shop: Api, what: str) -> None:
    asked, reason, field = REFUSED[what]
    refusal = await refused(shop.tables.Query(pb.QueryRequest(query=asked)))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert (refusal.reason, refusal.fields) == (reason, (f"query.group.{field}".rstrip("."),))


async def test_a_pivot_makes_no_more_columns_than_can_be_shown(shop: Api) -> None:
    values = [{"int64Value": number} for number in range(1_000)]
    counts = [aggregate(f"n{number}", "COUNT") for number in range(6)]
    refusal = await refused(
        shop.tables.Query(pb.QueryRequest(query=grouping(*counts, splitBy={"column": "qty", "values": values})))
    )
    assert (refusal.reason, refusal.fields) == ("LIMIT_EXCEEDED", ("query.group.split_by",))
    assert refusal.metadata["limit"] == "max_pivot_columns"


async def test_windows_that_cannot_be_are_refused(shop: Api) -> None:
    flat = query(table="orders", group={"by": ["item"], "aggregates": [N]})
    for asked, window, field in (
        (flat, expansion(expansion={"depth": 0}), "window.expansion"),
        (ROLLUP, expansion(expansion={"expanded": [node("a", "b", "c")]}), "window.expansion.expanded"),
    ):
        refusal = await refused(shop.tables.Query(pb.QueryRequest(query=asked, window=window)))
        assert (refusal.reason, refusal.fields) == ("BAD_WINDOW", (field,))
        await shop.open("it", asked)
        call = shop.sessions.WatchSession(spb.WatchSessionRequest(name="it", window=window))
        assert (await refused(call.read())).reason == "BAD_WINDOW"
        await shop.sessions.DeleteSession(spb.DeleteSessionRequest(name="it"))


async def test_a_sum_that_leaves_its_range_ends_the_session_alone(shop: Api) -> None:
    sums = query(table="orders", group={"by": ["item"], "aggregates": [aggregate("total", "SUM", column="qty")]})
    await shop.open("sums", sums)
    other = await Board.open(shop, query(table="orders", sort=[{"column": "qty"}]))
    await shop.tables.CreateTable(pb.CreateTableRequest(table_id="derived", table={"query": sums}))  # type: ignore[arg-type]
    watch = shop.sessions.WatchSession(spb.WatchSessionRequest(name="sums"))
    await watch.read()
    table = shop.tables.WatchTable(pb.WatchTableRequest(table="derived"))
    await table.read()
    await put(shop, "orders", [{"id": 11, "qty": 2**62}, {"id": 12, "qty": 2**62}])
    assert len(await other.rows()) == 4
    for name in ("sums", "derived"):
        asked = query(source={"session": name}) if name == "sums" else query(table=name)
        refusal = await refused(shop.tables.Query(pb.QueryRequest(query=asked)))
        assert refusal.reason in ("UNKNOWN_SESSION", "UNKNOWN_TABLE")

    async def end(call: Any) -> str:
        async def read() -> None:
            while True:
                await call.read()
                if call.done():
                    await call

        return (await refused(read())).reason

    assert await end(watch) == "INT64_OVERFLOW"
    assert await end(table) == "TABLE_DELETED"
    assert rows_of((await shop.all_rows("orders")).rows)
