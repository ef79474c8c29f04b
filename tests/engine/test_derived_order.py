"""Aggregates that depend on the order of rows give the same over derived rows, whatever came and left before."""

from __future__ import annotations

from random import Random

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, JoinKey, QuerySource, TableSource
from tests.engine.test_edit import Mirror

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("n", DataType.INT64),
    )
)
GROUPS = Query("t", group=Grouping(("n", "name"), (Aggregate("rows", "count"), Aggregate("last_id", "max", "id"))))
PAIRS = Query("t", joins=(Join(TableSource("t"), (JoinKey("n", "n"),), prefix="other_"),))
LISTS = (
    Aggregate("list", "array", "name"),
    Aggregate("first", "first", "name"),
    Aggregate("last", "last", "name"),
    Aggregate("text", "join", "name"),
)


def over_groups(*by: str, mode: GroupMode = GroupMode.FLAT) -> Query:
    more = (
        Aggregate("ordered", "array", "name", order_by="rows"),
        Aggregate("low", "min_by", "name", order_by="n"),
        Aggregate("high", "max_by", "name", order_by="rows"),
        Aggregate("some", "max_by", "name", order_by="n", filter=Custom("rows > 1")),
    )
    return Query(source=QuerySource(GROUPS), group=Grouping(by, (*LISTS, *more), mode))


QUERIES = (
    over_groups(),
    over_groups("n"),
    over_groups("n", mode=GroupMode.ROLLUP),
    Query(source=QuerySource(PAIRS), group=Grouping(("n",), LISTS)),
)


def make() -> Hub:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    return hub


@pytest.mark.parametrize("seed", range(12))
def test_opened_early_is_opened_late(seed: int) -> None:
    rng = Random(seed)
    hub = make()
    mirrors = [Mirror(hub.open_session(query, f"s{number}").watch()) for number, query in enumerate(QUERIES)]
    for _ in range(16):
        rows = [
            {"id": key, "name": rng.choice((None, "a", "b", "c")), "n": rng.choice((None, 1, 2))}
            for key in rng.sample(range(7), rng.randint(1, 3))
        ]
        if rng.random() < 0.7:
            hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])
        else:
            keys = Batch.of_rows(SCHEMA.columns[:1], [{"id": row["id"]} for row in rows])
            hub.commit([Write("t", WriteKind.DELETE, keys)])
        hub.check()
        fresh = make()
        kept = hub.query(Query("t")).rows
        if kept.length:
            order = rng.sample(range(kept.length), kept.length)
            shuffled = [kept.to_rows()[place] for place in order]
            fresh.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, shuffled))])
        for mirror, query in zip(mirrors, QUERIES, strict=True):
            mirror.verify()
            assert mirror.rows == hub.query(query).rows.to_rows() == fresh.query(query).rows.to_rows()


def test_derived_rows_stand_in_the_order_of_their_keys() -> None:
    hub = make()
    for n in (5, 3, 4):
        hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": n, "name": f"x{n}", "n": n}]))])
    (row,) = hub.query(over_groups()).rows.to_rows()
    assert (row["list"], row["first"], row["last"]) == ('["x3","x4","x5"]', "x3", "x5")
    assert (row["low"], row["high"], row["some"]) == ("x3", "x3", None)


def test_rows_that_are_named_by_doubles_are_found() -> None:
    hub = Hub(epoch="test")
    schema = TableSchema((SCHEMA.columns[0], ColumnSchema("x", DataType.FLOAT64)))
    hub.create_table("t", schema)
    values = (1.25, 1.5, float("nan"), 0.0, -0.0, 1e300)
    rows = [{"id": key, "x": value} for key, value in enumerate(values)]
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(schema.columns, rows))])
    table = hub.create_derived_table("d", Query("t", group=Grouping(("x",), (Aggregate("n", "count"),))))

    def found(value: float) -> list[Scalar]:
        return hub.get_rows("d", Batch.of_rows(table.schema.columns[:1], [{"x": value}]))[0].columns["n"].to_list()

    assert [found(value) for value in (*values, 1.75)] == [[1], [1], [1], [2], [2], [1], []]
