"""Pivots: which columns there are, which names they have, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode, Pivot
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("who", DataType.STRING),
        ColumnSchema("day", DataType.TIMESTAMP),
        ColumnSchema("size", DataType.ENUM, enum_values=("small", "large")),
        ColumnSchema("ok", DataType.BOOL),
        ColumnSchema("x", DataType.FLOAT64),
        ColumnSchema("doc", DataType.JSON),
    )
)
COUNT = Aggregate("n", "count")


def make(*rows: dict[str, Any]) -> Hub:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    if rows:
        put(hub, *rows)
    return hub


def put(hub: Hub, *rows: dict[str, Any]) -> None:
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


def pivot(
    column: str, *values: Any, by: tuple[str, ...] = ("who",), aggregates: tuple[Aggregate, ...] = (COUNT,)
) -> Query:
    return Query("t", group=Grouping(by, aggregates, split_by=Pivot(column, values)))


def names(hub: Hub, query: Query) -> list[str]:
    return [column.name for column in hub.query(query).columns]


def test_an_enum_and_a_bool_spread_over_what_is_declared() -> None:
    hub = make({"id": 1})
    assert names(hub, pivot("size")) == ["who", "small|n", "large|n"]
    assert names(hub, pivot("ok")) == ["who", "false|n", "true|n"]


def test_other_columns_spread_over_the_values_that_there_are() -> None:
    hub = make(
        {"id": 1, "x": 2.5, "who": "z", "day": 0},
        {"id": 2, "x": 10.0, "who": "a", "day": 1_500_000},
        {"id": 3, "x": float("nan")},
        {"id": 4, "x": 7.0, "ok": True},
    )
    assert names(hub, pivot("x")) == ["who", "2.5|n", "7|n", "10|n", "NaN|n"]
    assert names(hub, pivot("who", by=("ok",))) == ["ok", "a|n", "z|n"]
    assert names(hub, pivot("day")) == ["who", "1970-01-01T00:00:00.000Z|n", "1970-01-01T00:00:01.500Z|n"]
    filtered = Query("t", Custom("x < 9"), group=Grouping(("who",), (COUNT,), split_by=Pivot("x")))
    assert names(hub, filtered) == ["who", "2.5|n", "7|n"]
    computed = Query(
        "t",
        computed=(ComputedColumn("half", expression="x / 2"),),
        group=Grouping(("who",), (COUNT,), split_by=Pivot("half")),
    )
    assert names(hub, computed) == ["who", "1.25|n", "3.5|n", "5|n", "NaN|n"]


def test_a_session_keeps_its_columns_until_it_is_edited() -> None:
    hub = make({"id": 1, "x": 1.0, "who": "a"})
    query = pivot("x")
    session = hub.open_session(query, "s")
    put(hub, {"id": 2, "x": 2.0, "who": "a"})
    assert hub.open_session(query, "s") is session
    assert session.read().rows.to_rows() == [{"who": "a", "1|n": 1}]
    hub.edit_session("s", query)
    assert session.read().rows.to_rows() == [{"who": "a", "1|n": 1, "2|n": 1}]
    hub.check()


def test_values_may_be_null_unknown_and_in_any_order() -> None:
    hub = make({"id": 1, "who": "a", "x": 1.0}, {"id": 2, "who": "a"})
    query = pivot("x", 3.0, None, 1, aggregates=(COUNT, Aggregate("s", "sum", "x")))
    session = hub.open_session(query, "s")
    (row,) = session.read().rows.to_rows()
    assert row == {"who": "a", "3|n": 0, "3|s": None, "null|n": 1, "null|s": None, "1|n": 1, "1|s": 1.0}
    put(hub, {"id": 2, "x": 3.0})
    (row,) = session.read().rows.to_rows()
    assert row == {"who": "a", "3|n": 1, "3|s": 3.0, "null|n": 0, "null|s": None, "1|n": 1, "1|s": 1.0}
    hub.check()


def test_a_group_without_any_of_the_values_is_there() -> None:
    hub = make({"id": 1, "who": "a", "x": 9.0})
    assert hub.query(pivot("x", 1.0)).rows.to_rows() == [{"who": "a", "1|n": 0}]


def test_the_spread_column_may_be_grouped_by() -> None:
    hub = make({"id": 1, "who": "a"}, {"id": 2, "who": "b"}, {"id": 3, "who": "c"})
    session = hub.open_session(pivot("who", "a", "b"), "s")
    put(hub, {"id": 3, "who": "b"}, {"id": 4, "who": "d"})
    assert session.read().rows.to_rows() == [
        {"who": "a", "a|n": 1, "b|n": 0},
        {"who": "b", "a|n": 0, "b|n": 2},
        {"who": "d", "a|n": 0, "b|n": 0},
    ]
    hub.check()


def test_all_rows_together_may_be_spread() -> None:
    hub = make({"id": 1, "ok": True}, {"id": 2, "ok": True}, {"id": 3})
    assert hub.query(pivot("ok", by=())).rows.to_rows() == [{"group": True, "false|n": 0, "true|n": 2}]


def test_expressions_are_spread_with_the_aggregates_that_they_use() -> None:
    hub = make({"id": 1, "who": "a", "ok": True, "x": 3.0}, {"id": 2, "who": "a", "ok": True, "x": 4.0})
    aggregates = (COUNT, Aggregate("s", "sum", "x"), Aggregate("mean", "expression", expression="(s ?? 0) / (n + 1)"))
    query = pivot("ok", aggregates=aggregates)
    (row,) = hub.query(query).rows.to_rows()
    assert list(row.items()) == [
        ("who", "a"),
        ("false|n", 0),
        ("false|s", None),
        ("false|mean", 0.0),
        ("true|n", 2),
        ("true|s", 7.0),
        ("true|mean", 7 / 3),
    ]


def test_conditions_and_orders_name_the_columns() -> None:
    hub = make({"id": 1, "who": "a", "ok": True}, {"id": 2, "who": "b", "ok": True}, {"id": 3, "who": "b", "ok": True})
    grouping = Grouping(("who",), (COUNT,), GroupMode.TOTAL, split_by=Pivot("ok"))
    query = Query("t", group=grouping, having=Custom("row['true|n'] > 1"), sort=(SortKey("true|n", descending=True),))
    assert [(row["level"], row["true|n"]) for row in hub.query(query).rows.to_rows()] == [(0, 3), (1, 2)]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (pivot("doc"), Reason.WRONG_TYPE),
        (pivot("nothing"), Reason.UNKNOWN_COLUMN),
        (pivot("x", "a"), Reason.WRONG_TYPE),
        (pivot("size", "medium"), Reason.BAD_ENUM_VALUE),
        (pivot("x", 1.0, 2.0, 1), Reason.DUPLICATE_COLUMN),
    ],
)
def test_pivots_that_make_no_sense_are_refused(query: Query, reason: Reason) -> None:
    with pytest.raises(InvalidRequest) as refused:
        make({"id": 1}).query(query)
    assert refused.value.reason is reason
    assert refused.value.field.startswith("query.group.split_by")


def test_too_many_values_are_refused() -> None:
    hub = make(*({"id": i, "x": float(i)} for i in range(1_001)))
    with pytest.raises(LimitExceeded):
        hub.query(pivot("x"))
    assert len(names(hub, Query("t", Custom("x < 1000"), group=pivot("x").group))) == 1_001
