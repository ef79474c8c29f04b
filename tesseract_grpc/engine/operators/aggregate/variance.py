"""var and stddev of a sample, from the exact sums of the values and of their squares.

With n values, `var = (n * squares - sum**2) / (n * (n - 1))`, null below two values. The textbook warns of this formula
because both sides of the difference are rounded; here they are exact. A square is a double and an error (see
`rounding`), and both are added to an exact sum; squares of values so large or small that this would leave the range of
doubles are scaled by a power of two, which exact sums take back.

The result is computed from the sums' first 106 bits. Where these do not decide how it is rounded (the difference of
values that are all but equal cancels most of them), it is computed in integers. So a variance is the double nearest
to the true one, and a deviation is the root of that double.
"""

from __future__ import annotations

import math

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray, Groups
from tesseract_grpc.engine.operators.aggregate.exact_sums import ExactSums, largest_of
from tesseract_grpc.engine.operators.aggregate.float_sums import FloatSums, normal
from tesseract_grpc.engine.operators.aggregate.rounding import quotient, two_product, two_sum
from tesseract_grpc.engine.operators.aggregate.state import ColumnState, Present, masked

_WHOLE = 1 << 53  # integers below it are doubles
_WORD = 32
_LARGE, _SMALL = 2.0**500, 2.0**-450  # between these, a square and its error are doubles
_SCALE = 600  # brings what is beyond them between them
_ERROR = 2.0**-96  # more than 106 bits of both sides can be wrong by, as a part of one side


class Variance(ColumnState):
    """The variance of a sample; null below two values, NaN when a value is not finite."""

    type = DataType.FLOAT64

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._sums = FloatSums()
        self._squares = ExactSums()

    def _reserve(self, capacity: int) -> None:
        self._sums.reserve(capacity)
        self._squares.reserve(capacity)

    def _add(self, groups: Groups, values: AnyArray) -> None:
        self._put(groups, values, 1)

    def _remove(self, groups: Groups, values: AnyArray) -> None:
        self._put(groups, values, -1)

    def _add_one(self, group: int, value: Present) -> None:
        self._put_one(group, value, 1)

    def _remove_one(self, group: int, value: Present) -> None:
        self._put_one(group, value, -1)

    def _put_one(self, group: int, value: Present, sign: int) -> None:
        if not math.isfinite(value):
            self._sums.add_one(group, value, sign)
            return
        whole, denominator = value.as_integer_ratio()
        exponent = 1 - denominator.bit_length()  # the denominator of a double is a power of two
        self._sums.sums.add_whole(group, whole, exponent, sign)
        self._squares.add_whole(group, whole * whole, 2 * exponent, sign)

    def _put(self, groups: Groups, values: AnyArray, sign: int) -> None:
        if values.dtype == np.float64 or (int(values.min()) > -_WHOLE and int(values.max()) < _WHOLE):
            self._put_doubles(groups, values.astype(np.float64, copy=False), sign)
            return
        high = (values >> _WORD).astype(np.float64) * 2.0**_WORD
        low = (values & ((1 << _WORD) - 1)).astype(np.float64)
        self._put_doubles(groups, high, sign)
        self._put_doubles(groups, low, sign)
        for part in two_product(high * 2.0, low):
            self._squares.add(groups, part, largest_of(part), sign)

    def _put_doubles(self, groups: Groups, values: FloatArray, sign: int) -> None:
        values, largest = self._sums.finite(groups, values, sign)
        self._sums.sums.add(groups, values, largest, sign)
        sizes = np.abs(values)
        if sizes.max() < _LARGE and sizes.min() > _SMALL:
            self._put_plain_squares(groups, values, sign, 0)
            return
        large, small = sizes >= _LARGE, (sizes <= _SMALL) & (sizes > 0.0)
        self._put_plain_squares(groups, np.where(large | small, 0.0, values), sign, 0)
        for beyond, scale in ((large, -_SCALE), (small, _SCALE)):
            if beyond.any():
                self._put_plain_squares(groups[beyond], np.ldexp(values[beyond], scale), sign, -2 * scale)

    def _put_plain_squares(self, groups: Groups, values: FloatArray, sign: int, shift: int) -> None:
        for part in two_product(values, values):
            self._squares.add(groups, part, largest_of(part), sign, shift)

    def _clear(self, groups: Groups) -> None:
        self._sums.clear(groups)
        self._squares.clear(groups)

    def _facts(self, group: int) -> object:
        return self._sums.exact(group), normal(*self._squares.exact(group))

    def result(self, groups: Groups) -> Stored:
        """The variances. O(groups)."""
        counts = self.counts[groups]
        result = self._variances(groups, np.maximum(counts, 2).astype(np.float64))
        odd = self._sums.odd(groups)
        if odd is not None:
            result[odd[0] | odd[1] | odd[2]] = np.nan
        return masked(result, counts - 1)

    def _variances(self, groups: Groups, count: FloatArray) -> FloatArray:
        total, total_rest = self._sums.sums.pair(groups)
        square, square_rest = self._squares.pair(groups)
        plain = (np.abs(total) < _LARGE) & (square < _LARGE) & (square > _SMALL)
        total, total_rest, square, square_rest = (
            np.where(plain, part, 0.0) for part in (total, total_rest, square, square_rest)
        )
        left, left_error = two_product(count, square)
        right, right_error = two_product(total, total)
        difference, error = two_sum(left, -right)
        error += (left_error - right_error) + (count * square_rest - 2.0 * total * total_rest)
        difference, error = two_sum(difference, error)
        # The quotient of the head, and what its remainder and the error add to it.
        divisor = count * (count - 1.0)
        result = difference / divisor
        product, product_error = two_product(result, divisor)
        rest = (((difference - product) - product_error) + error) / divisor
        doubt = left * _ERROR / divisor
        low, high = result + (rest - doubt), result + (rest + doubt)
        for row in (~plain | (low != high)).nonzero()[0].tolist():
            low[row] = self._exact_variance(int(groups[row]), int(count[row]))
        return low

    def result_one(self, group: int) -> Scalar:
        """The variance of one group."""
        count = self.counts.item(group)
        if count < 2 or self._sums.is_odd(group):
            return None if count < 2 else math.nan
        return self._exact_variance(group, count)

    def _exact_variance(self, group: int, count: int) -> float:
        total, exponent = self._sums.sums.exact(group)
        square, square_exponent = self._squares.exact(group)
        lowest = min(2 * exponent, square_exponent)
        difference = count * (square << (square_exponent - lowest)) - (total * total << (2 * exponent - lowest))
        return quotient(difference, lowest, count * (count - 1))

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._sums.memory_bytes() + self._squares.memory_bytes()


class Deviation(Variance):
    """The standard deviation of a sample: the square root of its variance."""

    def result(self, groups: Groups) -> Stored:
        """The deviations. O(groups)."""
        values, valid = super().result(groups)
        return np.sqrt(values), valid

    def result_one(self, group: int) -> Scalar:
        """The deviation of one group."""
        variance = super().result_one(group)
        return None if variance is None else math.sqrt(variance)  # type: ignore[arg-type]  # it is a float
