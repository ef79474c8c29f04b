"""Grouped sessions: after every commit they equal grouping from scratch, and both equal plain Python.

Random histories on tiny domains, many groupings at once: over no, one and two columns, filtered before and after,
sorted by keys and by aggregates, whole and in windows, with histories so short that readers lag.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.errors import CommitRefused, InvalidRequest, OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter, In, NullTest
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import WHOLE, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey

Row = dict[str, Scalar]
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("s", DataType.STRING),
        ColumnSchema("f", DataType.FLOAT64),
        ColumnSchema("i", DataType.INT64),
        ColumnSchema("b", DataType.BOOL),
    )
)
VALUES = ("s", "f", "i", "b")
FILTERS: tuple[Filter | None, ...] = (
    None,
    In("i", (0, 1)),
    Compare("s", CompareOp.EQUAL, "a"),
    Compare("f", CompareOp.GREATER, 0.5),
)
AGGREGATES = (
    Aggregate("rows", "count"),
    Aggregate("values", "count_values", "f"),
    Aggregate("total", "sum", "f"),
    Aggregate("whole", "sum", "i"),
    Aggregate("mean", "avg", "f"),
    Aggregate("least", "min", "i"),
    Aggregate("most", "max", "f"),
    Aggregate("first", "min", "s"),
    Aggregate("last", "max", "s"),
)


def naive(rows: Sequence[Row], grouping: Grouping) -> list[Row]:
    """The groups in plain Python, in no order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(repr([row[name] for name in grouping.by]), []).append(row)
    found = []
    for members in groups.values():
        group: Row = {name: members[0][name] for name in grouping.by} if grouping.by else {"group": True}
        for aggregate in grouping.aggregates:
            values = [
                row[aggregate.column] for row in members if aggregate.column and row[aggregate.column] is not None
            ]
            group[aggregate.name] = _naive_aggregate(aggregate.function, members, values)
        found.append(group)
    return found


def _naive_aggregate(function: str, members: list[Row], values: list[Scalar]) -> Scalar:
    if function == "count":
        return len(members)
    if function == "count_values":
        return len(values)
    if not values:
        return None
    if function in ("min", "max"):
        ordered = sorted(values, key=lambda value: (value != value, 0 if value != value else value))
        return ordered[0] if function == "min" else ordered[-1]
    numbers = [float(value) for value in values if value is not None]
    if any(number != number for number in numbers):
        return math.nan
    if function == "sum":
        return math.fsum(numbers) if isinstance(values[0], float) else sum(int(number) for number in numbers)
    return math.fsum(numbers) / len(numbers)


class Mirror:
    """What a reader of groups holds; rows are named by the grouping columns."""

    def __init__(self, watch: Watch, grouping: Grouping) -> None:
        self.watch = watch
        self.names = grouping.by or ("group",)
        snapshot = watch.snapshot()
        self.rows = snapshot.rows.to_rows()
        self.total = snapshot.total_count

    def _key(self, row: Row) -> str:
        return repr([row[name] for name in self.names])

    def take(self) -> None:
        changes = self.watch.take()
        if not changes:
            return
        for removes in changes.removes:
            gone = {self._key(row) for row in removes.keys.to_rows()}
            before = len(self.rows)
            self.rows = [row for row in self.rows if self._key(row) not in gone]
            assert before - len(self.rows) == len(gone)
        held = {self._key(row): row for row in self.rows}
        for updates in changes.updates:
            for row in updates.rows.to_rows():
                held[self._key(row)].update(row)
        put: list[tuple[int, Row]] = []
        if changes.moves is not None:
            keys = [self._key(row) for row in changes.moves.keys.to_rows()]
            put += [(index, held[key]) for key, index in zip(keys, changes.moves.indexes.tolist(), strict=True)]
            self.rows = [row for row in self.rows if self._key(row) not in set(keys)]
        if changes.inserts is not None:
            assert changes.inserts.indexes is not None
            put += zip(changes.inserts.indexes.tolist(), changes.inserts.rows.to_rows(), strict=True)
        for index, row in sorted(put, key=lambda each: each[0]):
            self.rows.insert(index, row)
        self.total = changes.total_count


def _value(choose: random.Random, column: str) -> Scalar:
    if choose.random() < 0.2:
        return None
    domain: dict[str, Sequence[Scalar]] = {
        "s": "abcde",
        "f": (-1.0, 0.0, 1.0, 2.5, 1e17, math.nan),
        "i": (-2, -1, 0, 1, 2),
        "b": (True, False),
    }
    return choose.choice(domain[column])


def _write(choose: random.Random) -> Write:
    kind = choose.choice((WriteKind.INSERT, WriteKind.UPSERT, WriteKind.UPSERT, WriteKind.UPDATE, WriteKind.DELETE))
    ids = [choose.randrange(8) for _ in range(1 if kind is WriteKind.INSERT else choose.choice((1, 1, 2, 5)))]
    if kind is WriteKind.DELETE:
        return Write("t", kind, Batch.of_rows(SCHEMA.columns, [{"id": key} for key in ids]))
    columns = choose.sample(VALUES, choose.randrange(1, 5))
    rows = [{"id": key, **{column: _value(choose, column) for column in columns}} for key in ids]
    return Write("t", kind, Batch.of_rows(SCHEMA.columns, rows), ignore_missing=kind is WriteKind.UPDATE)


def _query(choose: random.Random) -> Query:
    by = tuple(choose.sample(VALUES, choose.choice((0, 1, 1, 2))))
    aggregates = tuple(choose.sample(AGGREGATES, choose.choice((1, 2, 4))))
    sort = choose.choice(((), (SortKey(aggregates[0].name, descending=True),)))
    having = choose.choice((None, None, NullTest(aggregates[0].name, negated=True)))
    return Query("t", choose.choice(FILTERS), (), sort, Grouping(by, aggregates), having)


def _hub(choose: random.Random) -> Hub:
    limits = [HistoryLimits(commits=choose.choice((1, 3, 1000)), rows=choose.choice((4, 1000))) for _ in range(2)]
    hub = Hub(epoch="e", limits=Limits(history=limits[0], result_history=limits[1]))
    hub.create_table("t", SCHEMA)
    return hub


@pytest.mark.parametrize("seed", range(12))
def test_groups_follow_every_commit(seed: int) -> None:
    choose = random.Random(seed)
    hub = _hub(choose)
    readers: list[tuple[Mirror, Query]] = []
    for number in range(20):
        query = _query(choose)
        watch = hub.open_session(query, f"s{number}").watch(choose.choice((WHOLE, Window(0, 3))))
        assert query.group is not None
        readers.append((Mirror(watch, query.group), query))
    for _ in range(40):
        with suppress(CommitRefused):
            hub.commit([_write(choose) for _ in range(choose.choice((1, 1, 2)))])
        hub.check()
        for mirror, query in readers:
            if choose.random() < 0.7:
                _compare(hub, mirror, query)
    for number in range(20):
        hub.close_session(f"s{number}")
    hub.check()
    assert hub.open_session(readers[0][1], "again").total_count == hub.query(readers[0][1]).total_count


def _compare(hub: Hub, mirror: Mirror, query: Query) -> None:
    mirror.take()
    fresh = hub.query(query, mirror.watch.window)
    assert repr(mirror.rows) == repr(fresh.rows.to_rows())
    assert mirror.total == fresh.total_count
    if query.having is None and mirror.watch.window.whole:
        assert query.group is not None
        expected = naive(hub.query(Query("t", query.filter)).rows.to_rows(), query.group)
        assert sorted(map(repr, mirror.rows)) == sorted(map(repr, expected))


def _grouped(*aggregates: Aggregate, by: tuple[str, ...] = ("s",)) -> Query:
    return Query("t", group=Grouping(by, aggregates))


def _insert(hub: Hub, *rows: Row) -> None:
    hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))])


def test_a_sum_does_not_drift() -> None:
    hub = _hub(random.Random(0))
    session = hub.open_session(_grouped(Aggregate("total", "sum", "f")), "s")
    _insert(hub, {"id": 1, "s": "a", "f": 1e17}, {"id": 2, "s": "a", "f": 1.0})
    _insert(hub, {"id": 1, "s": "a", "f": 0.0})
    assert session.read().rows.to_rows() == [{"s": "a", "total": 1.0}]


def test_an_average_divides_by_the_values_that_are_there() -> None:
    hub = _hub(random.Random(0))
    session = hub.open_session(_grouped(Aggregate("mean", "avg", "i")), "s")
    _insert(hub, {"id": 1, "s": "a", "i": 4}, {"id": 2, "s": "a", "i": None})
    assert session.read().rows.to_rows() == [{"s": "a", "mean": 4.0}]


def test_a_sum_that_leaves_int64_ends_its_session_and_nothing_else() -> None:
    hub = _hub(random.Random(0))
    session = hub.open_session(_grouped(Aggregate("whole", "sum", "i")), "sum")
    hub.open_session(_grouped(Aggregate("rows", "count")), "count")
    watch = session.watch()
    watch.snapshot()
    _insert(hub, {"id": 1, "s": "a", "i": 2**62})
    result = hub.commit(
        [Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, [{"id": 2, "s": "a", "i": 2**62}]))]
    )
    ((ended, error),) = result.ended
    assert ended is session
    assert isinstance(error, OutOfRange)
    assert "'i'" in error.message
    assert "s = 'a'" in error.message
    assert watch.closed is Reason.INT64_OVERFLOW
    assert set(hub.sessions) == {"count"}
    assert hub.session("count").read().rows.to_rows() == [{"s": "a", "rows": 2}]
    hub.check()
    with pytest.raises(OutOfRange):
        hub.query(_grouped(Aggregate("whole", "sum", "i")))


def test_equal_groupings_are_maintained_once() -> None:
    hub = _hub(random.Random(0))
    query = _grouped(Aggregate("rows", "count"))
    hub.open_session(query, "a")
    hub.open_session(query, "b")
    sorted_query = Query("t", group=query.group, sort=(SortKey("rows"),))
    hub.open_session(sorted_query, "c")
    assert hub.counters.plans_shared == 1
    _insert(hub, {"id": 1, "s": "x"})
    assert [hub.session(name).total_count for name in "abc"] == [1, 1, 1]
    for name in "abc":
        hub.close_session(name)
    hub.check()
    _insert(hub, {"id": 2, "s": "y"})
    assert hub.counters.sessions_routed == 3  # the first commit offered its row to one group and two results


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        (_grouped(by=("nobody",)), Reason.UNKNOWN_COLUMN, "query.group.by"),
        (_grouped(Aggregate("x", "sum", "s")), Reason.WRONG_TYPE, "query.group.aggregates[0].column"),
        (_grouped(Aggregate("x", "sum", "none")), Reason.UNKNOWN_COLUMN, "query.group.aggregates[0].column"),
        (_grouped(Aggregate("x", "guess", "i")), Reason.MALFORMED_REQUEST, "query.group.aggregates[0].function"),
        (_grouped(Aggregate("s", "count")), Reason.DUPLICATE_COLUMN, "query.group"),
        (Query("t", having=NullTest("s")), Reason.MALFORMED_REQUEST, "query.having"),
        (
            Query("t", group=Grouping(("s",)), having=NullTest("i")),
            Reason.UNKNOWN_COLUMN,
            "query.having.null_test.column",
        ),
    ],
)
def test_a_grouping_that_makes_no_sense_is_refused(query: Query, reason: Reason, field: str) -> None:
    hub = _hub(random.Random(0))
    with pytest.raises(InvalidRequest) as caught:
        hub.open_session(query, "s")
    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert not hub.sessions
    hub.check()
