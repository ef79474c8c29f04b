"""Window columns and trees by parent through the socket, followed while rows change and move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2 as hpb
from tesseract_grpc._proto.tesseract.v1 import query_pb2 as q
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tests.server.boards import Board, drop, open_shop, put, query
from tests.server.support import Api, refused, serving
from tests.server.test_watch_session import Reader


@pytest.fixture
async def shop() -> AsyncIterator[Api]:
    async with serving() as (_, api):
        await open_shop(api)
        yield api
        assert not (await api.hubs.CheckHub(hpb.CheckHubRequest())).violations


def window(name: str, function: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "function": f"WINDOW_FUNCTION_{function}", **more}


BY_PRICE = {"orderBy": [{"column": "price", "direction": "SORT_DIRECTION_DESCENDING"}]}
EVERY = [
    window("number", "ROW_NUMBER", **BY_PRICE),
    window("place", "RANK", partitionBy=["item"], orderBy=[{"column": "qty"}]),
    window("step", "DENSE_RANK", orderBy=[{"column": "qty"}]),
    window("before", "LAG", column="item", **BY_PRICE),
    window("after_next", "LEAD", column="item", offset=2, **BY_PRICE),
    window("running", "SUM", column="qty"),
    window("mean", "AVG", column="price", rows=2),
    window("known", "COUNT", column="person"),
    window("least", "MIN", column="price"),
    window("most", "MAX", column="price", partitionBy=["item"]),
]


async def test_every_window_function(shop: Api) -> None:
    names = [each["name"] for each in EVERY]
    board = await Board.open(shop, query(table="orders", windowColumns=EVERY, columns=names))
    found = {row.pop("id"): row for row in [dict(row) for row in await board.rows()]}
    assert found[10] == {
        "number": 4, "place": 1, "step": 3, "before": "cup", "after_next": None, "running": 10, "mean": 1.5,
        "known": 1, "least": 1.5, "most": 1.5,
    }  # fmt: skip
    assert found[12] == {
        "number": 2, "place": 2, "step": 2, "before": "ink", "after_next": "pen", "running": 13, "mean": 7.5,
        "known": 3, "least": 1.5, "most": 8.0,
    }  # fmt: skip
    await put(
        shop, "orders", [{"id": 10, "price": 100.0}, {"id": 14, "person": 1, "item": "ink", "price": 7.0, "qty": 2}]
    )
    assert await board.column("number") == [1, 2, 3, 5, 4]
    assert await board.column("place") == [1, 1, 2, 1, 2]
    assert await board.column("before") == [None, "pen", "ink", "ink", "ink"]
    await drop(shop, "orders", 11)
    assert await board.column("running") == [10, 12, 13, 15]
    assert await board.column("most") == [100.0, 7.0, 3.0, 7.0]


async def test_the_best_of_each_is_a_session_over_a_session(shop: Api) -> None:
    ranked = {"table": "orders", "windowColumns": [window("place", "ROW_NUMBER", partitionBy=["item"], **BY_PRICE)]}
    board = await Board.open(
        shop, query(source={"query": ranked}, filter={"custom": "place == 1"}, sort=[{"column": "item"}])
    )
    assert [(row["item"], row["id"]) for row in await board.rows()] == [("cup", 13), ("ink", 11), ("pen", 10)]
    await put(shop, "orders", [{"id": 12, "price": 9.0}])
    assert [(row["item"], row["id"]) for row in await board.rows()] == [("cup", 13), ("ink", 12), ("pen", 10)]


async def test_groups_may_have_window_columns(shop: Api) -> None:
    total = {"name": "total", "function": "AGGREGATE_FUNCTION_SUM", "column": "qty"}
    board = await Board.open(
        shop,
        query(
            table="orders",
            group={"by": ["item"], "aggregates": [total]},
            windowColumns=[window("place", "RANK", orderBy=[{"column": "total", "direction": 2}])],
            sort=[{"column": "place"}],
        ),
    )
    assert [(row["item"], row["place"]) for row in await board.rows()] == [("pen", 1), ("ink", 2), ("cup", 3)]
    await put(shop, "orders", [{"id": 13, "qty": 5}])
    assert [(row["item"], row["place"]) for row in await board.rows()] == [("pen", 1), ("cup", 2), ("ink", 3)]


TREE = query(table="people", tree={"parent": "boss"}, sort=[{"column": "name"}])


def open_nodes(*, depth: int | None = None, expanded: Sequence[int] = (), collapsed: Sequence[int] = ()) -> q.Window:
    found = q.Window(expansion=q.Expansion(depth=depth))
    for nodes, keys in ((found.expansion.expanded, expanded), (found.expansion.collapsed, collapsed)):
        for key in keys:
            nodes.add().values.add(int64_value=key)
    return found


async def test_rows_stand_below_their_parents(shop: Api) -> None:
    everything = await Board.open(shop, TREE)
    some = await Board.open(shop, TREE, open_nodes(depth=0, expanded=[1]))
    closed = await Board.open(shop, TREE, open_nodes(collapsed=[2]))
    assert await everything.column("name") == ["Ada", "Bob", "Dan", "Cyd"]
    assert await some.column("name") == ["Ada", "Bob", "Cyd"]
    assert await closed.column("name") == ["Ada", "Bob", "Cyd"]
    await put(shop, "people", [{"id": 4, "boss": 3}, {"id": 5, "name": "Eve", "boss": 2}, {"id": 2, "name": "Zoe"}])
    assert await everything.column("name") == ["Ada", "Cyd", "Dan", "Zoe", "Eve"]
    assert await some.column("name") == ["Ada", "Cyd", "Zoe"]
    assert await closed.column("name") == ["Ada", "Cyd", "Dan", "Zoe"]
    await drop(shop, "people", 1)
    assert await everything.column("name") == ["Cyd", "Dan", "Zoe", "Eve"], "without their parent they are roots"
    await put(shop, "people", [{"id": 3, "boss": 4}])
    assert sorted(await everything.column("name")) == ["Cyd", "Dan", "Eve", "Zoe"], "nobody is lost in a circle"


async def test_a_tree_of_what_a_filter_keeps(shop: Api) -> None:
    asked = query(table="people", tree={"parent": "boss"}, filter={"custom": "team == 'north' || id == 4"})
    board = await Board.open(shop, asked, q.Window(offset=1, limit=2, expansion=q.Expansion()))
    assert await board.column("id") == [2, 4]
    await put(shop, "people", [{"id": 1, "team": "south"}])
    assert await board.column("id") == [4]


async def test_an_edit_may_make_a_tree(shop: Api) -> None:
    await shop.open("people", query(table="people", sort=[{"column": "name"}]))
    board = Board(shop, "people", TREE, Reader(shop, name="people"), None)
    edit = spb.Session(name="people", query=query(tree={"parent": "boss"}))
    await board.reader.until(6)
    await shop.sessions.UpdateSession(
        spb.UpdateSessionRequest(session=edit, update_mask={"paths": ["query.tree"]})  # type: ignore[arg-type]
    )
    assert await board.column("name") == ["Ada", "Bob", "Dan", "Cyd"]
    assert board.reader.events().count("snapshot_end") == 1


REFUSED: dict[str, tuple[q.Query, str, str]] = {
    "an unknown column": (
        query(table="orders", windowColumns=[window("x", "SUM", column="nobody")]),
        "UNKNOWN_COLUMN",
        "query.window_columns[0].column",
    ),
    "the sum of a text": (
        query(table="orders", windowColumns=[window("x", "SUM", column="item")]),
        "WRONG_TYPE",
        "query.window_columns[0].column",
    ),
    "an unknown partition": (
        query(table="orders", windowColumns=[window("x", "RANK", partitionBy=["nobody"])]),
        "UNKNOWN_COLUMN",
        "query.window_columns[0].partition_by[0]",
    ),
    "an unknown order": (
        query(table="orders", windowColumns=[window("x", "RANK", orderBy=[{"column": "nobody"}])]),
        "UNKNOWN_COLUMN",
        "query.window_columns[0].order_by[0].column",
    ),
    "a name that is taken": (
        query(table="orders", windowColumns=[window("item", "RANK")]),
        "DUPLICATE_COLUMN",
        "query.window_columns[0].name",
    ),
    "a filter on a window column": (
        query(table="orders", windowColumns=[window("x", "RANK")], filter={"custom": "x > 1"}),
        "UNKNOWN_COLUMN",
        "query.filter.custom",
    ),
    "a tree by an unknown column": (
        query(table="people", tree={"parent": "nobody"}),
        "UNKNOWN_COLUMN",
        "query.tree.parent",
    ),
    "a tree by another type": (query(table="people", tree={"parent": "name"}), "WRONG_TYPE", "query.tree.parent"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_cannot_be_is_refused(shop: Api, what: str) -> None:
    asked, reason, field = REFUSED[what]
    refusal = await refused(shop.tables.Query(pb.QueryRequest(query=asked)))
    assert refusal.code.name == "INVALID_ARGUMENT"
    assert (refusal.reason, refusal.fields) == (reason, (field,))
