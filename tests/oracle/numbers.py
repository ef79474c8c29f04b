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


def total(kind: str, values: Sequence[float]) -> float | int:
    found = exact(values)
    if kind == "int64":
        if not -BOUND <= found < BOUND:
            raise Overflow
        return int(found)
    return float(found) + 0.0


def mean(values: Sequence[float]) -> float:
    found = exact(values)
    return float(found) / len(values)


def variance(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    if not all(map(math.isfinite, values)):
        return math.nan
    middle = sum(map(Fraction, values), Fraction(0)) / len(values)
    return float(sum(((Fraction(value) - middle) ** 2 for value in values), Fraction(0)) / (len(values) - 1))


def weighted(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Rounded once; without weights there is nothing to divide by. What is not finite divides as doubles do."""
    if not pairs:
        return None
    if all(math.isfinite(number) for pair in pairs for number in pair):
        below = sum((Fraction(weight) for _, weight in pairs), Fraction(0))
        above = sum((Fraction(value) * Fraction(weight) for value, weight in pairs), Fraction(0))
        return float(above / below) if below else None
    if all(math.isfinite(weight) for _, weight in pairs) and not sum(Fraction(weight) for _, weight in pairs):
        return None
    products = exact([float(value) * float(weight) for value, weight in pairs])
    return divided(float(products), float(exact([weight for _, weight in pairs])))


def percentile(values: Sequence[float], share: float) -> float:
    """Between the two neighbours of the place, in proportion; NaN stands above all numbers."""
    ordered = sorted(map(float, values), key=lambda value: (math.isnan(value), 0.0 if math.isnan(value) else value))
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    below, above = ordered[low], ordered[min(low + 1, len(ordered) - 1)]
    part = place - low  # by the formula of docs/SEMANTICS.md: others differ from it in the last digit
    return below if part == 0.0 or below == above else below * (1.0 - part) + above * part + 0.0
