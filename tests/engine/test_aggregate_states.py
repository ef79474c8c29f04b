"""Aggregate states under histories: rows come, leave and come back, groups vanish, labels move.

After every step the results of all groups equal those of a naive evaluation of the rows that are there, and have the
same bits as those of a state built from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.errors import InvalidRequest, OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import STORAGE
from tesseract_grpc.engine.operators.aggregate.contract import (
    AggregateFunction,
    AggregateState,
    make_state,
    result_type,
)
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tests.engine.aggregate_oracle import OVERFLOW, aggregate
from tests.engine.small import small_thresholds

GROUPS = 4
HOW = ("arrays", "shared", "singles")
COLORS = ("red", "green", "blue")
LEAST, MOST = -(2**63), 2**63 - 1
PLANTED = [1e17, 1.0, -1e17, 1e300, -1e300, 1.7e308, -1.7e308, 5e-324, -5e-324, 2.0**-1022, 0.0, -0.0, 0.1, 3.0]
ODD = [math.nan, math.copysign(math.nan, -1.0), math.inf, -math.inf]

VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT64: st.one_of(
        st.integers(-3, 3), st.sampled_from([LEAST, MOST, 2**31, -(2**31) - 1, 2**53 + 1]), st.integers(LEAST, MOST)
    ),
    DataType.FLOAT64: st.one_of(
        st.integers(-3, 3).map(float), st.sampled_from(PLANTED), st.sampled_from(ODD), st.floats(-1e3, 1e3), st.floats()
    ),
    DataType.TIMESTAMP: st.integers(-3, 3),
    DataType.STRING: st.text("ab\U0001f600\ue000", max_size=3),
    DataType.ENUM: st.sampled_from(COLORS),
}
ANY_TYPE = (AggregateFunction.COUNT, AggregateFunction.COUNT_VALUES, AggregateFunction.MIN, AggregateFunction.MAX)


def functions_of(kind: DataType) -> list[AggregateFunction]:
    """The aggregates that a type has."""
    return list(AggregateFunction) if kind.is_number else list(ANY_TYPE)


@dataclass
class World:
    """One column, the rows that are there (group and value), and a state of every function."""

    column: Column
    states: dict[AggregateFunction, AggregateState]
    rows: list[tuple[int, Any]]

    @classmethod
    def of(cls, kind: DataType) -> World:
        schema = ColumnSchema("x", kind, enum_values=COLORS if kind is DataType.ENUM else ())
        column = Column(schema)
        states = {function: make_state(function, column) for function in functions_of(kind)}
        for state in states.values():
            state.reserve(GROUPS)
        return cls(column, states, [])

    def stored(self, items: list[Any]) -> Stored:
        """Values as a column stores them; what stands under a null is noise."""
        column, valid = self.column, np.array([item is not None for item in items], np.bool_)
        values = np.zeros(len(items), STORAGE[column.type])
        if column.dictionary is not None:
            codes = iter(column.dictionary.encode([item for item in items if item is not None]).tolist())
            values[:] = [0 if item is None else next(codes) for item in items]
        else:
            values[:] = [1 if item is None else item for item in items]
        return values, valid if not valid.all() else None

    def put(self, rows: list[tuple[int, Any]], add: bool, how: str = "arrays") -> None:
        """Rows come or leave."""
        groups = np.array([group for group, _ in rows], np.int64)
        stored = self.stored([value for _, value in rows])
        grouped = Grouped(groups) if how == "shared" else None
        singles = stored[0].tolist(), [True] * len(rows) if stored[1] is None else stored[1].tolist()
        for state in self.states.values():
            if how == "singles":
                for (group, _), value, valid in zip(rows, *singles, strict=True):
                    (state.add_one if add else state.remove_one)(group, value if valid else None)
            else:
                (state.add if add else state.remove)(groups, stored, grouped)

    def rebuild(self) -> None:
        """Looks at the rows of stale groups again."""
        for state in self.states.values():
            stale = state.stale()
            rows = [row for row in self.rows if row[0] in set(stale.tolist())]
            if len(stale):
                row_groups = np.array([group for group, _ in rows], np.int64)
                state.rebuild(stale, row_groups, self.stored([value for _, value in rows]))
            assert not len(state.stale())

    def results(self, state: AggregateState) -> list[Any]:
        """The results of all groups as Python values."""
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
            if value is not None and self.column.dictionary is not None and state.type is self.column.type:
                value = self.column.dictionary.texts[value]
            found.append(value)
        return found

    def verify(self) -> None:
        """Every state equals the naive evaluation, and proves itself."""
        groups = np.arange(GROUPS, dtype=np.int64)
        row_groups = np.array([group for group, _ in self.rows], np.int64)
        stored = self.stored([value for _, value in self.rows])
        for function, state in self.states.items():
            found = self.results(state)
            for group, got in enumerate(found):
                want = aggregate(function, [ranked(self.column, value) for mine, value in self.rows if mine == group])
                assert same(got if got == OVERFLOW else ranked(self.column, got), want), (function, got, want)
            if OVERFLOW not in found:
                state.check(groups, row_groups, stored)
            assert state.memory_bytes() > 0


def ranked(column: Column, value: Any) -> Any:
    """Enums compare by declaration."""
    if column.type is DataType.ENUM and isinstance(value, str):
        return COLORS.index(value)
    return value


def same(got: Any, want: Any) -> bool:
    """Bit equality."""
    if isinstance(want, float) and isinstance(got, float):
        if math.isnan(want) or math.isinf(want):
            return math.isnan(got) if math.isnan(want) else got == want
        return got == want and math.copysign(1.0, got) == math.copysign(1.0, want + 0.0)
    return type(got) is type(want) and bool(got == want)


def steps(kind: DataType) -> st.SearchStrategy[list[tuple[str, list[tuple[int, Any]]]]]:
    """Steps of a history; rows to remove are drawn as indexes into what is there, modulo its length."""
    row = st.tuples(st.integers(0, GROUPS - 1), st.none() | VALUES[kind])
    picks = st.tuples(st.integers(0, 50), st.none())
    return st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.lists(row, max_size=8)),
            st.tuples(st.just("remove"), st.lists(picks, max_size=6)),
            st.tuples(st.just("move"), st.lists(row, min_size=1, max_size=3)),
            st.tuples(st.just("clear"), st.lists(picks, min_size=1, max_size=1)),
        ),
        max_size=8,
    )


def play(kind: DataType, history: list[tuple[str, list[tuple[int, Any]]]], lazy: bool, how: str) -> World:
    """Plays a history; with `lazy`, groups are rebuilt at the end only, otherwise compared at each step."""
    world = World.of(kind)
    for what, rows in history:
        if what in ("remove", "move"):
            count = len(rows)
            leaving = [world.rows.pop(rows[i][0] % len(world.rows)) for i in range(min(count, len(world.rows)))]
            world.put(leaving, False, how)
        if what in ("add", "move"):
            world.put(rows, True, how)
            world.rows += rows
        if what == "clear":
            group = rows[0][0] % GROUPS
            world.rows = [row for row in world.rows if row[0] != group]
            for state in world.states.values():
                state.clear(np.array([group], np.int64))
        if not lazy:
            world.rebuild()
            world.verify()
    world.rebuild()
    world.verify()
    return world


@pytest.fixture(params=[False, True], ids=["plain", "small"])
def _thresholds(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.param:
        yield
        return
    with small_thresholds():
        yield


@pytest.mark.fuzz
@pytest.mark.usefixtures("_thresholds")
@pytest.mark.parametrize("kind", VALUES)
@settings(deadline=None, max_examples=60)
@given(st.data(), st.booleans(), st.sampled_from(HOW))
def test_oracle_histories(kind: DataType, data: st.DataObject, lazy: bool, how: str) -> None:
    play(kind, data.draw(steps(kind)), lazy, how)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", [DataType.FLOAT64, DataType.INT64])
@settings(deadline=None, max_examples=60)
@given(st.data(), st.randoms(use_true_random=False))
def test_differential_any_order_and_any_batching_give_equal_bits(
    kind: DataType, data: st.DataObject, dice: Any
) -> None:
    rows = data.draw(st.lists(st.tuples(st.integers(0, GROUPS - 1), VALUES[kind]), min_size=1, max_size=30))
    strangers = data.draw(st.lists(st.tuples(st.integers(0, GROUPS - 1), VALUES[kind]), max_size=8))
    one, other = World.of(kind), World.of(kind)
    one.put(rows, True)
    mixed = rows + strangers
    dice.shuffle(mixed)
    while mixed:
        cut = dice.randint(1, len(mixed))
        other.put(mixed[:cut], True, dice.choice(HOW))
        mixed = mixed[cut:]
    other.put(strangers, False, dice.choice(HOW))
    other.rows = rows
    other.rebuild()
    for function, state in one.states.items():
        assert repr(one.results(state)) == repr(other.results(other.states[function])), function


@pytest.mark.usefixtures("_thresholds")
@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("abc", max_size=6), min_size=1, max_size=60), st.booleans(), st.sampled_from(HOW))
@example([f"{i:04}" for i in range(60)], True, "arrays")
@example([f"{i:04}" for i in range(60)], True, "singles")
def test_extremes_of_texts_follow_labels_that_are_given_anew(texts: list[str], backwards: bool, how: str) -> None:
    world = World.of(DataType.STRING)
    for i, text in enumerate(reversed(texts) if backwards else texts):
        world.put([(i % GROUPS, text)], True, how)
        world.rows.append((i % GROUPS, text))
        if i % 3 == 2:
            world.put([world.rows.pop(0)], False, how)
        world.rebuild()
        world.verify()


def test_result_types() -> None:
    number, whole = ColumnSchema("x", DataType.FLOAT64), ColumnSchema("x", DataType.INT64)
    assert result_type(AggregateFunction.COUNT, None) is DataType.INT64
    assert result_type(AggregateFunction.SUM, whole) is DataType.INT64
    assert result_type(AggregateFunction.SUM, number) is DataType.FLOAT64
    assert result_type(AggregateFunction.AVG, whole) is DataType.FLOAT64
    assert result_type(AggregateFunction.MIN, ColumnSchema("x", DataType.TIMESTAMP)) is DataType.TIMESTAMP
    for kind in VALUES:
        world = World.of(kind)
        for function, state in world.states.items():
            assert state.type is result_type(function, world.column.schema)


WRONG = [
    (function, kind)
    for function in ("sum", "avg", "var", "stddev")
    for kind in (DataType.STRING, DataType.BOOL, DataType.TIMESTAMP, DataType.ENUM, DataType.JSON)
] + [("min", DataType.JSON), ("max", DataType.JSON)]


@pytest.mark.parametrize(("function", "kind"), WRONG)
def test_wrong_types_are_refused_naming_the_column(function: str, kind: DataType) -> None:
    schema = ColumnSchema("mood", kind, enum_values=COLORS if kind is DataType.ENUM else ())
    with pytest.raises(InvalidRequest) as refused:
        make_state(AggregateFunction(function), Column(schema))
    assert refused.value.reason is Reason.WRONG_TYPE
    assert refused.value.field == "mood" and "mood" in refused.value.message and function in refused.value.message


def test_all_but_count_need_a_column() -> None:
    with pytest.raises(InvalidRequest) as refused:
        make_state(AggregateFunction.SUM, None)
    assert refused.value.reason is Reason.MALFORMED_REQUEST


def test_a_million_rows_equal_the_same_rows_in_small_batches() -> None:
    """The paths of large batches (counting apart, blocks, summing by doubles) against those of small ones."""
    rng = np.random.default_rng(7)
    count = 1 << 17
    groups, values = rng.integers(0, 50, count), rng.normal(0.0, 1e6, count) ** 3
    valid = rng.random(count) > 0.1
    column = Column(ColumnSchema("x", DataType.FLOAT64))
    everyone = np.arange(50)
    for function in AggregateFunction:
        large, small = make_state(function, column), make_state(function, column)
        for state in (large, small):
            state.reserve(50)
        large.add(groups, (values, valid))
        for start in range(0, count, 999):
            part = slice(start, start + 999)
            small.add(groups[part], (values[part], valid[part]))
        assert large.result(everyone)[0].tobytes() == small.result(everyone)[0].tobytes(), function
        half = count // 2
        large.remove(groups[:half], (values[:half], valid[:half]), Grouped(groups[:half]))
        fresh = make_state(function, column)
        fresh.reserve(50)
        fresh.add(groups[half:], (values[half:], valid[half:]))
        stale = large.stale()
        member = np.isin(groups, stale) & (np.arange(count) >= half)
        large.rebuild(stale, groups[member], (values[member], valid[member]))
        assert large.result(everyone)[0].tobytes() == fresh.result(everyone)[0].tobytes(), function
