"""Sums are exact: what floating point is known to lose is not lost, whatever the order, the batches and the history."""

from __future__ import annotations

import math
import random
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.errors import OutOfRange, Reason
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN, ColumnSchema, DataType
from tesseract_grpc.engine.operators.aggregate.exact_sums import ExactSums, largest_of
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.make import make_state
from tesseract_grpc.engine.operators.aggregate.rounding import quotient, rounded_sum, two_product, two_sum
from tesseract_grpc.engine.operators.aggregate.state import ColumnState
from tesseract_grpc.engine.query.grouping import Aggregate
from tests.engine.aggregate_oracle import Item, spread, to_float, weighted
from tests.engine.aggregate_world import Relation

GROUP = np.zeros(1, np.int64)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
MODERATE = st.floats(-(2.0**400), 2.0**400).filter(lambda x: x == 0.0 or abs(x) > 2.0**-400)


def empty(function: str, kind: DataType) -> ColumnState:
    """A state of no group."""
    relation = Relation(np.empty(0, np.int64))
    state = make_state(Aggregate("y", function, "amount"), [Column(ColumnSchema("amount", kind))], relation)
    assert isinstance(state, ColumnState)
    return state


def state_of(function: str, values: list[float] | list[int], kind: DataType = DataType.FLOAT64) -> ColumnState:
    """A state of one group with these values."""
    state = empty(function, kind)
    state.reserve(1)
    state.add(np.zeros(len(values), np.int64), stored(values, kind))
    return state


def stored(values: list[float] | list[int], kind: DataType = DataType.FLOAT64) -> tuple[np.ndarray, None]:
    return np.array(values, np.float64 if kind is DataType.FLOAT64 else np.int64), None


def only(state: ColumnState) -> float:
    """The result of the one group."""
    values, valid = state.result(GROUP)
    assert valid is None
    value: float = values.item()
    assert repr(value) == repr(state.result_one(0))
    return value


PLANTED: list[tuple[list[float], float]] = [
    ([1e17, 1.0, -1e17], 1.0),
    ([1e300, 1.0, -1e300], 1.0),
    ([0.1] * 10, 1.0),
    ([1.7e308, 1.7e308, -1.7e308], 1.7e308),
    ([1.7e308, 1.7e308], math.inf),
    ([-1.7e308, -1.7e308], -math.inf),
    ([5e-324, 5e-324], 1e-323),
    ([5e-324, 1e308, -1e308], 5e-324),
    ([2.0**-1022, -5e-324], 2.0**-1022 - 5e-324),
    ([1.0, 2.0**-53], 1.0),  # halfway: to even
    ([1.0, 2.0**-53, 2.0**-1074], 1.0 + 2.0**-52),  # a denormal decides
    ([1.0, 2.0**-53, -(2.0**-1074)], 1.0),
    ([1.0 + 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),  # halfway: to even, upwards
    ([2.0**53, 1.0, 2.0**-60], 2.0**53 + 2.0),
    ([-0.0], 0.0),
    ([math.inf, 1.0], math.inf),
    ([-math.inf, 1e308], -math.inf),
]


@pytest.mark.parametrize(("values", "total"), PLANTED)
def test_planted_sums(values: list[float], total: float) -> None:
    for seed in range(4):
        mixed = random.Random(seed).sample(values, len(values))
        assert repr(only(state_of("sum", mixed))) == repr(total)


def test_what_leaves_leaves_no_trace() -> None:
    for stranger in (1e17, 1e300, -1.7e308, 5e-324, math.inf, -math.inf, math.nan):
        for function in ("sum", "avg", "var"):
            state = state_of(function, [1.0, stranger, 3.5])
            state.remove(GROUP, stored([stranger]))
            assert repr(only(state)) == repr(only(state_of(function, [1.0, 3.5])))


def test_a_value_that_is_not_finite_rules_only_while_it_is_there() -> None:
    state = state_of("sum", [2.0, math.inf, -math.inf])
    assert math.isnan(only(state))
    state.remove(GROUP, stored([math.inf]))
    assert only(state) == -math.inf
    state.add(GROUP, stored([math.nan]))
    assert math.isnan(only(state))
    state.remove(np.zeros(2, np.int64), stored([math.nan, -math.inf]))
    assert only(state) == 2.0


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60))
def test_sums_and_averages_are_those_of_python(values: list[float]) -> None:
    assert repr(only(state_of("sum", values))) == repr(math.fsum(values) + 0.0)
    assert repr(only(state_of("avg", values))) == repr(statistics.fmean(values) + 0.0)


@pytest.mark.parametrize("top", [-1060, -960, -400, -30, 10, 53, 300, 480, 900, 1010])
@pytest.mark.parametrize("spread_over", [0, 1, 20, 60, 200])
def test_sums_of_many_rows_in_few_groups(top: int, spread_over: int) -> None:
    """What is cut into two digits at once: values near each other, and some that have bits far below."""
    rng = np.random.default_rng((top + 2_000, spread_over))
    for count in (400, 4_000):
        exponents = rng.integers(top - spread_over, top + 1, count)
        values = np.ldexp(rng.random(count) - 0.25, exponents)
        groups = rng.integers(0, 3, count)
        half = count // 2
        if spread_over == 60:  # what is large comes and goes, and what is small remains
            values[half:], groups[half:] = -values[:half], groups[:half]
            values[5 * half // 3 :] += np.ldexp(rng.random(count - 5 * half // 3), top - 50)
        state = empty("sum", DataType.FLOAT64)
        state.reserve(3)
        state.add(groups, (values, None))
        state.add(groups[::7], (values[::7], None))
        state.remove(groups[::7], (values[::7], None))
        held = [values[groups == group].tolist() for group in range(3)]
        assert state.result(np.arange(3))[0].tolist() == [math.fsum(each) + 0.0 for each in held]


def test_an_average_has_a_value_where_the_sum_has_none() -> None:
    assert only(state_of("avg", [1.7e308, 1.7e308])) == 1.7e308
    assert only(state_of("avg", [INT64_MAX, INT64_MAX], DataType.INT64)) == float(INT64_MAX)


@pytest.mark.parametrize("values", [[INT64_MAX, 1], [INT64_MIN, -1], [INT64_MAX] * 5, [2**62, 2**62], [INT64_MIN] * 2])
def test_integer_sums_never_wrap(values: list[int]) -> None:
    state = state_of("sum", values, DataType.INT64)
    for read in (lambda: state.result(GROUP), lambda: state.result_one(0)):
        with pytest.raises(OutOfRange) as refused:
            read()
        assert refused.value.reason is Reason.INT64_OVERFLOW
        assert refused.value.field == "amount" and "amount" in refused.value.message
        assert str(sum(values)) in refused.value.message and refused.value.group == 0
    state.remove(np.zeros(len(values) - 1, np.int64), stored(values[1:], DataType.INT64))
    assert only(state) == values[0]


@pytest.mark.parametrize("values", [[INT64_MAX, -1, 1], [INT64_MIN, INT64_MAX], [INT64_MAX, INT64_MIN, INT64_MAX, 1]])
def test_integer_sums_may_leave_the_range_on_the_way(values: list[int]) -> None:
    assert only(state_of("sum", values, DataType.INT64)) == sum(values)


def test_narrow_integers_carry_into_the_high_word() -> None:
    count = 1 << 20
    values = np.full(count, 2**31 - 1)
    state = empty("sum", DataType.INT64)
    state.reserve(1)
    for _ in range(3):
        state.add(np.zeros(count, np.int64), (values, None))
    assert only(state) == 3 * count * (2**31 - 1)
    state.add(np.zeros(2 * count, np.int64), (np.full(2 * count, -(2**31)), None))
    assert only(state) == count * (3 * (2**31 - 1) - 2 * 2**31)


def test_carries_keep_digits_in_range() -> None:
    """So many rows of the largest digits that their sum would wrap if no carries were carried."""
    count, rounds = 1 << 20, 72
    value = math.nextafter(2.0, 0.0)
    sums = ExactSums()
    sums.reserve(1)
    groups, values = np.zeros(count, np.int64), np.full(count, value)
    for _ in range(rounds):
        sums.add(groups, values, value)
    assert sums.rounded(GROUP)[0] == to_float(Fraction(value) * count * rounds)
    for _ in range(rounds - 1):
        sums.add(groups, values, value, -1)
    assert sums.rounded(GROUP)[0] == value * count


@settings(deadline=None, max_examples=300)
@given(st.lists(FLOATS, min_size=1, max_size=12))
@example([5e-324, -5e-324, 1.7976931348623157e308])
def test_pairs_hold_the_sum_and_the_rounded_rest(values: list[float]) -> None:
    sums = ExactSums()
    sums.reserve(3)
    array = np.array(values)
    sums.add(np.full(len(values), 1, np.int64), array, largest_of(array))
    head, rest = sums.pair(np.arange(3, dtype=np.int64))
    exact = sum(map(Fraction, values), Fraction(0))
    assert head[0] == rest[0] == head[2] == rest[2] == 0.0
    assert head[1] == to_float(exact)
    if math.isfinite(head[1]):
        assert rest[1] == to_float(exact - Fraction(float(head[1])))
    total, exponent = sums.exact(1)
    assert total * Fraction(2) ** exponent == exact


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(MODERATE, min_size=3, max_size=3), min_size=1, max_size=6))
@example([[1.0], [2.0**-53], [2.0**-120]])
def test_rounded_sums_are_right_where_they_are_sure(terms: list[list[float]]) -> None:
    count = len(terms[0])
    result, unsure = rounded_sum([np.array(term) for term in terms], count)
    for i in range(count):
        if not unsure[i]:
            assert result[i] == to_float(sum((Fraction(term[i]) for term in terms), Fraction(0)))


@settings(deadline=None, max_examples=200)
@given(MODERATE, MODERATE)
def test_error_free_arithmetic(a: float, b: float) -> None:
    total, error = two_sum(np.array([a]), np.array([b]))
    assert Fraction(total.item()) + Fraction(error.item()) == Fraction(a) + Fraction(b)
    if abs(a * b) > 2.0**-400:
        product, error = two_product(np.array([a]), np.array([b]))
        assert Fraction(product.item()) + Fraction(error.item()) == Fraction(a) * Fraction(b)


@settings(deadline=None)
@given(st.integers(), st.integers(-1200, 1100), st.integers(1, 10**6))
def test_quotients_are_rounded_once(total: int, exponent: int, divisor: int) -> None:
    assert quotient(total, exponent, divisor) == to_float(total * Fraction(2) ** exponent / divisor)


VARIED: list[list[float]] = [
    [1e9, 1e9 + 1, 1e9 + 2],
    [1e17, 1e17 + 16.0],
    [0.1] * 7,
    [1e200, 1e200],
    [1e200, -1e200],
    [1e300, 1.0],
    [1e-300, 3e-300],
    [5e-324, 1e-323],
    [1e-200, 2.0],
    [0.0, 0.0],
    [1.0, math.nan],
]


@pytest.mark.parametrize("values", VARIED)
def test_planted_variances(values: list[float]) -> None:
    for function, root in (("var", False), ("stddev", True)):
        want = spread(values, root)
        assert want is not None
        got = only(state_of(function, values))
        assert repr(got) == repr(want)


@pytest.mark.parametrize("values", [[INT64_MAX, INT64_MIN], [INT64_MAX, INT64_MAX], [2**53 + 1, 2**53 + 3], [1, 2, 4]])
def test_variances_of_large_integers(values: list[int]) -> None:
    want = spread(values, False)
    assert want is not None
    assert only(state_of("var", values, DataType.INT64)) == want


def test_variance_needs_two_values() -> None:
    for function in ("var", "stddev"):
        state = state_of(function, [2.0])
        assert state.result_one(0) is None
        state.add(GROUP, stored([4.0]))
        assert only(state) == (2.0 if function == "var" else math.sqrt(2.0))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(FLOATS, FLOATS | st.integers(1, 1000).map(float)), min_size=1, max_size=12))
@example([(1e17, 1.0), (0.1, 0.3), (-1e17, 1.0)])
@example([(-5.6e-260, 8.7e-87)])  # whose product is too small for a double
def test_weighted_averages_are_rounded_once(rows: list[tuple[float, float]]) -> None:
    columns = [Column(ColumnSchema(name, DataType.FLOAT64)) for name in ("x", "w")]
    state = make_state(Aggregate("y", "weighted_avg", "x", weight="w"), columns, Relation(np.empty(0, np.int64)))
    state.reserve(1)
    inputs: list[Stored] = [(np.array(items) + 0.0, None) for items in zip(*rows, strict=True)]
    state.enter(Grouped(np.zeros(len(rows), np.int64)), inputs)
    want = weighted([Item(value, weight) for value, weight in rows])
    values, valid = state.result(GROUP)
    got = values.item() if valid is None or valid[0] else None
    assert repr(got) == repr(want if want is None else want + 0.0) == repr(state.result_one(0))
