"""Sessions with window columns: after every commit readers hold what a query from scratch and the oracle give.

Window columns over tables, over filters, over groups (whose keys may be null), over each other; sorted by, cut to a
page, and with histories so short that readers lag.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError, OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.operators.window_schema import MAX_WINDOW_COLUMNS
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Compare, CompareOp, In, NullTest
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tests.engine.window_oracle import Ask, Order, Row, Windows

F = WindowFunction
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("s", DataType.STRING),
        ColumnSchema("f", DataType.FLOAT64),
        ColumnSchema("i", DataType.INT64),
    )
)
VALUES: dict[str, tuple[Any, ...]] = {
    "s": ("a", "b", "c", None),
    "f": (-1.5, 0.1, 0.2, 1e17, float("nan"), None),
    "i": (-2, -1, 0, 1, 2, None),
}
PLACE = WindowColumn("place", F.ROW_NUMBER, "", ("s",), (SortKey("f", descending=True),))
RANKED = WindowColumn("ranked", F.RANK, "", (), (SortKey("i"),))
TOTAL = WindowColumn("total", F.SUM, "f", ("s",), (SortKey("i"),))
BEFORE = WindowColumn("before", F.LAG, "s", ("i",))
RECENT = WindowColumn("recent", F.AVG, "i", (), (), rows=3)
MOST = WindowColumn("most", F.MAX, "s", ("i",), (SortKey("id", descending=True),))
AGAIN = WindowColumn("again", F.SUM, "place", ("place",))  # over another window column
EACH = (PLACE, RANKED, TOTAL, BEFORE, RECENT, MOST)
ROWS = Aggregate("rows", "count")
MEAN = Aggregate("mean", "avg", "f")
OF_GROUPS = (
    WindowColumn("at", F.ROW_NUMBER),
    WindowColumn("rank", F.DENSE_RANK, "", (), (SortKey("rows", descending=True),)),
    WindowColumn("share", F.SUM, "rows", ("s",)),
    WindowColumn("next", F.LEAD, "mean", (), (SortKey("mean"),)),
)
QUERIES = (
    *(Query("t", window_columns=(column,)) for column in EACH),
    Query("t", window_columns=EACH, sort=(SortKey("place"), SortKey("total", descending=True))),
    Query("t", In("i", (0, 1, None)), window_columns=EACH),
    Query("t", NullTest("f", negated=True), window_columns=(PLACE, TOTAL), sort=(SortKey("total"),)),
    Query("t", Compare("f", CompareOp.GREATER, 0.0), columns=("id", "before"), window_columns=(BEFORE, RECENT)),
    Query(
        "t", window_columns=(PLACE, WindowColumn("again", F.SUM, "place", ("place",)), RECENT), sort=(SortKey("again"),)
    ),
    Query(
        "t",
        computed=(ComputedColumn("twice", "i * 2"),),
        window_columns=(WindowColumn("sum", F.SUM, "twice", (), (SortKey("twice"),)),),
    ),
    Query("t", group=Grouping(("s",), (ROWS, MEAN)), window_columns=OF_GROUPS),
    Query("t", In("i", (0, 1)), group=Grouping(("f", "s"), (ROWS, MEAN)), window_columns=OF_GROUPS),
    Query(
        "t",
        group=Grouping(("s",), (ROWS, MEAN)),
        having=Compare("rows", CompareOp.GREATER, 1),
        window_columns=OF_GROUPS,
        sort=(SortKey("rank"),),
    ),
)


class Mirror:
    """What a reader holds, in order."""

    def __init__(self, watch: Watch, key: Sequence[str]) -> None:
        self.watch = watch
        self.key = key
        snapshot = watch.snapshot()
        self.rows = snapshot.rows.to_rows()
        self.total = snapshot.total_count

    def name(self, row: Any) -> str:
        return repr([row[name] for name in self.key])

    def take(self) -> None:
        changes = self.watch.take()
        if not changes:
            return
        for removes in changes.removes:
            self.take_out(removes.keys.to_rows())
        held = {self.name(row): row for row in self.rows}
        for updates in changes.updates:
            for row in updates.rows.to_rows():
                held[self.name(row)].update(row)
        put: list[tuple[int, Any]] = []
        if changes.moves is not None:
            keys = changes.moves.keys.to_rows()
            put += zip(changes.moves.indexes.tolist(), [held[self.name(key)] for key in keys], strict=True)
            self.take_out(keys)
        if changes.inserts is not None:
            assert changes.inserts.indexes is not None
            put += zip(changes.inserts.indexes.tolist(), changes.inserts.rows.to_rows(), strict=True)
        for index, row in sorted(put, key=lambda each: each[0]):
            self.rows.insert(index, row)
        self.total = changes.total_count

    def take_out(self, keys: Sequence[Any]) -> None:
        gone = {self.name(key) for key in keys}
        before = len(self.rows)
        self.rows = [row for row in self.rows if self.name(row) not in gone]
        assert before - len(self.rows) == len(gone)


def hub_of(choose: random.Random) -> Hub:
    limits = [HistoryLimits(commits=choose.choice((1, 3, 1000)), rows=choose.choice((4, 1000))) for _ in range(2)]
    hub = Hub(epoch="e", limits=Limits(history=limits[0], result_history=limits[1]))
    hub.create_table("t", SCHEMA)
    return hub


def write(choose: random.Random) -> Write:
    ids = choose.sample(range(9), choose.choice((1, 1, 2, 5)))
    if choose.random() < 0.2:
        return Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns, [{"id": key} for key in ids]))
    columns = choose.sample(tuple(VALUES), choose.randrange(1, 4))
    rows = [{"id": key, **{column: choose.choice(VALUES[column]) for column in columns}} for key in ids]
    return Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))


def key_of(query: Query) -> tuple[str, ...]:
    return ("id",) if query.group is None else query.group.by


def ask_of(column: WindowColumn) -> Ask:
    order = tuple(Order(key.column, key.descending, key.nulls_first) for key in column.order_by)
    return Ask(column.name, column.function.name, column.column, column.partition_by, order, column.offset, column.rows)


def judged(hub: Hub, query: Query) -> None:
    """A query from scratch is what the oracle makes of the rows that come before its window columns."""
    if query.columns:
        return
    plain = Query("t", query.filter, group=query.group, having=query.having, computed=query.computed)
    rows: list[Row] = [dict(row) for row in hub.query(plain).rows.to_rows()]
    found: list[Row] = [dict(row) for row in hub.query(query).rows.to_rows()]
    for column in query.window_columns:
        true = Windows(rows, key_of(query), {}).answer(ask_of(column))
        values = {repr(key): value for key, value in true.items()}  # NaN is a key, too
        for row in rows:
            row[column.name] = values[repr(tuple(row[name] for name in key_of(query)))]
    assert sorted(map(repr, found)) == sorted(map(repr, rows)), query


@pytest.mark.parametrize("seed", range(6))
def test_sessions_with_window_columns_follow_every_commit(seed: int) -> None:
    choose = random.Random(seed)
    hub = hub_of(choose)
    for _ in range(choose.choice((0, 6))):
        hub.commit([write(choose)])
    readers: list[tuple[Mirror, Query]] = []
    for number, query in enumerate(QUERIES):
        watch = hub.open_session(query, f"s{number}").watch(choose.choice((WHOLE, WHOLE, Window(1, 3))))
        readers.append((Mirror(watch, key_of(query)), query))
    for _ in range(30):
        hub.commit([write(choose) for _ in range(choose.choice((1, 1, 2)))])
        hub.check()
        for mirror, query in readers:
            if choose.random() < 0.7:
                mirror.take()
                fresh = hub.query(query, mirror.watch.window)
                assert repr(mirror.rows) == repr(fresh.rows.to_rows()), query
                assert mirror.total == fresh.total_count
        judged(hub, choose.choice(QUERIES))
    for number in range(len(QUERIES)):
        hub.close_session(f"s{number}")
    hub.check()


def insert(hub: Hub, *rows: Row) -> Any:
    return hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


def test_a_sum_that_leaves_int64_ends_its_session_and_nothing_else() -> None:
    hub = hub_of(random.Random(0))
    query = Query("t", window_columns=(WindowColumn("sum", F.SUM, "i", ("s",)),))
    session = hub.open_session(query, "sum")
    hub.open_session(Query("t", window_columns=(WindowColumn("mean", F.AVG, "i", ("s",)),)), "mean")
    insert(hub, {"id": 1, "s": "a", "i": 2**62}, {"id": 2, "s": "b", "i": 2**62})
    ((ended, error),) = insert(hub, {"id": 3, "s": "a", "i": 2**62}).ended
    assert ended is session
    assert error.reason is Reason.INT64_OVERFLOW
    assert all(part in error.message for part in ("column 'i'", "'sum'", "s = 'a'")), error.message
    assert set(hub.sessions) == {"mean"}
    assert [row["mean"] for row in hub.session("mean").read().rows.to_rows()] == [2.0**62] * 3
    hub.check()
    with pytest.raises(OutOfRange):
        hub.query(query)


def test_equal_window_columns_of_equal_filters_are_maintained_once() -> None:
    hub = hub_of(random.Random(0))
    where = In("i", (0, 1))
    for name, sort in (("a", "place"), ("b", "total"), ("c", "id")):
        hub.open_session(Query("t", where, window_columns=(PLACE, TOTAL), sort=(SortKey(sort),)), name)
    hub.open_session(Query("t", window_columns=(PLACE, TOTAL)), "all")
    insert(hub, {"id": 1, "s": "a", "f": 1.0, "i": 1})
    # One row is offered to two nodes, and what they make of it to the results over them.
    assert hub.counters.sessions_routed == 2 + 3 + 1
    hub.check()


TOO_MANY = tuple(WindowColumn(f"w{number}", F.ROW_NUMBER) for number in range(MAX_WINDOW_COLUMNS + 1))


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        (Query("t", window_columns=(WindowColumn("s", F.ROW_NUMBER),)), Reason.DUPLICATE_COLUMN, "[0].name"),
        (
            Query("t", window_columns=(PLACE, WindowColumn("w", F.LAG, "place"), WindowColumn("v", F.SUM, "s"))),
            Reason.WRONG_TYPE,
            "[2].column",
        ),
        (
            Query("t", window_columns=(WindowColumn("w", F.LAG, "v"), WindowColumn("v", F.LAG, "i"))),
            Reason.UNKNOWN_COLUMN,
            "[0].column",
        ),
        (
            Query("t", group=Grouping(("s",)), window_columns=(WindowColumn("w", F.LAG, "i"),)),
            Reason.UNKNOWN_COLUMN,
            "[0].column",
        ),
        (
            Query(
                "t", window_columns=tuple(WindowColumn(f"w{n}", F.ROW_NUMBER) for n in range(MAX_WINDOW_COLUMNS + 1))
            ),
            Reason.LIMIT_EXCEEDED,
            "",
        ),
    ],
    ids=str,
)
def test_window_columns_that_make_no_sense_are_refused(query: Query, reason: Reason, field: str) -> None:
    hub = hub_of(random.Random(0))
    with pytest.raises(EngineError) as caught:
        hub.open_session(query, "s")
    assert (caught.value.reason, caught.value.field) == (reason, f"query.window_columns{field}")
    assert not hub.sessions
    hub.check()


def test_a_filter_cannot_use_a_window_column_and_a_session_over_it_can_sort_by_it() -> None:
    hub = hub_of(random.Random(0))
    with pytest.raises(EngineError) as caught:
        hub.query(Query("t", Compare("place", CompareOp.EQUAL, 1), window_columns=(PLACE,)))
    assert caught.value.reason is Reason.UNKNOWN_COLUMN
    insert(hub, {"id": 1, "s": "a", "f": 1.0}, {"id": 2, "s": "a", "f": 2.0}, {"id": 3, "s": "b", "f": 0.5})
    found = hub.query(Query("t", columns=("place",), window_columns=(PLACE,), sort=(SortKey("place"),)))
    assert found.rows.to_rows() == [{"id": 2, "place": 1}, {"id": 3, "place": 1}, {"id": 1, "place": 2}]
