"""Numbers of many: sums that are exact and rounded once, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from tests.oracle.expressions import BOUND, divided
from tests.oracle.relation import Overflow


def exact(values: Sequence[float]) -> float | Fraction:
    """The sum, exactly, or what is not finite."""
    odd = {value for value in values if math.isinf(value)}
    if any(map(math.isnan, values)) or len(odd) == 2:
        return math.nan
    return odd.pop() if odd else sum(map(Fraction, values), Fraction(0))


def rounded(value: float | Fraction) -> float:
    """The nearest double, infinite beyond all of them; zero has no sign."""
    try:
        return float(value) + 0.0
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def total(kind: str, values: Sequence[float]) -> float | int:
    found = exact(values)
    if kind == "int64":
        if not -BOUND <= found < BOUND:
            raise Overflow
        return int(found)
    return rounded(found)


def mean(values: Sequence[float]) -> float:
    """The rounded sum by the number of values; where the sum is no double any more, the exact one."""
    found = exact(values)
    divided_once = rounded(found) / len(values) + 0.0
    exactly = isinstance(found, Fraction) and math.isinf(divided_once)
    return rounded(Fraction(found) / len(values)) if exactly else divided_once


def variance(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    middle = sum(map(Fraction, values), Fraction(0)) / len(values)
    return rounded(sum(((Fraction(value) - middle) ** 2 for value in values), Fraction(0)) / (len(values) - 1))


def weighted(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Rounded once; without weights there is nothing to divide by. What is not finite divides as doubles do."""
    if not pairs:
        return None
    if all(math.isfinite(number) for pair in pairs for number in pair):
        below = sum((Fraction(weight) for _, weight in pairs), Fraction(0))
        above = sum((Fraction(value) * Fraction(weight) for value, weight in pairs), Fraction(0))
        return rounded(above / below) if below else None
    if all(math.isfinite(weight) for _, weight in pairs) and not sum(Fraction(weight) for _, weight in pairs):
        return None
    odd = [pair for pair in pairs if not all(map(math.isfinite, pair))]  # beside which all others are nothing
    products = exact([float(value) * float(weight) for value, weight in odd])
    return divided(rounded(products), rounded(exact([weight for _, weight in pairs])))


def percentile(values: Sequence[float], share: float) -> float:
    """Between the two neighbours of the place, in proportion; NaN stands above all numbers."""
    ordered = sorted(map(float, values), key=lambda value: (math.isnan(value), 0.0 if math.isnan(value) else value))
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    below, above = ordered[low], ordered[min(low + 1, len(ordered) - 1)]
    part = place - low  # by the formula of docs/SEMANTICS.md: others differ from it in the last digit
    return below if part == 0.0 or below == above else below * (1.0 - part) + above * part + 0.0
