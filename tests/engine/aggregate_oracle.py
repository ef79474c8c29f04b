"""What aggregates of a list of Python values are, said as plainly as possible: fractions, sorted(), len()."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction

OVERFLOW = "overflow"
"""The sum of integers that leaves int64."""


def to_float(number: Fraction) -> float:
    """The double nearest to a fraction."""
    try:
        return number.numerator / number.denominator
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def total(values: Sequence[float]) -> float | Fraction:
    """The exact sum, or what is not finite."""
    odd = {value for value in values if math.isinf(value)}
    if any(map(math.isnan, values)) or len(odd) == 2:
        return math.nan
    return odd.pop() if odd else sum(map(Fraction, values), Fraction(0))


def above_numbers(value: Any) -> tuple[bool, Any]:
    """Sorts NaN above every number."""
    nan = isinstance(value, float) and math.isnan(value)
    return nan, 0.0 if nan else value


def aggregate(function: AggregateFunction, items: Sequence[Any]) -> Any:
    """The aggregate of the values of one group, nulls among them."""
    values = [item for item in items if item is not None]
    if function == "count":
        return len(items)
    if function == "count_values":
        return len(values)
    if not values:
        return None
    if function in ("min", "max"):
        return (min if function == "min" else max)(values, key=above_numbers)
    if function in ("var", "stddev"):
        return spread(values, function == "stddev")
    exact = total(values)
    if function == "sum" and isinstance(values[0], int):
        assert isinstance(exact, Fraction)
        return int(exact) if INT64_MIN <= exact <= INT64_MAX else OVERFLOW
    if not isinstance(exact, Fraction):
        return exact
    rounded = to_float(exact)
    if function == "sum":
        return rounded
    return to_float(exact / len(values)) if math.isinf(rounded) else rounded / len(values)


def spread(values: Sequence[float], root: bool) -> float | None:
    """The variance of a sample, rounded once, or the root of that."""
    count = len(values)
    if count < 2:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    numbers = list(map(Fraction, values))
    mean = sum(numbers, Fraction(0)) / count
    variance = to_float(sum(((number - mean) ** 2 for number in numbers), Fraction(0)) / (count - 1))
    return math.sqrt(variance) if root else variance
