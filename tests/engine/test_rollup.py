"""Rollups, totals, pivots and trees through the hub, against the naive oracle, with readers of different expansions."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.errors import LimitExceeded
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode, Pivot
from tesseract_grpc.engine.query.query import Expansion, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tests.engine.small import small_thresholds
from tests.engine.tree_world import NAMES, PARENTS, PIVOTS, ROLLUPS, SCHEMA, Case, World


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_oracle_rollups_follow_histories(seed: int, small: bool) -> None:
    _play(seed, small, ROLLUPS)


@pytest.mark.parametrize("seed", range(4))
def test_oracle_pivots_follow_histories(seed: int) -> None:
    _play(seed, seed % 2 == 1, PIVOTS)


@pytest.mark.parametrize("seed", range(6))
def test_oracle_trees_by_parent_follow_histories(seed: int) -> None:
    _play(seed, seed % 2 == 1, PARENTS)


def _play(seed: int, small: bool, cases: list[Case]) -> None:
    with small_thresholds() if small else nullcontext():
        world = World(Random(seed), cases)
        world.verify(lazy=0)
        for _ in range(20):
            world.commit()
            world.verify()
            if world.rng.random() < 0.1:
                world.open_reader()
        world.verify(lazy=0)


@pytest.mark.fuzz
@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from((ROLLUPS, PIVOTS, PARENTS)), st.booleans())
def test_oracle_any_history(rng: Random, cases: list[Case], small: bool) -> None:
    with small_thresholds() if small else nullcontext():
        world = World(rng, rng.sample(cases, 2))
        for _ in range(8):
            world.commit()
            world.verify()


# What SQL says


@pytest.mark.parametrize("seed", range(3))
def test_rollups_agree_with_duckdb(seed: int) -> None:
    world = World(Random(seed), [ROLLUPS[0]])
    columns = "a, b, count(*), sum(x), sum(x * 2), count(*) FILTER (b = 1), max(x) FILTER (a <> 'q')"
    sql = f"SELECT 2 - GROUPING(a) - GROUPING(b) AS level, {columns}, sum(x) / count(*) FROM t GROUP BY ROLLUP (a, b)"
    for _ in range(12):
        world.commit()
        mine = [tuple(row.values()) for row in world.hub.query(world.cases[0].query).rows.to_rows()]
        theirs = [row for row in _duckdb(world, sql) if row[3] or row[0]]  # of no rows SQL makes a group
        assert sorted(map(repr, mine)) == sorted(map(repr, theirs))


@pytest.mark.parametrize("seed", range(3))
def test_pivots_agree_with_duckdb(seed: int) -> None:
    aggregates = (Aggregate("n", "count"), Aggregate("s", "sum", "x"))
    query = Query("t", group=Grouping(("a",), aggregates, split_by=Pivot("b", (0, 1))))
    world = World(Random(seed), [])
    session = world.hub.open_session(query, "pivot")
    sql = "PIVOT (SELECT a, b, x FROM t) ON b IN (0, 1) USING count(*) AS n, sum(x) AS s GROUP BY a"
    for _ in range(12):
        world.commit()
        mine = [tuple(row.values()) for row in session.read().rows.to_rows()]
        assert sorted(map(repr, mine)) == sorted(map(repr, _duckdb(world, sql)))


def _duckdb(world: World, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(":memory:", config={"threads": 1}) as db:
        db.execute("CREATE TABLE t (id BIGINT, boss BIGINT, a VARCHAR, b BIGINT, x DOUBLE)")
        for row in world.table.values():
            db.execute("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [row[name] for name in NAMES])
        return db.execute(sql).fetchall()


# One thing at a time


def commit(hub: Hub, *rows: dict[str, Any]) -> None:
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


def delete(hub: Hub, *keys: int) -> None:
    hub.commit([Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns, [{"id": key} for key in keys]))])


def make(*rows: dict[str, Any]) -> Hub:
    hub = Hub(epoch="test")
    hub.create_table("t", SCHEMA)
    if rows:
        commit(hub, *rows)
    return hub


def rollup(**more: Any) -> Query:
    return Query("t", group=Grouping(("a", "b"), (Aggregate("n", "count"),), GroupMode.ROLLUP), **more)


def test_groups_vanish_and_come_back_on_every_level() -> None:
    hub = make({"id": 1, "a": "p", "b": 0}, {"id": 2, "a": "p", "b": 1}, {"id": 3, "a": "q", "b": 0})
    session = hub.open_session(rollup(), "s")
    watch = session.watch()
    watch.snapshot()

    def paths() -> list[tuple[Any, ...]]:
        return [(row["level"], row["a"], row["b"]) for row in session.read().rows.to_rows()]

    full = paths()
    assert full == [(0, None, None), (1, "p", None), (2, "p", 0), (2, "p", 1), (1, "q", None), (2, "q", 0)]
    delete(hub, 2)
    assert paths() == [path for path in full if path != (2, "p", 1)]
    delete(hub, 1)
    assert paths() == [(0, None, None), (1, "q", None), (2, "q", 0)]
    change = watch.take()
    assert change.removes[0].reason is RemoveReason.DELETED
    assert sorted(repr(row["level"]) for row in change.removes[0].keys.to_rows()) == ["1", "2", "2"]
    delete(hub, 3)
    assert paths() == []
    commit(hub, {"id": 3, "a": "q", "b": 0}, {"id": 2, "a": "p", "b": 1}, {"id": 1, "a": "p", "b": 0})
    assert paths() == full
    hub.check()
    assert watch.take().total_count == 6


def test_a_group_whose_parent_having_drops_is_a_root() -> None:
    hub = make({"id": 1, "a": "p", "b": 0}, {"id": 2, "a": "p", "b": 1}, {"id": 3, "a": "q", "b": 0})
    query = rollup(having=Custom("n == 1"))
    rows = hub.query(query).rows.to_rows()
    # The groups of p and of all rows have more: what is below them stands among the roots, in their order.
    assert [(row["a"], row["b"]) for row in rows] == [("q", None), ("q", 0), ("p", 0), ("p", 1)]
    assert hub.query(query, Window(expansion=Expansion(0))).total_count == 3


def test_a_row_that_changes_its_group_moves_below_another() -> None:
    hub = make({"id": 1, "a": "p", "b": 0}, {"id": 2, "a": "p", "b": 0}, {"id": 3, "a": "q", "b": 0})
    grouping = Grouping(("a",), (Aggregate("n", "count"),), GroupMode.ROLLUP, include_leafs=True)
    session = hub.open_session(Query("t", group=grouping), "s")
    watch = session.watch()
    watch.snapshot()
    commit(hub, {"id": 1, "a": "q"})
    change = watch.take()
    # The row is named by its group too, so under its new name it is another row.
    assert [(row["a"], row["id"]) for part in change.removes for row in part.keys.to_rows()] == [("p", 1)]
    assert change.inserts is not None
    assert [(row["a"], row["id"]) for row in change.inserts.rows.to_rows()] == [("q", 1)]
    hub.check()


def test_closed_branches_cost_nothing() -> None:
    rows = [{"id": i, "a": "pqr"[i % 3], "b": i % 10, "x": 1.0} for i in range(300)]
    hub = make(*rows)
    grouping = Grouping(("a", "b"), (Aggregate("s", "sum", "x"),), GroupMode.ROLLUP, include_leafs=True)
    session = hub.open_session(Query("t", group=grouping, sort=(SortKey("s"),)), "s")
    tree = session.result.tree
    assert tree is not None
    watches = [session.watch(Window(expansion=Expansion(1))), session.watch(Window(0, 5))]
    for watch in watches:
        watch.snapshot()
    placed, listed = tree.placed, tree.pages.listed
    commit(hub, {"id": 7, "x": 2.0})
    # The row's three groups are put in their places (the row itself sorts by an aggregate, which it has not).
    assert tree.placed - placed == 3
    for watch in watches:
        watch.take()
    # Looked at is what shows: four rows of the closed tree, five of the window.
    assert tree.pages.listed - listed == 4 + 5
    placed, listed = tree.placed, tree.pages.listed
    commit(hub, {"id": 8, "boss": 3})  # concerns neither order nor parents
    for watch in watches:
        watch.take()
    assert (tree.placed - placed, tree.pages.listed - listed) == (0, 5)


def test_too_many_levels_are_refused() -> None:
    names = tuple(f"c{number}" for number in range(33))
    columns = (ColumnSchema("id", DataType.INT64, primary_key=True), *(ColumnSchema(n, DataType.BOOL) for n in names))
    hub = Hub(epoch="test")
    hub.create_table("wide", TableSchema(columns))
    assert hub.query(Query("wide", group=Grouping(names[:32], (), GroupMode.ROLLUP))).total_count == 0
    with pytest.raises(LimitExceeded):
        hub.query(Query("wide", group=Grouping(names, (), GroupMode.ROLLUP)))


def test_equal_levels_are_shared_between_sessions() -> None:
    hub = make({"id": 1, "a": "p", "b": 0})
    aggregates = (Aggregate("n", "count"),)
    hub.open_session(Query("t", group=Grouping(("a", "b"), aggregates, GroupMode.ROLLUP)), "rollup")
    nodes = len(hub._sources["t"].nodes)
    hub.open_session(Query("t", group=Grouping(("a",), aggregates)), "flat")
    hub.open_session(Query("t", group=Grouping(("a", "b"), aggregates, GroupMode.TOTAL)), "total")
    assert nodes == len(hub._sources["t"].nodes) == 3
    for name in ("rollup", "flat", "total"):
        hub.close_session(name)
    assert not hub._sources["t"].nodes
    hub.check()


def test_equal_expressions_are_worked_out_once() -> None:
    hub = make({"id": 1, "x": 2.0})
    aggregates = [Aggregate(f, f, expression="x * 2") for f in ("sum", "max")]
    aggregates += [Aggregate(f"b_{f}", f, "x", filter=Custom("b == 1")) for f in ("sum", "max")]
    session = hub.open_session(Query("t", group=Grouping(("a",), tuple(aggregates))), "s")
    (compute,) = hub._sources["t"].nodes.values()
    (mask,) = compute.source.nodes.values()
    assert len(mask.deriver.table.columns) == len(SCHEMA.columns) + 2
    assert session.read().rows.to_rows() == [{"a": None, "sum": 4.0, "max": 4.0, "b_sum": None, "b_max": None}]


EVERY = (
    Aggregate("count", "count"),
    Aggregate("count_values", "count_values", "a"),
    Aggregate("sum", "sum", "x"),
    Aggregate("avg", "avg", "x"),
    Aggregate("min", "min", "a"),
    Aggregate("max", "max", "x"),
    Aggregate("var", "var", "x"),
    Aggregate("stddev", "stddev", "x"),
    Aggregate("count_if", "count_if", expression="x > 0"),
    Aggregate("distinct_count", "distinct_count", "a"),
    Aggregate("weighted_avg", "weighted_avg", "x", weight="b"),
    Aggregate("median", "median", "x"),
    Aggregate("percentile", "percentile", "x", percentile=0.25),
    Aggregate("first", "first", "a"),
    Aggregate("last", "last", "a", order_by="x"),
    Aggregate("min_by", "min_by", "a", order_by="x"),
    Aggregate("max_by", "max_by", "a", order_by="b"),
    Aggregate("unique", "unique", "a"),
    Aggregate("any", "any", expression="x > 0"),
    Aggregate("every", "every", expression="x > 0"),
    Aggregate("join", "join", "a", order_by="x", separator="-"),
    Aggregate("array", "array", expression="x * 2", order_by="b"),
)


@pytest.mark.parametrize("seed", range(4))
def test_a_filter_of_every_aggregate_is_the_filter_of_the_query(seed: int) -> None:
    world, where = World(Random(seed), []), Custom("boss % 3 != 1")
    commit(world.hub, {"id": 0, "boss": 0})  # so that both have a group
    filtered = Query("t", where, group=Grouping((), EVERY))
    each = Query("t", group=Grouping((), tuple(replace(aggregate, filter=where) for aggregate in EVERY)))
    spread = Query("t", where, group=Grouping(("a",), EVERY, split_by=Pivot("b", (0, 1, None))))
    sessions = [world.hub.open_session(query, f"s{index}") for index, query in enumerate((filtered, each, spread))]
    assert {aggregate.function for aggregate in EVERY} == {str(name) for name in AggregateFunction}
    for _ in range(15):
        world.commit()
        commit(world.hub, {"id": 0, "boss": 0})
        one, other = [repr(session.read().rows.to_rows()) for session in sessions[:2]]
        assert one == other
        world.hub.check()


def test_filters_of_aggregates_follow_the_clock() -> None:
    schema = TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("at", DataType.TIMESTAMP)))
    hub = Hub(epoch="test")
    hub.create_table("e", schema)
    hub.tick(1_000_000)
    hub.commit(
        [Write("e", WriteKind.UPSERT, Batch.of_rows(schema.columns, [{"id": 1, "at": 0}, {"id": 2, "at": 10**7}]))]
    )
    recent = Aggregate("recent", "count", filter=Custom("at > now()"))
    session = hub.open_session(Query("e", group=Grouping((), (recent,))), "s")
    watch = session.watch()
    watch.snapshot()
    assert session.read().rows.to_rows() == [{"group": True, "recent": 1}]
    hub.tick(2 * 10**7)
    assert session.read().rows.to_rows() == [{"group": True, "recent": 0}]
    assert watch.take().updates[0].rows.to_rows() == [{"group": True, "recent": 0}]
    hub.check()
