"""Profiles of columns against a plain evaluation, whatever the pieces in which rows come."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN, ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import Vector
from tesseract_grpc.engine.operators.column_profile import STEPS, ColumnProfile, profile_column

VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT64: st.one_of(st.integers(-3, 3), st.integers(INT64_MIN, INT64_MAX)),
    DataType.FLOAT64: st.one_of(st.sampled_from([0.0, 1.5, -2.0, math.nan, math.inf, -math.inf]), st.floats()),
    DataType.TIMESTAMP: st.integers(0, 10**15),
    DataType.STRING: st.sampled_from(["", "a", "b", "ab", "é", "z" * 50]),
    DataType.ENUM: st.sampled_from(["low", "middle", "high"]),
    DataType.JSON: st.sampled_from(["{}", "[1]", "null", '{"a":1}']),
}


def column(kind: DataType) -> ColumnSchema:
    return ColumnSchema("x", kind, enum_values=("low", "middle", "high") if kind is DataType.ENUM else ())


def named(value: Any) -> Any:
    """A value by which it can be looked up: NaN is itself, and -0.0 is 0.0."""
    return (
        "NaN" if isinstance(value, float) and math.isnan(value) else value + 0.0 if isinstance(value, float) else value
    )


def pieces_of(kind: DataType, values: list[Any], size: int) -> list[Vector]:
    return [Vector.of(kind, values[start : start + size]) for start in range(0, len(values), size)]


@pytest.mark.parametrize("kind", list(VALUES), ids=lambda kind: kind.name)
@given(data=st.data())
def test_a_profile_is_what_counting_gives(kind: DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.one_of(st.none(), VALUES[kind]), max_size=60))
    if kind is DataType.FLOAT64:
        values = [None if value is None else value + 0.0 for value in values]
    found = profile_column(column(kind), pieces_of(kind, values, data.draw(st.integers(1, 70))), 4, 3)
    present = [value for value in values if value is not None]
    counts = Counter(map(named, present))
    assert (found.rows, found.nulls, found.distinct) == (len(values), values.count(None), len(counts))
    assert [named(value) for value in found.samples] == list(dict.fromkeys(map(named, present)))[:3]
    assert [count for _, count in found.top] == sorted(counts.values(), reverse=True)[:4]
    assert all(counts[named(value)] == count for value, count in found.top)
    assert len({named(value) for value, _ in found.top}) == len(found.top)
    check_bounds(kind, found, present)
    check_numbers(kind, found, present)


def check_bounds(kind: DataType, found: ColumnProfile, present: list[Any]) -> None:
    if not present or kind is DataType.JSON:
        assert found.minimum is found.maximum is None
        return
    ranks: Any = column(kind).enum_values.index if kind is DataType.ENUM else lambda value: (value != value, value)
    if kind is DataType.FLOAT64:
        ranks = lambda value: (math.isnan(value), 0.0 if math.isnan(value) else value)  # noqa: E731
    assert named(found.minimum) == named(min(present, key=ranks))
    assert named(found.maximum) == named(max(present, key=ranks))


def check_numbers(kind: DataType, found: ColumnProfile, present: list[Any]) -> None:
    numbers = [value for value in present if kind is not DataType.FLOAT64 or not math.isnan(value)]
    if kind in (DataType.INT64, DataType.FLOAT64) and numbers and all(map(math.isfinite, numbers)):
        with np.errstate(over="ignore"):
            expected = float(sum(map(np.longdouble, numbers)) / len(numbers))
        assert found.mean is not None
        assert found.mean == pytest.approx(expected, rel=1e-9, abs=1e-300)
    if kind in (DataType.INT64, DataType.FLOAT64, DataType.TIMESTAMP):
        finite = [value for value in numbers if math.isfinite(value)]
        assert (found.histogram is None) is not bool(finite)
        if found.histogram is not None:
            assert sum(found.histogram.counts) == len(finite)
            assert 1 <= len(found.histogram.counts) <= STEPS
            # Bounds are doubles, which whole numbers beyond 2^53 may not be.
            assert found.histogram.low <= float(min(finite)) <= float(max(finite)) <= found.histogram.high
    else:
        assert found.mean is found.histogram is None


def test_steps_of_a_histogram_are_equal() -> None:
    found = profile_column(column(DataType.FLOAT64), [Vector.of(DataType.FLOAT64, [n / 10 for n in range(1000)])], 0, 0)
    assert found.histogram is not None
    assert set(found.histogram.counts) == {50}
    few = profile_column(column(DataType.INT64), [Vector.of(DataType.INT64, [1, 2, 2, 4])], 0, 0).histogram
    assert few is not None
    assert (few.low, few.high, few.counts) == (0.5, 4.5, (1, 2, 0, 1))


def test_examples_are_found_however_late_they_come() -> None:
    values = [1] * 5_000 + [2] * 5_000 + [3]
    found = profile_column(column(DataType.INT64), [Vector.of(DataType.INT64, values)], 2, 5)
    assert found.samples == (1, 2, 3)
    assert found.top == ((1, 5_000), (2, 5_000))


def test_texts_of_different_dictionaries_are_one_coding() -> None:
    one = Vector(DataType.STRING, np.array([0, 1, 1], np.int32), None, ["a", "b"])
    two = Vector(DataType.STRING, np.array([0, 7, 1], np.int32), np.array([True, False, True]), ["b", "c"])
    found = profile_column(column(DataType.STRING), [one, two], 3, 3)
    assert (found.distinct, found.nulls, found.minimum, found.maximum) == (3, 1, "a", "c")
    assert found.samples == ("a", "b", "c")
    assert found.top[0] == ("b", 3)
    assert found.text_length == 1.0
