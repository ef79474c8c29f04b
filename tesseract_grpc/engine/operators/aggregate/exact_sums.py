"""Sums of doubles by group without any rounding, and their correctly rounded results.

The model: a sum is a number in base 2**38 whose digits are int64 and may be negative or larger than the base. Digits of
one place are one array over the groups (a *level*), made when a value first needs it; prices need two. A value is cut
into digits by multiplying with a power of two, truncating and subtracting what was cut off, all of which is exact, and
each digit is added to its level. Integers are added in any order with the same result, so a sum depends on nothing but
the values that are in it, and taking a value out leaves no trace. (Neal 2015, "Fast exact summation using small and
large superaccumulators", with digits as wide as a batch of rows allows.)

A row adds less than 2**38 to a digit, so 2**24 rows stay within 2**62; before more have been added carries are carried.

Results: the digits of a group are doubles once below 2**53, and their exact sum is found as a head and an error by
error-free additions (Knuth's two-sum). Where the error of the error could turn the rounding, which is all but never,
the group's digits are added as Python integers and rounded once.
"""

from __future__ import annotations

import math

import numpy as np

from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray, Groups, Int64Array, grown, run_totals
from tesseract_grpc.engine.operators.aggregate.rounding import quotient, rounded_sum

_WIDTH = 38  # bits of a digit
_HALF = np.int64(1 << (_WIDTH - 1))
_DIGIT = (1 << _WIDTH) - 1
_HALF_WIDTH = _WIDTH // 2
_LOW_HALF = np.int64((1 << _HALF_WIDTH) - 1)
_MOST_ROWS = 1 << 24  # rows between two rounds of carries
_EXACT = 1 << 53  # integers below it are doubles
_EXACT_ROWS = _EXACT >> _WIDTH  # the digits of so many rows add up to less
_FAR_MORE = 4  # times as many rows as groups: doubles are added up apart
_LOWEST, _HIGHEST = -1074, 900  # scales at which digits times the scale are doubles, and so are their sums
_PLAIN = 1000  # scales up to which 2.0**scale and 2.0**-scale are normal numbers


class ExactSums:
    """One exact sum of finite doubles a group."""

    __slots__ = ("_anchor", "_capacity", "_levels", "_load")

    def __init__(self) -> None:
        self._capacity = 0
        self._anchor = 0  # the exponent of two of a digit 1 at level 0; chosen when the first value comes
        self._levels: dict[int, Int64Array] = {}
        self._load = 0  # no digit is larger than what so many rows can add

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self._capacity = capacity
        self._levels = {level: grown(digits, capacity) for level, digits in self._levels.items()}

    def add(self, groups: Groups, values: FloatArray, largest: float, sign: int = 1, shift: int = 0) -> None:
        """Adds `values * 2**shift` (times -1 when `sign` is -1) to their groups. O(rows).

        The values are finite, at most 2**23, and `largest` is the size of the largest.
        """
        if not largest:
            return
        level = self._top(math.frexp(largest)[1] + shift, len(values))
        plain = abs(self._anchor + _WIDTH * level - shift) < _PLAIN // 2
        if plain and _FAR_MORE * self._capacity < len(groups) <= _EXACT_ROWS:
            groups, values = self._cut_in_two(groups, values, level, sign, shift)
            level -= 2
        if len(values):
            self._cut(groups, values, level, sign, shift)

    def _cut_in_two(
        self, groups: Groups, values: FloatArray, level: int, sign: int, shift: int
    ) -> tuple[Groups, FloatArray]:
        """Adds the first two digits of values to their groups; what is left of those of which something is left.

        Adding a power of two so large that nothing below the digit remains, and taking it off again, rounds a value to
        its digit in two operations. Both digits of a value are added to those of its group by one, as the two parts of
        a complex number: they are doubles, but exact.
        """
        scale = self._anchor + _WIDTH * level - shift
        bound = 1.5 * math.ldexp(1.0, scale + 52)
        digits = np.empty((len(values), 2))
        high = values + bound
        high -= bound
        rest = values - high
        digits[:, 0] = high
        if values.min() >= math.ldexp(1.0, scale - _WIDTH + 52):
            digits[:, 1] = rest  # no value has a bit below the second digit
            left = groups[:0]
        else:
            bound = math.ldexp(bound, -_WIDTH)
            low = rest + bound
            low -= bound
            digits[:, 1] = low
            rest -= low
            left = rest.nonzero()[0]
        summed = np.zeros(self._capacity, np.complex128)
        np.add.at(summed, groups, digits.view(np.complex128)[:, 0])
        put = np.add if sign > 0 else np.subtract
        for each, part in ((level, summed.real), (level - 1, summed.imag)):
            held = self._level(each)
            whole = (part * math.ldexp(1.0, shift - self._anchor - _WIDTH * each)).astype(np.int64)
            put(held, whole, out=held)
        return groups[left], rest[left]

    def add_one(self, group: int, value: float, sign: int) -> None:
        """Adds one finite value, or takes it out when `sign` is -1. O(1)."""
        whole, denominator = value.as_integer_ratio()
        self.add_whole(group, whole, 1 - denominator.bit_length(), sign)  # the denominator is a power of two

    def add_whole(self, group: int, whole: int, exponent: int, sign: int) -> None:
        """Adds `whole * 2**exponent`, or takes it out when `sign` is -1. O(1)."""
        if not whole:
            return
        self._top(exponent + whole.bit_length(), 1)
        level, up = divmod(exponent - self._anchor, _WIDTH)
        rest, sign = abs(whole) << up, sign if whole > 0 else -sign
        while rest:
            digit = rest & _DIGIT
            if digit:
                self._level(level)[group] += sign * digit
            rest >>= _WIDTH
            level += 1

    def _top(self, exponent: int, rows: int) -> int:
        """The level of the first digits of values below `2**exponent`, and room for those of so many rows."""
        if not self._levels:
            self._anchor = exponent + 1 - _WIDTH  # one bit of room, for values a little larger
        if self._load + rows > _MOST_ROWS:
            self._carry(self._levels)
            self._load = 1
        self._load += rows
        return -((self._anchor + _WIDTH - exponent) // _WIDTH)

    def _cut(self, groups: Groups, rest: FloatArray, level: int, sign: int, shift: int) -> None:
        """Cuts values into digits, from `level` down, and adds these."""
        top = level
        while True:
            scale = self._anchor + _WIDTH * level - shift
            scaled = _scaled(rest, -scale)
            digits = np.trunc(scaled)
            self._put(self._level(level), groups, digits, sign)
            if scale <= 0 and (digits == scaled).all():  # scaling up loses nothing, so nothing is left
                return
            rest = rest - _scaled(digits, scale)
            if scale > 0 and not rest.any():
                return
            if level < top:  # two levels hold nearly all values; what is left of a few is not worth whole passes
                left = rest.nonzero()[0]
                rest, groups = rest[left], groups[left]
            level -= 1

    def _put(self, held: Int64Array, groups: Groups, digits: FloatArray, sign: int) -> None:
        """Adds digits to those of a level."""
        if _FAR_MORE * self._capacity < len(groups) <= _EXACT_ROWS:
            summed = np.bincount(groups, digits, self._capacity)  # doubles, but exact
            (np.add if sign > 0 else np.subtract)(held, summed.astype(np.int64), out=held)
        else:
            (np.add if sign > 0 else np.subtract).at(held, groups, digits.astype(np.int64))

    def _level(self, level: int) -> Int64Array:
        digits = self._levels.get(level)
        if digits is None:
            digits = self._levels[level] = np.zeros(self._capacity, np.int64)
        return digits

    def _carry(self, levels: dict[int, Int64Array]) -> None:
        """Brings digits to at most half the base without changing the sums. O(groups)."""
        level, size = min(levels), len(next(iter(levels.values())))
        while level <= max(levels):
            digits = levels.get(level)
            if digits is not None:
                carry = (digits + _HALF) >> _WIDTH
                if carry.any():
                    levels[level] = digits - (carry << _WIDTH)
                    levels[level + 1] = levels.get(level + 1, np.zeros(size, np.int64)) + carry
            level += 1

    def clear(self, groups: Groups) -> None:
        """Makes the sums of these groups zero."""
        for digits in self._levels.values():
            digits[groups] = 0

    def accumulate(self, first: Int64Array) -> None:
        """Makes the sum of each group that of the groups from `first` of it up to itself. O(groups).

        Each group has taken in one value at most. After this, nothing can be added.
        """
        size = len(first)
        wide = size > 0 and int((np.arange(size) - first).max()) >= _MOST_ROWS
        carries: dict[int, Int64Array] = {}
        for level, digits in self._levels.items():
            if not wide:
                digits[:size] = run_totals(digits[:size], first)
                continue
            # In halves, because so many digits may add up to more than an int64 holds.
            low = run_totals(digits[:size] & _LOW_HALF, first)
            high = run_totals(digits[:size] >> _HALF_WIDTH, first) + (low >> _HALF_WIDTH)
            digits[:size] = ((high & _LOW_HALF) << _HALF_WIDTH) | (low & _LOW_HALF)
            carries[level + 1] = high >> _HALF_WIDTH
        for level, carry in carries.items():
            self._level(level)[:size] += carry

    def rounded(self, groups: Groups) -> FloatArray:
        """The correctly rounded sums; infinite where a sum is outside the range of doubles. O(groups)."""
        terms, doubtful = self._terms(groups)
        result, unsure = rounded_sum(terms, len(groups))
        return self._settled(groups, result, doubtful | unsure, None)

    def pair(self, groups: Groups) -> tuple[FloatArray, FloatArray]:
        """The correctly rounded sums, and the correctly rounded rest of each."""
        terms, doubtful = self._terms(groups)
        head, unsure = rounded_sum(terms, len(groups))
        head = self._settled(groups, head, doubtful | unsure, None)
        taken = np.where(np.isinf(head), 0.0, head)
        rest, unsure = rounded_sum([np.where(doubtful, 0.0, -taken), *terms], len(groups))
        return head, self._settled(groups, rest, doubtful | unsure, taken)

    def _terms(self, groups: Groups) -> tuple[list[FloatArray], BoolArray]:
        """Doubles whose sum is the group's, largest scale first; and the groups of which this is not true."""
        doubtful = np.zeros(len(groups), np.bool_)
        levels = {level: digits[groups] for level, digits in self._levels.items()}
        if not len(groups):
            return [], doubtful
        if any(int(digits.max()) >= _EXACT or int(digits.min()) <= -_EXACT for digits in levels.values()):
            self._carry(levels)
        terms: list[FloatArray] = []
        for level in sorted(levels, reverse=True):
            scale = self._anchor + _WIDTH * level
            if _LOWEST <= scale <= _HIGHEST:
                terms.append(levels[level].astype(np.float64) * math.ldexp(1.0, scale))
            else:
                doubtful |= levels[level] != 0
        return terms, doubtful

    def _settled(self, groups: Groups, result: FloatArray, doubtful: BoolArray, taken: FloatArray | None) -> FloatArray:
        """The result with the doubtful ones found in integers; `taken` is what to take off the sums before."""
        for row in doubtful.nonzero()[0].tolist():
            off = 0.0 if taken is None else float(taken[row])
            result[row] = quotient(*self.exact(int(groups[row]), off))
        return result

    def exact(self, group: int, taken: float = 0.0) -> tuple[int, int]:
        """The sum of one group, less `taken`, as an integer and the power of two that it is to be multiplied with."""
        total, exponent = 0, 0
        if self._levels:
            lowest = min(self._levels)
            exponent = self._anchor + _WIDTH * lowest
            for level, digits in self._levels.items():
                total += digits.item(group) << (_WIDTH * (level - lowest))
        if taken:
            numerator, denominator = taken.as_integer_ratio()
            low = min(exponent, 1 - denominator.bit_length())
            total = (total << (exponent - low)) - (numerator << (1 - denominator.bit_length() - low))
            exponent = low
        return total, exponent

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return sum(digits.nbytes for digits in self._levels.values())


def largest_of(values: FloatArray) -> float:
    """The size of the largest of some values; not finite when one of them is not."""
    return max(float(values.max()), -float(values.min()))


def _scaled(values: FloatArray, exponent: int) -> FloatArray:
    """`values * 2**exponent`; exact where the result is a double."""
    if -_PLAIN <= exponent <= _PLAIN:
        return values * math.ldexp(1.0, exponent)
    return np.ldexp(values, exponent)
