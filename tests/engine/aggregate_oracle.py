"""What aggregates of a list of Python values are, said as plainly as possible: fractions, sorted(), len()."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Item:
    """One row of a group: its value, what weighs or orders it, and its place in the order of insertion."""

    value: Any
    other: Any = None
    place: int = 0


def aggregate(function: AggregateFunction, items: Sequence[Any], share: float = 0.5) -> Any:
    """The aggregate of the values of one group, nulls among them."""
    values = [item for item in items if item is not None]
    if function == "count":
        return len(items)
    if function == "count_values":
        return len(values)
    if function == "count_if":
        return values.count(True)
    if function == "distinct_count":
        return len(set(map(above_numbers, values)))
    if not values:
        return None
    if function == "unique":
        return values[0] if len(set(map(above_numbers, values))) == 1 else None
    if function in ("any", "every"):
        return (any if function == "any" else all)(values)
    if function in ("min", "max"):
        return (min if function == "min" else max)(values, key=above_numbers)
    if function in ("var", "stddev"):
        return spread(values, function == "stddev")
    if function in ("median", "percentile"):
        return quantile(values, 0.5 if function == "median" else share)
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


def in_order(item: Item) -> tuple[bool, Any, int]:
    """Sorts nulls last, and equals by the order of insertion."""
    return item.other is None, item.other is not None and above_numbers(item.other), item.place


def aggregate_rows(function: AggregateFunction, items: Sequence[Item], share: float = 0.5) -> Any:
    """The same for those, too, that look at more of a row than its value. Lists of values are lists."""
    rows = [item for item in items if item.value is not None]
    both = [item for item in rows if item.other is not None]
    if function == "weighted_avg":
        return weighted(both)
    if function in ("min_by", "max_by"):
        ordered = sorted(both, key=lambda item: item.place)
        choose = min if function == "min_by" else max  # of equals, both take the first that they meet
        return choose(ordered, key=lambda item: above_numbers(item.other)).value if both else None
    if function in ("first", "last", "join", "array"):
        ordered = sorted(rows, key=in_order)
        if not rows or function in ("join", "array"):
            return [item.value for item in ordered] or None
        return ordered[0 if function == "first" else -1].value
    return aggregate(function, [item.value for item in items], share)


def quantile(values: Sequence[float], share: float) -> float:
    """The value at a share, between two values in proportion."""
    ordered = sorted(values, key=above_numbers)
    place = share * (len(ordered) - 1)
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    part = place - math.floor(place)
    return low if low == high or not part else low * (1 - part) + high * part


def weighted(items: Sequence[Item]) -> float | None:
    """The sum of value times weight by that of the weights, rounded once; that of IEEE 754 when one is not finite."""
    if not items:
        return None
    finite = [item for item in items if math.isfinite(item.value) and math.isfinite(item.other)]
    top = sum((Fraction(item.value) * Fraction(item.other) for item in finite), Fraction(0))
    bottom = sum((Fraction(item.other) for item in finite), Fraction(0))
    if len(finite) == len(items):
        return to_float(top / bottom) if bottom else None
    odd = [item for item in items if item not in finite]
    products = total([float(item.value) * float(item.other) for item in odd])
    weights = [item.other for item in odd if not math.isfinite(item.other)]
    bottom += sum((Fraction(item.other) for item in odd if math.isfinite(item.other)), Fraction(0))
    divisor = total(weights) if weights else to_float(bottom)
    assert isinstance(products, float) and isinstance(divisor, float)
    return products / divisor if divisor else None


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
