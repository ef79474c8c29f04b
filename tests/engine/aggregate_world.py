"""States of every aggregate over rows that come and go, compared with a naive evaluation after each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.errors import OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import STORAGE
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction, AggregateState
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.make import make_state
from tesseract_grpc.engine.query.grouping import Aggregate
from tests.engine.aggregate_oracle import OVERFLOW, Item, aggregate_rows
from tests.engine.listed_oracle import array_of, joined

GROUPS = 4
SLOTS = 512
HOW = ("arrays", "singles")
COLORS = ("red", "green", "blue")

F = AggregateFunction
ANY_TYPE = (F.COUNT, F.COUNT_VALUES, F.DISTINCT_COUNT, F.UNIQUE, F.FIRST, F.LAST, F.JOIN, F.ARRAY)
ORDERED = (F.MIN, F.MAX)
NUMBERS = (F.SUM, F.AVG, F.MEDIAN, F.PERCENTILE, F.VAR, F.STDDEV)
CONDITIONS = (F.COUNT_IF, F.ANY, F.EVERY)
SHARES = (0.0, 0.3, 0.75, 1.0)


def column_of(name: str, kind: DataType) -> Column:
    """An empty column with room for rows."""
    return Column(ColumnSchema(name, kind, enum_values=COLORS if kind is DataType.ENUM else ()), SLOTS)


def aggregates_of(kind: DataType, other: DataType) -> list[Aggregate]:
    """The aggregates that a type has, with a second column where one takes it."""
    functions = [*ANY_TYPE, *(ORDERED if kind is not DataType.JSON else ())]
    functions += NUMBERS if kind.is_number else ()
    functions += CONDITIONS if kind is DataType.BOOL else ()
    found = [Aggregate(f"{f}", f, "x", percentile=0.25 if f is F.PERCENTILE else 0.5) for f in functions]
    if kind.is_number and other.is_number:
        found.append(Aggregate("weighted", F.WEIGHTED_AVG, "x", weight="o"))
    found += [Aggregate(f"{f} by", f, "x", order_by="o") for f in (F.FIRST, F.LAST, F.MIN_BY, F.MAX_BY)]
    found += [Aggregate(f"{f} by", f, "x", order_by="o", limit=2) for f in (F.JOIN, F.ARRAY)]
    if kind.is_number:
        found += [Aggregate(f"at {share}", F.PERCENTILE, "x", percentile=share) for share in SHARES]
    return found


def state_of(aggregate: Aggregate, x: Column, o: Column, relation: Relation) -> AggregateState:
    """A state of an aggregate."""
    names = [aggregate.column] if aggregate.function != "count" else []
    names += [name for name in (aggregate.order_by, aggregate.weight) if name]
    return make_state(aggregate, [x if name == "x" else o for name in names], relation)


@dataclass
class Relation:
    """The order of insertion of the rows."""

    sequence: np.ndarray
    sequence_generation: int = 0


@dataclass(frozen=True)
class Row:
    """A row that is there."""

    group: int
    slot: int
    value: Any
    other: Any


@dataclass
class World:
    """Two columns, the rows that are there, and a state of every aggregate."""

    x: Column
    o: Column
    relation: Relation
    states: dict[Aggregate, AggregateState]
    rows: list[Row] = field(default_factory=list)
    free: list[int] = field(default_factory=lambda: list(range(SLOTS)))

    @classmethod
    def of(cls, kind: DataType, other: DataType = DataType.INT64) -> World:
        x, o = column_of("x", kind), column_of("o", other)
        # The order of insertion is not that of the slots.
        relation = Relation(np.random.default_rng(5).permutation(SLOTS).astype(np.int64))
        states = {aggregate: state_of(aggregate, x, o, relation) for aggregate in aggregates_of(kind, other)}
        for state in states.values():
            state.reserve(GROUPS)
        return cls(x, o, relation, states)

    def make(self, rows: Sequence[tuple[int, Any, Any]]) -> list[Row]:
        """Rows with slots of their own, which are written to the columns."""
        made = [Row(group, self.free.pop(0), value, other) for group, value, other in rows]
        self._write(made)
        return made

    def _write(self, rows: Sequence[Row]) -> None:
        slots = np.array([row.slot for row in rows], np.int32)
        for column, items in ((self.x, [row.value for row in rows]), (self.o, [row.other for row in rows])):
            column.write(slots, *stored(column, items))

    def put(self, rows: Sequence[Row], add: bool, how: str = "arrays") -> None:
        """Rows come or leave."""
        grouped = Grouped(
            np.array([row.group for row in rows], np.int64), np.array([row.slot for row in rows], np.int32)
        )
        both = [
            stored(self.x, [row.value for row in rows]),
            stored(self.o, [row.other for row in rows]),
        ]
        for state in self.states.values():
            inputs = both[: self.width(state)]
            if how == "arrays":
                (state.enter if add else state.leave)(grouped, inputs)
                continue
            for at, row in enumerate(rows):
                single = [values.item(at) if valid is None or valid[at] else None for values, valid in inputs]
                (state.enter_one if add else state.leave_one)(row.group, row.slot, single)
        if not add:
            self.free += [row.slot for row in rows]

    def width(self, state: AggregateState) -> int:
        """How many columns a state reads."""
        return len(getattr(state, "columns", ()))

    def add(self, rows: Sequence[tuple[int, Any, Any]], how: str = "arrays") -> None:
        """Rows come."""
        made = self.make(rows)
        self.put(made, True, how)
        self.rows += made

    def inputs(self, rows: Sequence[Row], state: AggregateState) -> tuple[Grouped, list[Stored]]:
        """Rows as a state takes them."""
        grouped = Grouped(
            np.array([row.group for row in rows], np.int64), np.array([row.slot for row in rows], np.int32)
        )
        both = [stored(self.x, [row.value for row in rows]), stored(self.o, [row.other for row in rows])]
        return grouped, both[: self.width(state)]

    def rebuild(self) -> None:
        """Looks at the rows of stale groups again."""
        for state in self.states.values():
            stale = state.stale()
            if len(stale):
                wanted = set(stale.tolist())
                state.rebuild(stale, *self.inputs([row for row in self.rows if row.group in wanted], state))
            assert not len(state.stale())

    def results(self, aggregate: Aggregate) -> list[Any]:
        """The results of all groups as Python values."""
        state = self.states[aggregate]
        found: list[Any] = []
        for group in range(GROUPS):
            try:
                values, valid = state.result(np.array([group], np.int64))
            except OutOfRange as problem:
                told = (problem.reason, problem.field, problem.group)
                found.append(OVERFLOW if told == (Reason.INT64_OVERFLOW, "x", group) else told)
                continue
            assert values.dtype == STORAGE[state.type]
            value = values.item() if valid is None or valid[0] else None
            assert repr(state.result_one(group)) == repr(value), "one result differs from many"
            if value is not None and state.type.is_text:
                assert state.dictionary is not None
                value = state.dictionary.texts[value]
            found.append(value)
        return found

    def truth(self, aggregate: Aggregate, group: int) -> Any:
        """The naive result of one group."""
        two = bool(aggregate.order_by or aggregate.weight)
        items = [
            Item(ranked(self.x, row.value), row.other if two else None, int(self.relation.sequence[row.slot]))
            for row in self.rows
            if row.group == group
        ]
        function = AggregateFunction(aggregate.function)
        found = aggregate_rows(function, items, aggregate.percentile)
        if function in (F.JOIN, F.ARRAY) and found is not None:
            taken = [named(self.x, value) for value in found][: aggregate.limit]
            return joined(self.x.type, taken) if function is F.JOIN else array_of(self.x.type, taken)
        return found if function in (F.COUNT, F.DISTINCT_COUNT, F.COUNT_VALUES) else named(self.x, found)

    def verify(self) -> None:
        """Every state equals the naive evaluation, and proves itself."""
        groups = np.arange(GROUPS, dtype=np.int64)
        for aggregate, state in self.states.items():
            found = self.results(aggregate)
            for group, got in enumerate(found):
                want = self.truth(aggregate, group)
                assert same(got, want), (aggregate.name, got, want)
            if OVERFLOW not in found:
                state.check(groups, *self.inputs(self.rows, state))
            assert state.memory_bytes() > 0


def stored(column: Column, items: Sequence[Any]) -> Stored:
    """Values as a column stores them; what stands under a null is noise."""
    valid = np.array([item is not None for item in items], np.bool_)
    values = np.zeros(len(items), STORAGE[column.type])
    if column.dictionary is not None:
        codes = iter(column.dictionary.encode([item for item in items if item is not None]).tolist())
        values[:] = [0 if item is None else next(codes) for item in items]
    else:
        values[:] = [1 if item is None else item for item in items]
    return values, valid if not valid.all() else None


def ranked(column: Column, value: Any) -> Any:
    """Enums compare by declaration."""
    return COLORS.index(value) if column.type is DataType.ENUM and isinstance(value, str) else value


def named(column: Column, value: Any) -> Any:
    """What `ranked` made a number of."""
    return COLORS[value] if column.type is DataType.ENUM and isinstance(value, int) else value


def same(got: Any, want: Any) -> bool:
    """Bit equality."""
    if isinstance(want, float) and isinstance(got, float):
        if math.isnan(want) or math.isinf(want):
            return math.isnan(got) if math.isnan(want) else got == want
        return got == want and math.copysign(1.0, got) == math.copysign(1.0, want + 0.0)
    return type(got) is type(want) and bool(got == want)
