"""Sums of doubles by group that heal: what is not finite is counted beside the exact sum of what is.

A group that holds a NaN, or infinities of both signs, sums to NaN; one that holds infinities of one sign sums to that.
When these values leave, the sum is that of the others again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray, Groups, Int64Array, grown, run_totals
from tesseract_grpc.engine.operators.aggregate.exact_sums import ExactSums, largest_of
from tesseract_grpc.engine.operators.aggregate.rounding import quotient

_TESTS: tuple[Callable[[FloatArray], BoolArray], ...] = (np.isnan, np.isposinf, np.isneginf)


class FloatSums:
    """One sum of doubles a group."""

    __slots__ = ("_capacity", "_odd", "sums")

    def __init__(self) -> None:
        self._capacity = 0
        self.sums = ExactSums()
        self._odd: list[Int64Array] | None = None  # how many NaN, inf and -inf a group has, once there was one

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self._capacity = capacity
        self.sums.reserve(capacity)
        if self._odd is not None:
            self._odd = [grown(counts, capacity) for counts in self._odd]

    def add(self, groups: Groups, values: AnyArray, sign: int) -> None:
        """Adds values to their groups, or takes them out when `sign` is -1. O(rows)."""
        finite, largest = self.finite(groups, values, sign)
        self.sums.add(groups, finite, largest, sign)

    def add_one(self, group: int, value: float, sign: int) -> None:
        """Adds one value, or takes it out when `sign` is -1. O(1)."""
        if math.isfinite(value):
            self.sums.add_one(group, value, sign)
        else:
            self.finite(np.array([group]), np.array([value]), sign)

    def rounded_one(self, group: int) -> float:
        """The sum of one group, rounded once. O(1)."""
        if self.is_odd(group):
            return float(self.rounded(np.array([group]))[0])
        return quotient(*self.sums.exact(group))

    def finite(self, groups: Groups, values: AnyArray, sign: int) -> tuple[FloatArray, float]:
        """Counts the values that are not finite; gives the values with these as zero, and the largest size of one."""
        largest = largest_of(values)
        if math.isfinite(largest):
            return values, largest
        if self._odd is None:
            self._odd = [np.zeros(self._capacity, np.int64) for _ in _TESTS]
        for counts, test in zip(self._odd, _TESTS, strict=True):
            (np.add if sign > 0 else np.subtract).at(counts, groups[test(values)], 1)
        finite = np.where(np.isfinite(values), values, 0.0)
        return finite, largest_of(finite)

    def clear(self, groups: Groups) -> None:
        """Makes the sums of these groups zero."""
        self.sums.clear(groups)
        for counts in self._odd or ():
            counts[groups] = 0

    def odd(self, groups: Groups) -> tuple[BoolArray, BoolArray, BoolArray] | None:
        """Which groups hold a NaN, an inf, a -inf; None when it is known that none does."""
        if self._odd is None:
            return None
        nan, above, below = (counts[groups] != 0 for counts in self._odd)
        return nan, above, below

    def is_odd(self, group: int) -> bool:
        """Whether a group holds a value that is not finite."""
        return self._odd is not None and any(counts[group] for counts in self._odd)

    def accumulate(self, first: Int64Array) -> None:
        """Makes the sum of each group that of the groups from `first` of it up to itself (see `ExactSums`)."""
        self.sums.accumulate(first)
        for counts in self._odd or ():
            counts[: len(first)] = run_totals(counts[: len(first)], first)

    def rounded(self, groups: Groups) -> FloatArray:
        """The sums, rounded once. O(groups)."""
        result = self.sums.rounded(groups)
        odd = self.odd(groups)
        if odd is not None:
            nan, above, below = odd
            result[above] = np.inf
            result[below] = -np.inf
            result[nan | (above & below)] = np.nan
        return result

    def average(self, group: int, count: int) -> float:
        """The sum of a group that holds finite values only, divided by `count`, where the sum may be out of range."""
        return quotient(*self.sums.exact(group), count)

    def exact(self, group: int) -> tuple[object, ...]:
        """Everything that decides the sum of a group, in a form that does not depend on its history."""
        odd = () if self._odd is None else tuple(int(counts[group]) for counts in self._odd)
        return normal(*self.sums.exact(group)), odd if any(odd) else ()

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.sums.memory_bytes() + sum(counts.nbytes for counts in self._odd or ())


def normal(total: int, exponent: int) -> tuple[int, int]:
    """The one way to write `total * 2**exponent` with an odd total (or zero)."""
    if not total:
        return 0, 0
    zeros = (total & -total).bit_length() - 1
    return total >> zeros, exponent + zeros
