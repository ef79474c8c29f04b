"""What is known to go wrong in systems like this one, and does not go wrong here: one test each.

Each was reproduced in a system that people use: mirrors that go stale, sums that drift, keys that are lost. The other
tests would notice them, too; here they stand by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.errors import CommitRefused, InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.query.computed import ComputedColumn, Lookup
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Custom, Filter, In
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import Join, JoinKey, TableSource

Row = dict[str, Any]
TRADES = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("symbol", DataType.STRING),
        ColumnSchema("price", DataType.FLOAT64),
        ColumnSchema("qty", DataType.INT64),
        ColumnSchema("ts", DataType.TIMESTAMP),
    )
)


def make(*rows: Row, **limits: Any) -> Hub:
    hub = Hub(epoch="test", limits=Limits(**limits))
    hub.create_table("trades", TRADES)
    put(hub, *rows)
    return hub


def put(hub: Hub, *rows: Row, table: str = "trades", kind: WriteKind = WriteKind.UPSERT) -> None:
    if rows:
        hub.commit([Write(table, kind, Batch.of_rows(hub.table(table).schema.columns, rows))])


def drop(hub: Hub, *ids: int, table: str = "trades") -> None:
    put(hub, *({"id": key} for key in ids), table=table, kind=WriteKind.DELETE)


def rows_of(hub: Hub, query: Query, window: Window = WHOLE) -> list[Row]:
    return hub.query(query, window).rows.to_rows()


def grouped(*aggregates: Aggregate) -> Query:
    return Query("trades", group=Grouping(("symbol",), aggregates))


def is_above(column: str, value: float) -> Filter:
    return Compare(column, CompareOp.GREATER, value)


class Mirror:
    """What a client makes of nothing but a snapshot and changes."""

    def __init__(self, watch: Watch, key: str = "id") -> None:
        self.watch, self.key = watch, key
        snapshot = watch.snapshot()
        self.rows, self.total = snapshot.rows.to_rows(), snapshot.total_count

    def take(self) -> Changes:
        changes = self.watch.take()
        if changes:
            self.apply(changes)
        return changes

    def apply(self, changes: Changes) -> None:
        gone = {row[self.key] for part in changes.removes for row in part.keys.to_rows()}
        rows = {row[self.key]: row for row in self.rows if row[self.key] not in gone}
        for part in changes.updates:
            for row in part.rows.to_rows():
                rows[row[self.key]].update(row)
        placed: list[tuple[int, Row]] = []
        if changes.moves is not None:
            moved = [rows.pop(row[self.key]) for row in changes.moves.keys.to_rows()]
            placed += zip(changes.moves.indexes.tolist(), moved, strict=True)
        if changes.inserts is not None:
            assert changes.inserts.indexes is not None
            placed += zip(changes.inserts.indexes.tolist(), changes.inserts.rows.to_rows(), strict=True)
        self.rows = list(rows.values())
        for index, row in sorted(placed, key=lambda each: each[0]):
            self.rows.insert(index, row)
        self.total = changes.total_count


def many(count: int, symbols: int = 10) -> Batch:
    ids = np.arange(count)
    texts = [f"SYM{number:04}" for number in range(symbols)]
    columns = {
        "id": Vector(DataType.INT64, ids),
        "symbol": Vector(DataType.STRING, (ids % symbols).astype(np.int32), None, texts),
        "price": Vector(DataType.FLOAT64, (ids * 7 % 1000).astype(np.float64)),
        "qty": Vector(DataType.INT64, ids % 1000 + 1),
        "ts": Vector(DataType.TIMESTAMP, ids * 7000),
    }
    return Batch(count, columns)


# Mirrors


def test_rows_that_leave_a_filter_are_removed_from_mirrors() -> None:
    hub = make(*({"id": key, "price": 100.0 + key} for key in range(8)))
    mirror = Mirror(hub.open_session(Query("trades", is_above("price", 100.0)), "s").watch())
    put(hub, *({"id": key, "price": 1.0} for key in (2, 3)), kind=WriteKind.UPDATE)
    put(hub, {"id": 5, "price": None}, kind=WriteKind.UPDATE)
    changes = mirror.take()
    assert [(part.reason, len(part.keys.to_rows())) for part in changes.removes] == [(RemoveReason.FILTERED, 3)]
    assert [row["id"] for row in mirror.rows] == [1, 4, 6, 7]
    assert mirror.rows == rows_of(hub, Query("trades", is_above("price", 100.0)))


def test_deletes_reach_every_mirror() -> None:
    hub = make(*({"id": key, "symbol": "a", "qty": key} for key in range(4)))
    plain = Mirror(hub.open_session(Query("trades", sort=(SortKey("qty", descending=True),)), "plain").watch())
    groups = Mirror(hub.open_session(grouped(Aggregate("n", "count")), "groups").watch(), "symbol")
    drop(hub, 0, 3)
    plain.take()
    groups.take()
    assert [row["id"] for row in plain.rows] == [2, 1]
    assert groups.rows == [{"symbol": "a", "n": 2}]


def test_groups_follow_rows_that_leave_them() -> None:
    rows = ({"id": 1, "symbol": "a", "qty": 5}, {"id": 2, "symbol": "a", "qty": 7}, {"id": 3, "symbol": "b", "qty": 1})
    hub = make(*rows)
    query = grouped(Aggregate("n", "count"), Aggregate("most", "max", "qty"), Aggregate("least", "min", "qty"))
    mirror = Mirror(hub.open_session(query, "s").watch(), "symbol")
    put(hub, {"id": 2, "symbol": "b"}, kind=WriteKind.UPDATE)
    mirror.take()
    assert mirror.rows == [
        {"symbol": "a", "n": 1, "most": 5, "least": 5},
        {"symbol": "b", "n": 2, "most": 7, "least": 1},
    ]
    drop(hub, 1)
    changes = mirror.take()
    assert [part.keys.to_rows() for part in changes.removes] == [[{"symbol": "a"}]]
    put(hub, {"id": 9, "symbol": "a", "qty": 2})
    mirror.take()
    assert mirror.rows == rows_of(hub, query)


def test_changes_of_groups_carry_their_keys() -> None:
    hub = make({"id": 1, "symbol": "a", "qty": 1}, {"id": 2, "symbol": None, "qty": 1})
    watch = hub.open_session(grouped(Aggregate("total", "sum", "qty")), "s").watch()
    watch.snapshot()
    put(hub, {"id": 1, "qty": 4}, {"id": 2, "qty": 5}, kind=WriteKind.UPDATE)
    told = [row for part in watch.take().updates for row in part.rows.to_rows()]
    assert sorted(told, key=repr) == [{"symbol": "a", "total": 4}, {"symbol": None, "total": 5}]


def test_an_update_says_only_what_changed() -> None:
    hub = make({"id": 1, "symbol": "a", "price": 1.0, "qty": 1})
    watch = hub.open_session(Query("trades"), "s").watch()
    watch.snapshot()
    put(hub, {"id": 1, "symbol": "a", "qty": 2}, kind=WriteKind.UPDATE)
    (update,) = watch.take().updates
    assert update.rows.to_rows() == [{"id": 1, "qty": 2}]
    assert rows_of(hub, Query("trades"))[0]["price"] == 1.0


def test_any_sort_has_windows_with_positions_and_counts() -> None:
    hub = make(*({"id": key, "price": float(key)} for key in range(6)))
    query = Query("trades", sort=(SortKey("price", descending=True),))
    mirror = Mirror(hub.open_session(query, "s").watch(Window(1, 3)))
    assert [row["id"] for row in mirror.rows] == [4, 3, 2]
    put(hub, {"id": 0, "price": 4.5}, {"id": 7, "price": 0.5})
    changes = mirror.take()
    assert changes.inserts is not None
    assert changes.inserts.indexes is not None
    assert changes.inserts.indexes.tolist() == [0]
    assert [part.reason for part in changes.removes] == [RemoveReason.WINDOW]
    assert ([row["id"] for row in mirror.rows], mirror.total) == ([0, 4, 3], 7)


def test_an_empty_result_is_said_to_be_complete() -> None:
    hub = make()
    snapshot = hub.open_session(Query("trades", is_above("price", 1.0)), "s").watch().snapshot()
    assert (snapshot.rows.to_rows(), snapshot.total_count, snapshot.version) == ([], 0, hub.version)


def test_a_reader_that_stops_reading_costs_no_more_than_the_result() -> None:
    history = HistoryLimits(commits=8, rows=100)
    hub = make(*({"id": key, "qty": 0} for key in range(20)), history=history, result_history=history)
    stopped, reading = (Mirror(hub.open_session(Query("trades"), name).watch()) for name in ("stopped", "reading"))
    for number in range(1, 300):
        put(hub, {"id": number % 20, "qty": number}, kind=WriteKind.UPDATE)
        reading.take()
        assert len(hub.table("trades").changelog) <= 2 * 8
        assert len(hub.session("stopped").result.history) <= 2 * 8
    changes = stopped.take()
    assert sum(len(part.rows.to_rows()) for part in changes.updates) == 20
    assert stopped.rows == reading.rows == rows_of(hub, Query("trades"))


# Joins


USERS = TableSchema((ColumnSchema("id", DataType.STRING, primary_key=True), ColumnSchema("name", DataType.STRING)))
BY_SYMBOL = (JoinKey("symbol", "id"),)
JOINED: Sequence[Query] = (
    Query("trades", joins=(Join(TableSource("users"), BY_SYMBOL),)),
    Query("trades", computed=(ComputedColumn("name", lookup=Lookup(TableSource("users"), BY_SYMBOL, column="name")),)),
)


@pytest.mark.parametrize("query", JOINED, ids=("join", "lookup"))
def test_opening_and_closing_one_joined_session_disturbs_no_other_reader(query: Query) -> None:
    hub = make({"id": 1, "symbol": "u1"}, {"id": 2, "symbol": "u2"})
    hub.create_table("users", USERS)
    put(hub, {"id": "u1", "name": "Ada"}, {"id": "u2", "name": "Bob"}, table="users")
    table_watch = hub.watch_table("users")
    table_watch.snapshot()
    child = Mirror(hub.open_session(Query("users"), "child").watch())
    first = Mirror(hub.open_session(query, "first").watch())
    narrower = Query(query.table, is_above("id", 1), joins=query.joins, computed=query.computed)
    second = Mirror(hub.open_session(narrower, "second").watch())
    put(hub, {"id": "u1", "name": "Eve"}, table="users")
    for mirror in (child, first, second):
        mirror.take()
    assert [row["name"] for row in first.rows] == ["Eve", "Bob"]
    hub.close_session("second")
    put(hub, {"id": "u2", "name": "Dan"}, table="users")
    for mirror in (child, first):
        mirror.take()
    assert [row["name"] for row in first.rows] == ["Eve", "Dan"]
    assert [row["name"] for row in child.rows] == ["Eve", "Dan"]
    assert [row["name"] for part in table_watch.take().updates for row in part.rows.to_rows()] == ["Eve", "Dan"]
    hub.check()


# Numbers


def test_sums_of_doubles_do_not_drift() -> None:
    hub = make({"id": 1, "symbol": "a", "price": 1e17}, {"id": 2, "symbol": "a", "price": 1.0})
    session = hub.open_session(grouped(Aggregate("total", "sum", "price"), Aggregate("mean", "avg", "price")), "s")
    put(hub, {"id": 1, "price": 0.0}, kind=WriteKind.UPDATE)
    assert session.read().rows.to_rows() == [{"symbol": "a", "total": 1.0, "mean": 0.5}]


def test_sums_of_integers_do_not_wrap() -> None:
    hub = make({"id": 1, "symbol": "a", "qty": 2**62})
    session = hub.open_session(grouped(Aggregate("total", "sum", "qty")), "s")
    put(hub, {"id": 2, "symbol": "b", "qty": 2**62})
    write = Write("trades", WriteKind.INSERT, Batch.of_rows(TRADES.columns, [{"id": 3, "symbol": "a", "qty": 2**62}]))
    result = hub.commit([write])
    ((ended, error),) = result.ended
    assert ended is session
    assert "'a'" in error.message
    assert error.reason is Reason.INT64_OVERFLOW


def test_whole_numbers_are_kept_exactly() -> None:
    hub = make({"id": 2**40, "qty": 2**53 + 1})
    assert [(row["id"], row["qty"]) for row in rows_of(hub, Query("trades"))] == [(2**40, 2**53 + 1)]
    found = rows_of(hub, Query("trades", Compare("qty", CompareOp.EQUAL, 2**53 + 1)))
    assert [row["id"] for row in found] == [2**40]


def test_count_counts_and_an_average_divides_by_the_values_that_are_there() -> None:
    hub = make({"id": 1, "symbol": "a", "qty": 4}, {"id": 2, "symbol": "a", "qty": None}, {"id": 3, "symbol": "a"})
    query = grouped(Aggregate("n", "count"), Aggregate("known", "count_values", "qty"), Aggregate("mean", "avg", "qty"))
    session = hub.open_session(query, "s")
    assert session.read().rows.to_rows() == [{"symbol": "a", "n": 3, "known": 1, "mean": 4.0}]
    put(hub, {"id": 3, "qty": 8}, kind=WriteKind.UPDATE)
    assert session.read().rows.to_rows() == [{"symbol": "a", "n": 3, "known": 2, "mean": 6.0}]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("qty * price + 1", 13.0),
        ("1 + qty * price", 13.0),
        ("qty - 1 - 1", 2),
        ("qty / 2 / 2", 1.0),
        ("2 + 3 * 4 - 6 / 2", 11.0),
        ("qty > 1 && price > 5 || qty == 4", True),
        ("-qty + 5", 1),
        ("price * 1.5", 4.5),
        ("price + 0.25", 3.25),
        ("qty >= 3.5 ? 0.5 : 1.5", 0.5),
        ("1.5e1", 15.0),
    ],
)
def test_operators_have_precedence_and_decimals_are_numbers(expression: str, value: object) -> None:
    hub = make({"id": 1, "qty": 4, "price": 3.0})
    (row,) = rows_of(hub, Query("trades", computed=(ComputedColumn("x", expression=expression),)))
    assert repr(row["x"]) == repr(value)
    assert rows_of(hub, Query("trades", Custom(f"({expression}) == {str(value).lower()}")))


# Order


def test_rows_sort_by_time() -> None:
    times = (5_000, None, -1, 10**15, 0)
    hub = make(*({"id": key, "ts": time} for key, time in enumerate(times)))
    mirror = Mirror(hub.open_session(Query("trades", sort=(SortKey("ts", descending=True),)), "s").watch())
    assert [row["ts"] for row in mirror.rows] == [10**15, 5_000, 0, -1, None]
    put(hub, {"id": 1, "ts": 7_000}, kind=WriteKind.UPDATE)
    mirror.take()
    assert [row["id"] for row in mirror.rows] == [3, 1, 0, 4, 2]


# Writes


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": None, "qty": 1}, Reason.NULL_KEY),
        ({"qty": 1}, Reason.MISSING_KEY),
        ({"id": 1, "price": "abc"}, Reason.WRONG_TYPE),
        ({"id": 1, "qty": "5"}, Reason.WRONG_TYPE),
        ({"id": 1, "nobody": 5}, Reason.UNKNOWN_COLUMN),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_of_it_is_kept(row: Row, reason: Reason) -> None:
    hub = make({"id": 7, "qty": 7})
    columns = {
        name: ColumnSchema(name, DataType.STRING if isinstance(value, str) else DataType.INT64)
        for name, value in row.items()
    }
    good = Write("trades", WriteKind.UPSERT, Batch.of_rows(TRADES.columns, [{"id": 8, "qty": 1}]))
    bad = Write("trades", WriteKind.UPSERT, Batch.of_rows(tuple(columns.values()), [row]))
    with pytest.raises((CommitRefused, InvalidRequest)) as caught:
        hub.commit([good, bad])
    reasons = (
        [p.reason for p in caught.value.problems] if isinstance(caught.value, CommitRefused) else [caught.value.reason]
    )
    assert reasons == [reason]
    assert [row["id"] for row in rows_of(hub, Query("trades"))] == [7]
    hub.check()


def test_increments_add_up() -> None:
    hub = make({"id": 1, "qty": 1})
    add = Write("trades", WriteKind.INCREMENT, Batch.of_rows(TRADES.columns, [{"id": 1, "qty": 2}]))
    hub.commit([add, add])
    assert rows_of(hub, Query("trades"))[0]["qty"] == 5


# Indexes


@pytest.mark.parametrize("kind", [IndexKind.HASH, IndexKind.SORTED])
def test_a_secondary_index_never_loses_an_update(kind: IndexKind) -> None:
    hub = make(*({"id": key, "symbol": "a", "qty": key % 3} for key in range(30)))
    hub.set_indexes("trades", [IndexSchema("symbol", kind), IndexSchema("qty", kind)])
    for round_ in range(20):
        put(hub, *({"id": key, "symbol": "ab"[key % 2], "qty": round_} for key in range(round_, 30, 4)))
        drop(hub, round_)
        for symbol in "ab":
            for qty in (0, 1, 2, round_):
                query = Query("trades", Custom(f"symbol == '{symbol}' && qty == {qty}"))
                every = rows_of(hub, Query("trades"))
                wanted = [row["id"] for row in every if (row["symbol"], row["qty"]) == (symbol, qty)]
                assert [row["id"] for row in rows_of(hub, query)] == wanted
    assert hub.counters.index_queries > 0


def test_an_index_does_not_lead_around_a_permanent_filter() -> None:
    hub = make(*({"id": key, "symbol": "ab"[key % 2], "qty": key} for key in range(8)))
    hub.set_indexes("trades", [IndexSchema("symbol", IndexKind.HASH), IndexSchema("qty", IndexKind.SORTED)])
    session = hub.open_session(Query("trades"), "s", permanent=In("symbol", ("a",)))
    for where in (None, In("symbol", ("a", "b")), Compare("qty", CompareOp.GREATER, 2), Custom("qty >= 0 || true")):
        hub.edit_session("s", Query("trades", where))
        assert {row["symbol"] for row in session.read().rows.to_rows()} == {"a"}
    put(hub, {"id": 9, "symbol": "b", "qty": 9}, {"id": 10, "symbol": "a", "qty": 9})
    assert session.total_count == 5


# Costs


def test_sessions_that_do_not_match_cost_a_commit_nothing() -> None:
    hub = make({"id": 1, "symbol": "live", "qty": 1})
    for number in range(500):
        hub.open_session(Query("trades", In("symbol", (f"S{number}",)), sort=(SortKey("qty"),)), f"s{number}")
    put(hub, {"id": 1, "qty": 0})  # the routes are put in order by the first commit
    before = hub.counters.sessions_routed, hub.counters.rows_routed
    for qty in range(1, 20):
        put(hub, {"id": 1, "qty": qty}, kind=WriteKind.UPDATE)
    assert (hub.counters.sessions_routed, hub.counters.rows_routed) == before


def test_one_update_of_a_large_group_looks_at_one_row() -> None:
    hub = make()
    hub.commit([Write("trades", WriteKind.INSERT, many(20_000))])
    aggregates = (
        Aggregate("n", "count"), Aggregate("total", "sum", "qty"), Aggregate("mean", "avg", "price"),
        Aggregate("least", "min", "price"), Aggregate("most", "max", "price"), Aggregate("middle", "median", "price"),
        Aggregate("kinds", "distinct_count", "qty"),
    )  # fmt: skip
    session = hub.open_session(grouped(*aggregates), "s")
    before = hub.counters.rows_examined, hub.counters.rows_routed
    for key in range(100, 110):
        put(hub, {"id": key, "price": 3.0, "qty": 5}, kind=WriteKind.UPDATE)
    assert hub.counters.rows_examined == before[0]
    assert hub.counters.rows_routed - before[1] <= 2 * 10
    assert session.read().rows.to_rows() == rows_of(hub, grouped(*aggregates))


def test_a_row_costs_its_columns_and_little_more() -> None:
    hub = make()
    hub.commit([Write("trades", WriteKind.INSERT, many(50_000, 1_000))])
    assert hub.table("trades").memory_bytes() / 50_000 < 120
