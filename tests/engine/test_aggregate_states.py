"""Aggregate states under histories: rows come, leave and come back, groups vanish, labels move.

After every step the results of all groups equal those of a naive evaluation of the rows that are there, and have the
same bits as those of a state built from scratch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.errors import InvalidRequest, OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.operators.aggregate import extreme
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction, AggregateState, result_type
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.listed import MOST
from tesseract_grpc.engine.operators.aggregate.make import aggregate_column, make_state
from tesseract_grpc.engine.query.grouping import Aggregate
from tests.engine.aggregate_world import COLORS, GROUPS, HOW, Relation, World, aggregates_of, column_of, state_of
from tests.engine.small import small_thresholds

LEAST, MOST_INT = -(2**63), 2**63 - 1
PLANTED = [1e17, 1.0, -1e17, 1e300, -1e300, 1.7e308, -1.7e308, 5e-324, -5e-324, 2.0**-1022, 0.0, -0.0, 0.1, 3.0]
ODD = [math.nan, math.copysign(math.nan, -1.0), math.inf, -math.inf]

VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT64: st.one_of(
        st.integers(-3, 3),
        st.sampled_from([LEAST, MOST_INT, 2**31, -(2**31) - 1, 2**53 + 1]),
        st.integers(LEAST, MOST_INT),
    ),
    DataType.FLOAT64: st.one_of(
        st.integers(-3, 3).map(float), st.sampled_from(PLANTED), st.sampled_from(ODD), st.floats(-1e3, 1e3), st.floats()
    ).map(lambda value: value + 0.0),
    DataType.TIMESTAMP: st.integers(-3, 3) | st.integers(-(10**15), 10**15),
    DataType.STRING: st.text('ab\U0001f600\ue000"', max_size=3),
    DataType.ENUM: st.sampled_from(COLORS),
    DataType.JSON: st.sampled_from(["1", "{}", "[2]", '"a"']),
}
OTHERS = (DataType.INT64, DataType.FLOAT64, DataType.STRING)
History = list[tuple[str, list[tuple[int, Any, Any]]]]


def steps(kind: DataType, other: DataType) -> st.SearchStrategy[History]:
    """Steps of a history; rows to remove are drawn as indexes into what is there, modulo its length."""
    row = st.tuples(st.integers(0, GROUPS - 1), st.none() | VALUES[kind], st.none() | VALUES[other])
    picks = st.tuples(st.integers(0, 50), st.none(), st.none())
    return st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.lists(row, max_size=12)),
            st.tuples(st.just("remove"), st.lists(picks, max_size=6)),
            st.tuples(st.just("move"), st.lists(row, min_size=1, max_size=3)),
            st.tuples(st.just("clear"), st.lists(picks, min_size=1, max_size=1)),
        ),
        max_size=8,
    )


def play(kind: DataType, other: DataType, history: History, lazy: bool, how: str) -> World:
    """Plays a history; with `lazy`, groups are rebuilt at the end only, otherwise compared at each step."""
    world = World.of(kind, other)
    for what, rows in history:
        if what in ("remove", "move"):
            count = len(rows)
            leaving = [world.rows.pop(rows[i][0] % len(world.rows)) for i in range(min(count, len(world.rows)))]
            world.put(leaving, False, how)
        if what in ("add", "move"):
            world.add(rows, how)
        if what == "clear":
            group = rows[0][0] % GROUPS
            world.rows = [row for row in world.rows if row.group != group]
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
@settings(deadline=None, max_examples=25)
@given(st.data(), st.sampled_from(OTHERS), st.booleans(), st.sampled_from(HOW))
def test_oracle_histories(kind: DataType, data: st.DataObject, other: DataType, lazy: bool, how: str) -> None:
    play(kind, other, data.draw(steps(kind, other)), lazy, how)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", [DataType.FLOAT64, DataType.INT64])
@settings(deadline=None, max_examples=25)
@given(st.data(), st.randoms(use_true_random=False))
def test_differential_any_order_and_any_batching_give_equal_bits(
    kind: DataType, data: st.DataObject, dice: Any
) -> None:
    row = st.tuples(st.integers(0, GROUPS - 1), VALUES[kind], VALUES[kind])
    rows = data.draw(st.lists(row, min_size=1, max_size=30))
    strangers = data.draw(st.lists(row, max_size=8))
    one, other = World.of(kind, kind), World.of(kind, kind)
    one.add(rows)
    staying = other.make(rows)
    leaving = other.make(strangers)
    mixed = [*staying, *leaving]
    dice.shuffle(mixed)
    while mixed:
        cut = dice.randint(1, len(mixed))
        other.put(mixed[:cut], True, dice.choice(HOW))
        mixed = mixed[cut:]
    other.put(leaving, False, dice.choice(HOW))
    other.rows = staying
    other.rebuild()
    for aggregate in one.states:
        assert repr(one.results(aggregate)) == repr(other.results(aggregate)), aggregate.name


@pytest.mark.usefixtures("_thresholds")
@settings(deadline=None, max_examples=30)
@given(st.lists(st.text("abc", max_size=6), min_size=1, max_size=60), st.booleans(), st.sampled_from(HOW))
@example([f"{i:04}" for i in range(60)], True, "arrays")
@example([f"{i:04}" for i in range(60)], True, "singles")
def test_extremes_and_orders_of_texts_follow_labels_that_are_given_anew(
    texts: list[str], backwards: bool, how: str
) -> None:
    world = World.of(DataType.STRING, DataType.STRING)
    for i, text in enumerate(reversed(texts) if backwards else texts):
        world.add([(i % GROUPS, text, text)], how)
        if i % 3 == 2:
            world.put([world.rows.pop(0)], False, how)
        world.rebuild()
        world.verify()


@pytest.mark.parametrize("seed", range(4))
def test_groups_of_many_rows_are_cut_and_put_together_again(seed: int) -> None:
    """Groups grow to hundreds of rows and shrink to nothing, in large steps and small ones, with and without ties."""
    rng = np.random.default_rng(seed)
    world = World.of(DataType.INT64, DataType.INT64)
    span = (3, 10**6)[seed % 2]
    for step in range(24):
        growing = step < 10 or step % 4 == 0
        if growing:
            count = min(int(rng.integers(1, 120)), len(world.free))
            drawn = rng.integers(-span, span, (count, 2)).tolist()
            group = 0 if seed > 1 else None
            world.add([(int(rng.integers(GROUPS)) if group is None else group, a, b) for a, b in drawn])
        else:
            count = min(int(rng.integers(1, 150)), len(world.rows))
            picked = set(rng.choice(len(world.rows), count, replace=False).tolist())
            leaving = [row for at, row in enumerate(world.rows) if at in picked]
            world.rows = [row for at, row in enumerate(world.rows) if at not in picked]
            world.put(leaving, False)
        world.rebuild()
        world.verify()


def test_what_is_held_is_bounded_by_the_rows_that_are_there() -> None:
    """Rows come at the upper end and leave at the lower one for a long time; memory stays what it was at first."""
    x, o = column_of("x", DataType.INT64), column_of("o", DataType.INT64)
    x.reserve(400)
    relation = Relation(np.arange(400, dtype=np.int64))
    states = [state_of(aggregate, x, o, relation) for aggregate in aggregates_of(DataType.INT64, DataType.INT64)]
    states = [state for state in states if state.type.is_number]
    early: list[int] = []
    for state in states:
        state.reserve(2)
        for step in range(400):
            slots = np.arange(step * 20, step * 20 + 20) % 400
            values = np.arange(step * 20, step * 20 + 20)
            width = len(getattr(state, "columns", ()))
            rows, inputs = Grouped(slots % 2, slots.astype(np.int32)), [(values, None)] * width
            if step >= 20:
                state.leave(rows, [(values - 400, None)] * width)
            state.enter(rows, inputs)
            state.stale()
            if step == 60:
                early.append(state.memory_bytes())
        assert state.memory_bytes() <= 2 * early[-1]


def test_result_types() -> None:
    number, whole = ColumnSchema("x", DataType.FLOAT64), ColumnSchema("x", DataType.INT64)
    assert result_type(AggregateFunction.COUNT, None) is DataType.INT64
    assert result_type(AggregateFunction.SUM, whole) is DataType.INT64
    assert result_type(AggregateFunction.SUM, number) is DataType.FLOAT64
    assert result_type(AggregateFunction.AVG, whole) is DataType.FLOAT64
    assert result_type(AggregateFunction.MEDIAN, whole) is DataType.FLOAT64
    assert result_type(AggregateFunction.ARRAY, whole) is DataType.JSON
    assert result_type(AggregateFunction.MIN, ColumnSchema("x", DataType.TIMESTAMP)) is DataType.TIMESTAMP
    for kind in VALUES:
        world = World.of(kind)
        for aggregate, state in world.states.items():
            assert state.type is result_type(AggregateFunction(aggregate.function), world.x.schema)


WRONG = [
    (function, kind)
    for function in ("sum", "avg", "var", "stddev", "median", "percentile", "weighted_avg")
    for kind in (DataType.STRING, DataType.BOOL, DataType.TIMESTAMP, DataType.ENUM, DataType.JSON)
] + [("min", DataType.JSON), ("max", DataType.JSON)]
WRONG += [(function, kind) for function in ("count_if", "any", "every") for kind in VALUES if kind is not DataType.BOOL]
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("i", DataType.INT64),
        ColumnSchema("s", DataType.STRING),
        ColumnSchema("j", DataType.JSON),
    )
)


@pytest.mark.parametrize(("function", "kind"), WRONG)
def test_wrong_types_are_refused_naming_the_column(function: str, kind: DataType) -> None:
    schema = ColumnSchema("mood", kind, enum_values=COLORS if kind is DataType.ENUM else ())
    with pytest.raises(InvalidRequest) as refused:
        result_type(AggregateFunction(function), schema)
    assert refused.value.reason is Reason.WRONG_TYPE
    assert refused.value.field == "mood" and "mood" in refused.value.message and function in refused.value.message


REFUSED = [
    (Aggregate("y", "sum"), Reason.MALFORMED_REQUEST, "at.column"),
    (Aggregate("y", "mode", "i"), Reason.MALFORMED_REQUEST, "at.function"),
    (Aggregate("y", "sum", "k"), Reason.UNKNOWN_COLUMN, "at.column"),
    (Aggregate("y", "weighted_avg", "i"), Reason.MALFORMED_REQUEST, "at.weight"),
    (Aggregate("y", "weighted_avg", "i", weight="s"), Reason.WRONG_TYPE, "at.weight"),
    (Aggregate("y", "sum", "i", weight="i"), Reason.MALFORMED_REQUEST, "at.weight"),
    (Aggregate("y", "min_by", "i"), Reason.MALFORMED_REQUEST, "at.order_by"),
    (Aggregate("y", "max_by", "i", order_by="j"), Reason.WRONG_TYPE, "at.order_by"),
    (Aggregate("y", "max_by", "i", order_by="k"), Reason.UNKNOWN_COLUMN, "at.order_by"),
    (Aggregate("y", "sum", "i", order_by="i"), Reason.MALFORMED_REQUEST, "at.order_by"),
    (Aggregate("y", "percentile", "i", percentile=1.5), Reason.MALFORMED_REQUEST, "at.percentile"),
    (Aggregate("y", "percentile", "i", percentile=math.nan), Reason.MALFORMED_REQUEST, "at.percentile"),
    (Aggregate("y", "join", "i", limit=0), Reason.MALFORMED_REQUEST, "at.limit"),
    (Aggregate("y", "array", "i", limit=MOST + 1), Reason.MALFORMED_REQUEST, "at.limit"),
    (Aggregate("y", "sum", "i", limit=5), Reason.MALFORMED_REQUEST, "at.limit"),
    (Aggregate("y", "array", "i", separator=";"), Reason.MALFORMED_REQUEST, "at.separator"),
]


@pytest.mark.parametrize(("aggregate", "reason", "field"), REFUSED, ids=lambda each: str(each)[:60])
def test_what_an_aggregate_does_not_take_is_refused(aggregate: Aggregate, reason: Reason, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        aggregate_column(aggregate, SCHEMA, "at")
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_lists_take_so_many_values_and_no_more() -> None:
    x = column_of("x", DataType.INT64)
    x.reserve(MOST + 1)
    relation = Relation(np.arange(MOST + 1, dtype=np.int64))
    slots = np.arange(MOST + 1, dtype=np.int32)
    x.values[:] = slots
    for function in ("join", "array"):
        short = make_state(Aggregate("y", function, "x", limit=3), [x], relation)
        state = make_state(Aggregate("y", function, "x"), [x], relation)
        for each in (short, state):
            each.reserve(1)
            each.enter(Grouped(slots.astype(np.int64) * 0, slots), [(x.values, None)])
        code = short.result_one(0)
        assert short.dictionary is not None and isinstance(code, int)
        assert short.dictionary.texts[code].strip("[]") == "0,1,2"
        with pytest.raises(OutOfRange) as refused:
            state.result(np.zeros(1, np.int64))
        assert refused.value.reason is Reason.LIMIT_EXCEEDED and refused.value.group == 0
        state.leave_one(0, 5, [5])
        code = state.result_one(0)
        assert state.dictionary is not None and isinstance(code, int)
        assert state.dictionary.texts[code].count(",") == MOST - 1


MANY = [
    Aggregate(f, f, "x", weight="o" if f == "weighted_avg" else "")
    for f in (
        "count",
        "count_values",
        "sum",
        "avg",
        "min",
        "max",
        "var",
        "stddev",
        "median",
        "distinct_count",
        "unique",
        "first",
        "last",
        "weighted_avg",
    )
] + [Aggregate(f, f, "x", order_by="o") for f in ("first", "last", "min_by", "max_by")]


@pytest.mark.parametrize("aggregate", MANY, ids=lambda aggregate: f"{aggregate.function} {aggregate.order_by}".strip())
def test_many_rows_equal_the_same_rows_in_small_batches(aggregate: Aggregate) -> None:
    """The paths of large batches (counting apart, blocks, summing by doubles) against those of small ones."""
    rng = np.random.default_rng(7)
    count, half = 1 << 17, 1 << 16
    groups, values = rng.integers(0, 50, count), rng.normal(0.0, 1e6, count) ** 3
    others, valid = rng.integers(0, 1000, count).astype(np.float64), rng.random(count) > 0.1
    x, o = Column(ColumnSchema("x", DataType.FLOAT64), count), Column(ColumnSchema("o", DataType.FLOAT64), count)
    x.write(slice(0, count), values, valid)
    o.write(slice(0, count), others, None)
    relation, slots = Relation(rng.permutation(count)), np.arange(count, dtype=np.int32)
    everyone = np.arange(50)

    def batch(state: AggregateState, part: Any) -> tuple[Grouped, list[Any]]:
        inputs = [(values[part], valid[part]), (others[part], None)]
        return Grouped(groups[part], slots[part]), inputs[: len(getattr(state, "columns", ()))]

    large, small, fresh = (state_of(aggregate, x, o, relation) for _ in range(3))
    for state in (large, small, fresh):
        state.reserve(50)
    large.enter(*batch(large, slice(0, count)))
    for start in range(0, count, 999):
        small.enter(*batch(small, slice(start, min(start + 999, count))))
    assert large.result(everyone)[0].tobytes() == small.result(everyone)[0].tobytes()
    large.leave(*batch(large, slice(0, half)))
    fresh.enter(*batch(fresh, slice(half, count)))
    stale = large.stale()
    member = np.isin(groups, stale) & (np.arange(count) >= half)
    large.rebuild(stale, *batch(large, member))
    assert large.result(everyone)[0].tobytes() == fresh.result(everyone)[0].tobytes()
    large.check(everyone, *batch(large, slice(half, count)))


@pytest.mark.parametrize("late", [100, 4096])
def test_extremes_of_many_rows_are_found_as_those_of_few(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many rows to a group that most are compared as doubles only; NaN, infinities and empty groups among them."""
    monkeypatch.setattr(extreme, "_LATE", late)
    rng = np.random.default_rng(11)
    count, groups = 4000, 5
    x, o = column_of("x", DataType.FLOAT64), column_of("o", DataType.FLOAT64)
    relation, slots = Relation(np.arange(count)), np.arange(count, dtype=np.int32)
    for odd in ((), (math.nan,), (math.inf, -math.inf), (math.nan, -math.inf, -0.0)):
        of, values = rng.integers(0, groups - 1, count), rng.normal(size=count) - 3.0
        places = rng.choice(np.flatnonzero(of == 1), len(odd), replace=False)
        values[places] = odd
        of[:3000][of[:3000] == 3], values[of == 3] = 2, -3.0  # a group that comes late, with nothing extreme
        for function in ("min", "max"):
            states = [state_of(Aggregate("y", function, "x"), x, o, relation) for _ in range(2)]
            for state, step in zip(states, (500, 3), strict=True):
                state.reserve(groups)
                for start in range(0, count, step):
                    part = slice(start, start + step)
                    state.enter(Grouped(of[part], slots[part]), [(values[part] + 0.0, None)])
            everyone = np.arange(groups)
            many, few = (state.result(everyone) for state in states)
            assert many[0].tobytes() == few[0].tobytes()
            assert many[1] is not None and few[1] is not None and many[1].tolist() == few[1].tolist()
            states[0].check(everyone, Grouped(of, slots), [(values + 0.0, None)])
