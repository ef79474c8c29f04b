"""A hub with a table of trees and groups, the naive truth beside it, and readers with different nodes open.

Every step writes to the hub and to a plain dict, lets some readers take what they are owed, and compares: the mirror of
each reader that took, `session.read`, and the query made once, with the naive oracle (`tree_oracle.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.filter import Custom, Filter
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode, Pivot
from tesseract_grpc.engine.query.query import Expansion, Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tests.engine.tree_oracle import shown

Row = dict[str, Any]
Name = tuple[Any, ...]

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("boss", DataType.INT64),
        ColumnSchema("a", DataType.STRING),
        ColumnSchema("b", DataType.INT64),
        ColumnSchema("x", DataType.FLOAT64),
    )
)
NAMES = [column.name for column in SCHEMA.columns]
VALUES: dict[str, list[Any]] = {
    "boss": [None, *range(9)],
    "a": [None, "p", "q", "r"],
    "b": [None, 0, 1],
    "x": [None, 0.0, 1.0, 2.0, math.nan],
}


@dataclass(frozen=True)
class Case:
    """A query, and what it gives by the naive way."""

    query: Query
    rows: Callable[[list[Row]], list[Row]]
    """From the rows of the table to those of the result, in the order of its sort."""
    key: Callable[[Row], Any]
    parent: Callable[[Row], Any] | None = None  # None: no tree
    name: Callable[[Row], Name] = lambda row: ()
    names: list[Name] = field(default_factory=list)  # of nodes that there may be


# The naive way


def identity(value: Any) -> Any:
    """A value that equals itself."""
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def by_value(value: Any) -> tuple[bool, bool, Any]:
    """How values sort: NaN above every number, nulls last."""
    nan = isinstance(value, float) and math.isnan(value)
    return (value is None, nan, 0 if value is None or nan else value)


def ordered(rows: Sequence[Row], sort: Sequence[SortKey], key: Sequence[str]) -> list[Row]:
    found = sorted(rows, key=lambda row: [by_value(row[name]) for name in key])
    for each in reversed(sort):
        present = [row for row in found if row[each.column] is not None]
        missing = [row for row in found if row[each.column] is None]
        present.sort(key=lambda row, name=each.column: by_value(row[name]), reverse=each.descending)  # type: ignore[misc]
        found = missing + present if each.nulls_first else present + missing
    return found


def numbers(rows: Sequence[Row]) -> list[float]:
    return [row["x"] for row in rows if row["x"] is not None]


def total_of(values: Sequence[float]) -> float | None:
    return sum(values, 0.0) if values else None


AGGREGATES: dict[str, tuple[Aggregate, Callable[[list[Row], Row], Any]]] = {
    "n": (Aggregate("n", "count"), lambda rows, _: len(rows)),
    "s": (Aggregate("s", "sum", "x"), lambda rows, _: total_of(numbers(rows))),
    "twice": (
        Aggregate("twice", "sum", expression="x * 2"),
        lambda rows, _: total_of([value * 2 for value in numbers(rows)]),
    ),
    "ones": (
        Aggregate("ones", "count", filter=Custom("b == 1")),
        lambda rows, _: sum(row["b"] == 1 for row in rows),
    ),
    "top": (
        Aggregate("top", "max", "x", filter=Custom("a != 'q'")),
        lambda rows, _: max(
            (v for v in numbers([r for r in rows if r["a"] not in ("q", None)])), key=by_value, default=None
        ),
    ),
    "each": (
        Aggregate("each", "expression", expression="s / n"),
        lambda _, so_far: None if so_far["s"] is None else so_far["s"] / so_far["n"] if so_far["n"] else math.nan,
    ),
}


def aggregated(rows: list[Row], names: Sequence[str]) -> Row:
    found: Row = {}
    for name in names:
        found[name] = AGGREGATES[name][1](rows, found)
    return found


def parts(rows: Sequence[Row], by: Sequence[str]) -> list[list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(identity(row[name]) for name in by), []).append(row)
    return list(found.values())


def grouped(rows: Sequence[Row], grouping: Grouping) -> list[Row]:
    """The rows of a grouping, in no order."""
    by, names = grouping.by, [aggregate.name for aggregate in grouping.aggregates]
    flat = grouping.mode is GroupMode.FLAT
    counts = {GroupMode.FLAT: [len(by)], GroupMode.TOTAL: sorted({0, len(by)})}.get(grouping.mode, range(len(by) + 1))
    leafs = [name for name in NAMES if name not in by] if grouping.include_leafs else []
    found: list[Row] = []
    for count in counts:
        for members in parts(rows, by[:count]):
            row: Row = {} if flat else {"level": count}
            row.update({name: members[0][name] if index < count else None for index, name in enumerate(by)})
            row.update(spread(members, grouping, names))
            row.update(dict.fromkeys(leafs))
            found.append(row)
    if grouping.include_leafs:
        for source in rows:
            row = {"level": len(by) + 1, **{name: source[name] for name in by}, **dict.fromkeys(names)}
            row.update({name: source[name] for name in leafs})
            found.append(row)
    return found


def spread(members: list[Row], grouping: Grouping, names: Sequence[str]) -> Row:
    pivot = grouping.split_by
    if pivot is None:
        return aggregated(members, names)
    found: Row = {}
    for value in pivot.values:
        mine = [row for row in members if row[pivot.column] == value]
        prefix = "null" if value is None else str(value)
        found.update({f"{prefix}|{name}": each for name, each in aggregated(mine, names).items()})
    return found


# The cases


def path(row: Row, by: Sequence[str]) -> Name:
    return tuple(row[name] for name in by[: row["level"]])


def of_groups(
    grouping: Grouping,
    sort: tuple[SortKey, ...] = (),
    having: tuple[str, Callable[[Row], bool]] | None = None,
    where: tuple[str, Callable[[Row], bool]] | None = None,
) -> Case:
    key = [*([] if grouping.mode is GroupMode.FLAT else ["level"]), *grouping.by]
    key += ["id"] if grouping.include_leafs and "id" not in grouping.by else []

    def rows(table: list[Row]) -> list[Row]:
        kept = [row for row in table if where is None or where[1](row)]
        found = grouped(kept, grouping)
        return ordered([row for row in found if having is None or having[1](row)], sort, key)

    query = Query("t", _custom(where), (), sort, grouping, _custom(having))
    if grouping.mode is not GroupMode.ROLLUP:
        return Case(query, rows, lambda row: tuple(identity(row[name]) for name in key))
    by, last = grouping.by, len(grouping.by)
    values = [VALUES[name] if name != "id" else [1, 2] for name in by]
    names: list[Name] = [()]
    for depth in range(last):
        names += [(*name, value) for name in names if len(name) == depth for value in values[depth] if value == value]

    def own(row: Row) -> Any:
        leaf = (row["id"],) if row["level"] > last else ()
        return (row["level"], tuple(map(identity, path(row, by))), leaf)

    def parent(row: Row) -> Any:
        level = row["level"] - 1
        return (level, tuple(map(identity, path(row, by)))[:level], ()) if level >= 0 else None

    return Case(
        query, rows, own, parent, lambda row: path(row, by) if row["level"] <= last else ("a leaf", row["id"]), names
    )


def of_parents(sort: tuple[SortKey, ...] = (), where: tuple[str, Callable[[Row], bool]] | None = None) -> Case:
    def rows(table: list[Row]) -> list[Row]:
        kept = [row for row in table if where is None or where[1](row)]
        return ordered(kept, sort, ["id"]) if sort else kept

    return Case(
        Query("t", _custom(where), sort=sort, tree="boss"),
        rows,
        lambda row: row["id"],
        lambda row: row["boss"],
        lambda row: (row["id"],),
        [(each,) for each in range(9)],
    )


def _custom(condition: tuple[str, Callable[[Row], bool]] | None) -> Filter | None:
    return None if condition is None else Custom(condition[0])


def some(*names: str) -> tuple[Aggregate, ...]:
    return tuple(AGGREGATES[name][0] for name in names)


_ALL = ("n", "s", "twice", "ones", "top", "each")
POSITIVE = ("x > 0.5", lambda row: row["x"] is not None and (row["x"] > 0.5 or row["x"] != row["x"]))
TWO = ("n > 1", lambda row: row["n"] is not None and row["n"] > 1)
ROLLUPS = [
    of_groups(Grouping(("a", "b"), some(*_ALL), GroupMode.ROLLUP)),
    of_groups(Grouping(("a", "b"), some("n", "s"), GroupMode.ROLLUP, include_leafs=True)),
    of_groups(
        Grouping(("b", "a"), some(*_ALL), GroupMode.ROLLUP, include_leafs=True), (SortKey("s", True),), None, POSITIVE
    ),
    of_groups(
        Grouping(("a", "b"), some("n", "each", "s")[:1], GroupMode.ROLLUP), (SortKey("n"), SortKey("a", True)), TWO
    ),
    of_groups(Grouping(("x", "b"), some("n"), GroupMode.ROLLUP), (SortKey("b", True, True),)),
    of_groups(Grouping((), some("n", "s"), GroupMode.ROLLUP, include_leafs=True), (SortKey("x"),)),
    of_groups(Grouping(("a", "b"), some("n", "s"), GroupMode.TOTAL), (SortKey("s"),)),
]
PIVOTS = [
    of_groups(Grouping(("a",), some(*_ALL), split_by=Pivot("b", (1, 0)))),
    of_groups(Grouping(("a",), some("n", "s"), split_by=Pivot("b", (None, 0))), (SortKey("0|s", True),)),
    of_groups(Grouping(("a", "b"), some("n", "s", "each"), split_by=Pivot("b", (0, 1, 7))), (), None, POSITIVE),
    of_groups(Grouping(("a",), some("n", "top"), GroupMode.TOTAL, split_by=Pivot("b", (0, 1)))),
    of_groups(Grouping(("a", "x"), some("n", "s", "each"), GroupMode.ROLLUP, split_by=Pivot("b", (0, 1)))),
]
PARENTS = [of_parents(), of_parents((SortKey("x", True),)), of_parents((SortKey("a"),), POSITIVE)]


# Readers


class Reader:
    """What a client makes of a watch, by the letter of the contract."""

    def __init__(self, session: Session, case: Case, window: Window) -> None:
        self.case, self.window = case, window
        self.watch = session.watch(window)
        snapshot = self.watch.snapshot()
        self.rows: list[Row] = snapshot.rows.to_rows()
        self.total = snapshot.total_count
        self._key = [column.name for column in session.key_columns]

    def key(self, row: Row) -> Any:
        return tuple(identity(row[name]) for name in self._key)

    def take(self) -> Changes:
        change = self.watch.take()
        moved: list[Any] = []
        for part in change.removes:
            gone = {self.key(row) for row in part.keys.to_rows()}
            assert gone <= {self.key(row) for row in self.rows}, "a row is removed that is not there"
            self.rows = [row for row in self.rows if self.key(row) not in gone]
        by_key = {self.key(row): row for row in self.rows}
        for update in change.updates:
            for row in update.rows.to_rows():
                by_key[self.key(row)].update(row)
        placed: list[tuple[int, Row]] = []
        if change.moves is not None:
            moved = [self.key(row) for row in change.moves.keys.to_rows()]
            placed += zip(change.moves.indexes.tolist(), [by_key[key] for key in moved], strict=True)
        self.rows = [row for row in self.rows if self.key(row) not in set(moved)]
        if change.inserts is not None:
            assert change.inserts.indexes is not None
            placed += zip(change.inserts.indexes.tolist(), change.inserts.rows.to_rows(), strict=True)
        for at, row in sorted(placed, key=lambda each: each[0]):
            assert at <= len(self.rows)
            self.rows.insert(at, row)
        self.total = change.total_count
        return change


class World:
    """One hub, its truth, and its readers."""

    def __init__(self, rng: Random, cases: Sequence[Case]) -> None:
        self.rng = rng
        short = rng.random() < 0.3
        limits = Limits(result_history=HistoryLimits(2, 4)) if short else Limits()
        self.hub = Hub(epoch="test", limits=limits)
        self.hub.create_table("t", SCHEMA)
        self.table: dict[int, Row] = {}
        for _ in range(rng.randint(0, 4)):
            self.commit()
        self.cases = list(cases)
        self.sessions = [self.hub.open_session(case.query, f"s{index}") for index, case in enumerate(self.cases)]
        self.readers: list[Reader] = []
        for _ in range(3 * len(self.cases)):
            self.open_reader()

    def open_reader(self) -> None:
        at = self.rng.randrange(len(self.cases))
        case = self.cases[at]
        self.readers.append(Reader(self.sessions[at], case, self.window(case)))

    def window(self, case: Case) -> Window:
        rng = self.rng
        expansion = None
        if case.parent is not None and rng.random() < 0.8:
            few = [frozenset(rng.sample(case.names, min(len(case.names), rng.choice((0, 0, 1, 3))))) for _ in range(2)]
            expansion = Expansion(rng.choice((None, None, 0, 1, 2)), few[0], few[1])
        return Window(rng.choice((0, 0, 1, 3)), rng.choice((None, None, 0, 2, 5)), expansion)

    def commit(self) -> None:
        rng, writes = self.rng, []
        for _ in range(rng.choice((1, 1, 2))):
            ids = rng.sample(range(9), rng.choice((1, 1, 2, 4)))
            if rng.random() < 0.25:
                batch = Batch.of_rows(SCHEMA.columns, [{"id": each} for each in ids])
                writes.append(Write("t", WriteKind.DELETE, batch, ignore_missing=True))
                for each in ids:
                    self.table.pop(each, None)
                continue
            names = rng.sample(list(VALUES), rng.randint(1, 4))
            rows = [{"id": each, **{name: rng.choice(VALUES[name]) for name in names}} for each in ids]
            writes.append(Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows)))
            for row in rows:
                self.table.setdefault(row["id"], dict.fromkeys(NAMES)).update(row)
        self.hub.commit(writes)

    def answer(self, case: Case, window: Window) -> tuple[list[Row], int]:
        rows = case.rows(list(self.table.values()))
        if case.parent is not None:
            expansion = window.expansion or Expansion()
            rows = shown(
                rows, case.key, case.parent, case.name, expansion.depth, expansion.expanded, expansion.collapsed
            )
        start, stop = window.bounds(len(rows))
        return rows[start:stop], len(rows)

    def verify(self, lazy: float = 0.3) -> None:
        for reader in self.readers:
            if self.rng.random() < lazy:
                continue
            reader.take()
            rows, total = self.answer(reader.case, reader.window)
            same(reader.rows, rows, "the mirror of", reader.case.query, "in", reader.window)
            assert reader.total == total
        for case, session in zip(self.cases, self.sessions, strict=True):
            window = self.window(case)
            rows, total = self.answer(case, window)
            for found in (session.read(window), self.hub.query(case.query, window)):
                same(found.rows.to_rows(), rows, case.query, "in", window)
                assert found.total_count == total
        self.hub.check()


def plain(row: Row) -> list[tuple[str, str]]:
    return [(name, repr(value)) for name, value in row.items()]


def same(mine: list[Row], true: list[Row], *what: object) -> None:
    """Whole rows, with their columns in order."""
    assert list(map(plain, mine)) == list(map(plain, true)), (
        f"{' '.join(map(str, what))}:\n  {mine}\nand in truth\n  {true}"
    )
