"""Measures writes and queries on a hub of its own that holds a copy of a table.

Every operation is timed by itself, single rows and whole queries, in the engine alone: no log, no wire, nobody else. A
kind of operation ends when it was made often enough, or has taken its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.watch import Watch
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.literal import Timestamp
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.server.diagnosis.performance_plan import Copy, Plan, plan_of, schema_of

SECONDS = 2.0
"""How long one kind of operation may take."""
PAGE = Window(0, 50)
_TABLE = "copy"
_LOADED = 50_000
"""Rows of a commit that loads the copy."""


@dataclass(slots=True)
class Measured:
    """What one kind of operation took."""

    operation: str
    description: str
    rows: int = 0
    nanoseconds: list[int] = field(default_factory=list)

    def percentile(self, part: float) -> float:
        """So many of a hundred took no longer, in microseconds."""
        return float(np.percentile(self.nanoseconds, part)) / 1e3 if self.nanoseconds else 0.0


class PerformanceRun:
    """One run over one copy."""

    def __init__(self, copy: Copy, operations: int, seconds: float = SECONDS) -> None:
        self.copy = copy
        self.plan: Plan = plan_of(copy)
        self.operations = operations
        self.seconds = seconds
        self.results: list[Measured] = []
        self.hub = Hub("performance", epoch="none")
        schema, indexes = schema_of(copy)
        self.hub.create_table(_TABLE, schema, indexes)
        for start in range(0, copy.rows.length, _LOADED):
            self._commit(WriteKind.INSERT, copy.rows.slice(start, start + _LOADED))

    def run(self) -> list[Measured]:
        """Everything, in this order."""
        self.inserts()
        self.upserts()
        self.updates()
        self.reads()
        self.filters()
        self.sorts()
        self.groups()
        self.sessions()
        return self.results

    # Writes

    def inserts(self) -> None:
        """Rows that were taken out before, one by one."""
        rows = self.copy.rows.slice(0, min(self.operations, self.copy.rows.length))
        singles = [rows.slice(at, at + 1) for at in range(rows.length)]
        keys = self._keys(rows)

        def insert(number: int) -> int:
            self._commit(WriteKind.INSERT, singles[number % len(singles)])
            return 1

        def begin(number: int) -> None:
            if number % len(singles) == 0:
                self._commit(WriteKind.DELETE, keys)

        self._measure("insert", "commits of one new row", insert, begin)
        self._commit(WriteKind.UPSERT, rows)  # whatever is missing when time is up

    def upserts(self) -> None:
        """Rows that are there, with all columns of another one."""
        mixed = self._mixed(list(self.copy.rows.columns), (1, 2))

        def upsert(number: int) -> int:
            self._commit(WriteKind.UPSERT, mixed(number))
            return 1

        self._measure("upsert", "commits of one row that exists, all of its columns", upsert)

    def updates(self) -> None:
        """One column of rows that are there."""
        if self.plan.updated:
            update = self._update((3, 4))
            self._measure("update", f"commits of one row, column {self.plan.updated}", update)

    def _update(self, distances: tuple[int, int]) -> Callable[[int], int]:
        mixed = self._mixed([self.plan.updated], distances)

        def update(number: int) -> int:
            self._commit(WriteKind.UPDATE, mixed(number))
            return 1

        return update

    def _mixed(self, names: list[str], distances: tuple[int, int]) -> Callable[[int], Batch]:
        """Single rows with the values of other rows in these columns: those so far away, in turn, so that a row that
        comes again gets other values than before."""
        rows = self.copy.rows
        count = min(self.operations, rows.length)
        singles: list[list[Batch]] = []
        for distance in distances:
            others = rows.take(np.roll(np.arange(rows.length), distance)[:count])
            columns = {name: others.columns[name] for name in names} | dict(self._keys(rows.slice(0, count)).columns)
            batch = Batch(count, columns)
            singles.append([batch.slice(at, at + 1) for at in range(count)])
        return lambda number: singles[number // count % len(singles)][number % count]

    # Reads

    def reads(self) -> None:
        """Rows by key."""
        keys = self._keys(self.copy.rows)
        count = min(self.operations, self.copy.rows.length)
        singles = [keys.slice(at, at + 1) for at in range(count)]

        def get(number: int) -> int:
            return self.hub.get_rows(_TABLE, singles[number % count])[0].length

        self._measure("get", "one row by its key", get)

    def filters(self) -> None:
        """Rows with one value in one column."""
        plan = self.plan
        if not plan.values:
            return
        how = "with an index" if plan.indexed else "without an index"

        def find(number: int) -> int:
            where = self._equals(plan.values[number % len(plan.values)])
            return self.hub.query(Query(_TABLE, where), PAGE).rows.length

        self._measure("filter", f"the first 50 rows with one value in {plan.filtered}, {how}", find)

    def sorts(self) -> None:
        """The last rows of an order."""
        name = self.plan.sorted
        query = Query(_TABLE, sort=(SortKey(name, True),))
        self._measure(
            "sort", f"the 50 rows with the greatest {name}", lambda number: self.hub.query(query, PAGE).rows.length
        )

    def groups(self) -> None:
        """All rows by one column."""
        query = self._grouped()
        summed = f", with the sum of {self.plan.summed}" if self.plan.summed else ""
        by = f"by {self.plan.grouped}" if self.plan.grouped else "all together"
        self._measure("group", f"rows counted {by}{summed}", lambda number: self.hub.query(query).rows.length)

    def sessions(self) -> None:
        """Commits while sessions are open and watched: what following them takes is a part of each."""
        if not self.plan.updated:
            return
        opened = [Query(_TABLE, sort=(SortKey(self.plan.sorted, True),)), self._grouped()]
        opened += [Query(_TABLE, self._equals(value)) for value in self.plan.values[:8]]
        watches: list[Watch] = []
        for number, query in enumerate(opened):
            watch = self.hub.open_session(query, f"s{number}").watch(PAGE if number == 0 else Window())
            watch.snapshot()
            watches.append(watch)
        update = self._update((5, 6))

        def follow(number: int) -> int:
            update(number)
            return sum(watch.pending and bool(watch.take()) for watch in watches) + 1

        description = f"commits of one row, column {self.plan.updated}, told to {len(watches)} watched sessions"
        self._measure("session", description, follow)

    # Their parts

    def _measure(
        self,
        operation: str,
        description: str,
        step: Callable[[int], int],
        begin: Callable[[int], None] = lambda number: None,
    ) -> None:
        """Makes an operation often enough, after one that is not counted. `begin` is not timed."""
        measured = Measured(operation, description)
        end = time.perf_counter() + self.seconds
        begin(0)
        step(0)
        for number in range(1, self.operations + 1):
            begin(number)
            begun = time.perf_counter_ns()
            measured.rows += step(number)
            measured.nanoseconds.append(time.perf_counter_ns() - begun)
            if time.perf_counter() > end:
                break
        self.results.append(measured)

    def _commit(self, kind: WriteKind, rows: Batch) -> None:
        self.hub.commit([Write(_TABLE, kind, rows)])

    def _keys(self, rows: Batch) -> Batch:
        return Batch(rows.length, {name: rows.columns[name] for name in self.copy.key})

    def _equals(self, value: Scalar) -> Filter:
        kind = next(column.type for column in self.copy.columns if column.name == self.plan.filtered)
        literal = Timestamp(int(value)) if kind is DataType.TIMESTAMP and value is not None else value
        return Compare(self.plan.filtered, CompareOp.EQUAL, literal)

    def _grouped(self) -> Query:
        aggregates = [Aggregate("rows", "count")]
        if self.plan.summed:
            aggregates.append(Aggregate("total", "sum", self.plan.summed))
        by = (self.plan.grouped,) if self.plan.grouped else ()
        return Query(_TABLE, group=Grouping(by, tuple(aggregates)))
