# Generated from tests/client/aio/test_queries.py by tools/generate_sync_client.py: edit that file and run it.
"""The query language of a real server from Python: what the guide of the ancestor shows, and edits while watching."""

from typing import Any
from uuid import uuid4

import pytest

from tesseract_grpc.client import Delta, EventHorizon, InvalidRequest, NotFound, Plan, Tesseract
from tests.client.sync.support import eventually

PEOPLE: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "name", "type": "string"},
    {"name": "boss", "type": "int64"},
]
ORDERS: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primaryKey": True},
    {"name": "person", "type": "int64"},
    {"name": "item", "type": "string"},
    {"name": "price", "type": "number"},
    {"name": "qty", "type": "int64"},
]


class Shop:
    """Two tables with names of their own."""

    def __init__(self, hub: EventHorizon, people: Tesseract, orders: Tesseract) -> None:
        self.hub, self.people, self.orders = hub, people, orders

    def name(self, what: str) -> str:
        """A name that nobody else has."""
        return f"{self.people.name}_{what}"


@pytest.fixture
def shop(hub: EventHorizon) -> Shop:
    prefix = f"q{uuid4().hex[:8]}"
    people = hub.create_tesseract(f"{prefix}_people", PEOPLE)
    orders = hub.create_tesseract(f"{prefix}_orders", ORDERS)
    people.add([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob", "boss": 1}, {"id": 3, "name": "Cyd", "boss": 1}])
    orders.add(
        [
            {"id": 10, "person": 2, "item": "pen", "price": 1.5, "qty": 10},
            {"id": 11, "person": 3, "item": "ink", "price": 8.0, "qty": 1},
            {"id": 12, "person": 2, "item": "ink", "price": 7.0, "qty": 2},
        ]
    )
    return Shop(hub, people, orders)


def test_columns_are_computed_and_resolved(shop: Shop) -> None:
    session = shop.hub.create_session(
        table=shop.orders,
        columns=[
            "item",
            {"name": "worth", "expression": "price * qty"},
            {"name": "label", "value": "${qty} x ${item}"},
            {
                "name": "who",
                "resolve": {"underlyingField": "person", "childrenTable": shop.people.name, "displayField": "name"},
            },
        ],
        filter=[{"type": "custom", "value": "worth > 10"}],
        sort=[{"field": "worth", "direction": "desc"}],
    )
    with session.mirror() as mirror:
        assert mirror.rows() == [
            {"id": 10, "item": "pen", "worth": 15.0, "label": "10 x pen", "who": "Bob"},
            {"id": 12, "item": "ink", "worth": 14.0, "label": "2 x ink", "who": "Bob"},
        ]
        version = (shop.people.update({"id": 2, "name": "Bea"})).version
        mirror.wait_for(version)
        assert [row["who"] for row in mirror.rows()] == ["Bea", "Bea"]


def test_sub_sessions_and_aggregated_columns(shop: Shop) -> None:
    session = shop.hub.create_session(
        table=shop.people,
        sub_sessions={
            "stats": {
                "table": shop.orders.name,
                "columns": [
                    {"name": "n", "value": 1, "aggregator": "sum"},
                    {"name": "total", "value": "price * qty", "aggregator": "sum"},
                ],
                "groupBy": [{"dataIndex": "person"}],
            }
        },
        columns=[
            "name",
            {
                "name": "orders",
                "resolve": {"underlyingField": "id", "session": "stats", "valueField": "person", "displayField": "n"},
            },
            {
                "name": "spent",
                "resolve": {"on": "id", "session": "stats", "value_field": "person", "display_field": "total"},
            },
        ],
        sort=[{"field": "spent", "direction": "DESC"}],
    )
    assert session.get_data() == [
        {"id": 2, "name": "Bob", "orders": 2, "spent": 29.0},
        {"id": 3, "name": "Cyd", "orders": 1, "spent": 8.0},
        {"id": 1, "name": "Ada", "orders": None, "spent": None},
    ]


def test_joins_unions_and_derived_tables(shop: Shop) -> None:
    join = {"table": shop.people, "on": {"person": "id"}, "columns": ["name"]}
    rows = shop.hub.query(table=shop.orders, joins=[join], columns=["name", "item"], sort=["id"])
    assert [(row["name"], row["item"]) for row in rows] == [("Bob", "pen"), ("Cyd", "ink"), ("Bob", "ink")]
    inks = shop.hub.create_session(
        shop.name("inks"), table=shop.orders, filter="item == 'ink'", columns=["person", "qty"]
    )
    derived = shop.hub.create_tesseract_from_session(shop.name("derived"), inks)
    assert derived.key == ("id",)
    assert (derived.derived, shop.orders.derived) == (True, False)
    both = shop.hub.create_union(shop.name("both"), [inks, {"table": shop.orders, "columns": ["person", "qty"]}])
    shop.orders.add({"id": 13, "person": 1, "item": "ink", "qty": 5})
    assert [row["id"] for row in derived.get_data()] == [11, 12, 13]
    assert derived.get(13) == {"id": 13, "person": 1, "qty": 5}
    assert both.count() == 7
    with pytest.raises(InvalidRequest) as refused:
        derived.update({"id": 13, "qty": 1})
    assert refused.value.reason == "NOT_WRITABLE"


def test_groups_as_trees(shop: Shop) -> None:
    session = shop.hub.create_session(
        table=shop.orders,
        group_by=["person", "item"],
        aggregates={"n": "count", "worth": "sum(price * qty)", "mean": ("avg", "price")},
        mode="rollup",
    )
    (everything,) = session.get_data(return_tree=True)
    assert (everything["n"], everything["worth"]) == (3, 37.0)
    bob = everything["children"][0]
    assert [(child["item"], child["worth"]) for child in bob["children"]] == [("ink", 14.0), ("pen", 15.0)]
    assert session.group_data() == [everything]
    assert [row["person"] for row in session.get_data(depth=1)] == [None, 2, 3]
    assert len(session.get_data(depth=1, expand=[(2,)])) == 5
    assert [row["item"] for row in session.get_data(2, 2, collapse=[3])] == ["ink", "pen"]
    with session.mirror({"depth": 1, "expand": [[3]]}) as mirror:
        assert [row["level"] for row in mirror.rows()] == [0, 1, 1, 2]
        mirror.wait_for((shop.orders.add({"id": 13, "person": 3, "item": "cup", "qty": 1})).version)
        assert [row["item"] for row in mirror.rows()] == [None, None, None, "cup", "ink"]
    plain = shop.hub.create_session(table=shop.orders)
    tree = plain.group_data("item", {"n": "count"}, include_leafs=True)
    assert [(node["item"], node["n"], len(node["children"])) for node in tree[0]["children"]] == [
        ("cup", 1, 1), ("ink", 2, 2), ("pen", 1, 1),
    ]  # fmt: skip


def test_trees_by_parent(shop: Shop) -> None:
    session = shop.hub.create_session(table=shop.people, tree="boss", sort="name")
    (ada,) = session.get_data(return_tree=True)
    assert [child["name"] for child in ada["children"]] == ["Bob", "Cyd"]
    assert [row["name"] for row in session.get_data(depth=0)] == ["Ada"]
    with pytest.raises(InvalidRequest):
        (shop.hub.create_session(table=shop.people)).get_data(return_tree=True)


def test_window_columns(shop: Shop) -> None:
    place = {"name": "place", "function": "rank", "order_by": [{"field": "price", "direction": "desc"}]}
    before = {"name": "before", "function": "lag", "column": "item"}
    rows = shop.orders.query(window_columns=[place, before], columns=["place", "before"])
    assert [(row["place"], row["before"]) for row in rows] == [(3, None), (1, "pen"), (2, "ink")]


def test_a_session_is_edited_while_it_is_watched(shop: Shop) -> None:
    session = shop.hub.create_session(shop.name("live"), table=shop.orders, columns=["item", "qty"])
    seen: list[Any] = []
    with session.mirror() as mirror:
        mirror.on("change", seen.append)
        mirror.wait_for(session.update_filter([{"field": "qty", "comparison": ">", "value": 1}]))
        assert [row["id"] for row in mirror.rows()] == [10, 12]
        mirror.wait_for(session.update_sort([{"field": "qty"}]))
        assert [row["id"] for row in mirror.rows()] == [12, 10]
        version = session.update_columns(["item", {"name": "worth", "expression": "price * qty"}])
        mirror.wait_for(version)
        assert mirror.rows() == [{"id": 12, "item": "ink", "worth": 14.0}, {"id": 10, "item": "pen", "worth": 15.0}]
        assert [column["name"] for column in session.columns] == ["id", "item", "worth"]
        assert all(isinstance(event, Delta) for event in seen), "an edit brings no snapshot"
        assert [event.edited.generation for event in seen] == [2, 3, 4]
        mirror.wait_for(session.update(filter=None, sort=None, description="all"))
        assert len(mirror) == 3
        mirror.wait_for(session.update(columns=None, computed=None, group_by="item", aggregates={"n": "count"}))
        assert mirror.rows() == [{"item": "ink", "n": 2}, {"item": "pen", "n": 1}]
        mirror.wait_for(session.update_group("person"))
        assert mirror.rows() == [{"person": 2, "n": 2}, {"person": 3, "n": 1}]
        mirror.wait_for(session.update_group(None))
        eventually(lambda: len(mirror) == 3 and "qty" in mirror.rows()[0])
    with pytest.raises(InvalidRequest) as refused:
        session.update_columns(["nobody"])
    assert refused.value.field == "session.query.columns"


def test_a_permanent_filter_stays(shop: Shop) -> None:
    session = shop.hub.create_session(
        shop.name("inks"), table=shop.orders, permanent_filter="item == 'ink'", filter="qty > 1"
    )
    assert session.total_count() == 1
    session.update_filter(None)
    assert session.total_count() == 2


def test_plans(shop: Shop) -> None:
    session = shop.hub.create_session(table=shop.orders, filter="qty > 1", sort="qty")
    plan = session.explain()
    assert isinstance(plan, Plan)
    assert (plan.step.kind, plan.step.row_count, plan.step.shared_with) == ("order", 2, (session.name,))
    assert plan.step.inputs[0].inputs[0].description == shop.orders.name
    assert str(plan).startswith("order: by qty")
    asked = shop.hub.explain(table=shop.orders, group_by="item", aggregates={"n": "count"})
    assert [asked.step.kind, asked.step.inputs[0].kind] == ["order", "group"]
    assert asked.step.shared_count == 0
    with pytest.raises(NotFound):
        shop.hub.explain(table="nobody")


def test_a_session_over_a_session(shop: Shop) -> None:
    worth = {"name": "worth", "expression": "price * qty"}
    worths = shop.hub.create_session(table=shop.orders, columns=["person", worth])
    top = shop.hub.create_session(source=worths, group_by="person", aggregates={"best": "max(worth)"})
    assert top.get_data() == [{"person": 2, "best": 15.0}, {"person": 3, "best": 8.0}]
    assert top.table == ""
