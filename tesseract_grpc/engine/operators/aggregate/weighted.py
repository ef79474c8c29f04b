"""weighted_avg: the sum of value times weight by the sum of the weights, over rows in which neither is null.

Both sums are exact (see `exact_sums`): a product of doubles is a double and an error, and both are added. So the result
is the double nearest to the true quotient, whatever came and left. Where the weights add up to zero it is null. A row
whose value or weight is not finite counts as its product and its weight are under IEEE 754, while it is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray, Groups
from tesseract_grpc.engine.operators.aggregate.exact_sums import largest_of
from tesseract_grpc.engine.operators.aggregate.float_sums import FloatSums
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.rounding import quotient, two_product
from tesseract_grpc.engine.operators.aggregate.state import BLOCK, State

_WHOLE = 1 << 53  # integers below it are doubles
_WORD = 32
_LARGE, _SMALL = 2.0**400, 2.0**-400  # between these, products and quotients have errors that are doubles
_DOUBT = 2.0**-96  # more than the first 106 bits of both sums can be wrong by, as a part of the result


class WeightedAverage(State):
    """The weighted average; null when there are no values, or no weight."""

    type = DataType.FLOAT64

    def __init__(self, column: Column, weight: Column) -> None:
        super().__init__((column, weight))
        self._products = FloatSums()
        self._weights = FloatSums()

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(*self.columns)

    def _reserve(self, capacity: int) -> None:
        self._products.reserve(capacity)
        self._weights.reserve(capacity)

    def _clear(self, groups: Groups) -> None:
        self._products.clear(groups)
        self._weights.clear(groups)

    def _facts(self, group: int) -> object:
        return self._products.exact(group), self._weights.exact(group)

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows)."""
        self._put(rows, inputs, 1)

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. O(rows)."""
        self._put(rows, inputs, -1)

    def _put(self, rows: Grouped, inputs: Sequence[Stored], sign: int) -> None:
        some, (values, weights) = rows.present_in_all(inputs)
        some.count_into(self.counts, sign)
        for start in range(0, len(some), BLOCK):
            part = slice(start, start + BLOCK)
            self._put_block(some.groups[part], values[part], weights[part], sign)

    def _put_block(self, groups: Groups, values: AnyArray, weights: AnyArray, sign: int) -> None:
        for part in _doubles(weights):
            self._weights.add(groups, part, sign)
        finite = np.isfinite(values) & np.isfinite(weights)
        if not finite.all():
            odd = ~finite
            with np.errstate(invalid="ignore"):  # inf * 0 is NaN
                self._products.add(groups[odd], values[odd].astype(np.float64) * weights[odd], sign)
            groups, values, weights = groups[finite], values[finite], weights[finite]
            if not len(groups):
                return
        for value in _doubles(values):
            for weight in _doubles(weights):
                self._put_products(groups, value, weight, sign)

    def _put_products(self, groups: Groups, values: FloatArray, weights: FloatArray, sign: int) -> None:
        plain = _plain(values) & _plain(weights)
        if not plain.all():
            for row in (~plain).nonzero()[0].tolist():
                self._put_exactly(int(groups[row]), float(values[row]), float(weights[row]), sign)
            groups, values, weights = groups[plain], values[plain], weights[plain]
            if not len(groups):
                return
        for part in two_product(values, weights):
            self._products.sums.add(groups, part, largest_of(part), sign)

    def _put_exactly(self, group: int, value: float, weight: float, sign: int) -> None:
        whole, denominator = value.as_integer_ratio()
        other, divisor = weight.as_integer_ratio()  # both divisors are powers of two
        exponent = 2 - denominator.bit_length() - divisor.bit_length()
        self._products.sums.add_whole(group, whole * other, exponent, sign)

    def enter_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes in one row. O(1)."""
        self._put_one(group, values, 1)

    def leave_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes out one row. O(1)."""
        self._put_one(group, values, -1)

    def _put_one(self, group: int, values: Sequence[Scalar], sign: int) -> None:
        value, weight = values
        if value is None or weight is None:
            return
        assert not isinstance(value, str) and not isinstance(weight, str)
        self.counts[group] += sign
        self._weights.add_one(group, weight, sign)
        if not (math.isfinite(value) and math.isfinite(weight)):
            self._products.add_one(group, float(value) * float(weight), sign)
            return
        self._put_exactly(group, value, weight, sign)

    def result(self, groups: Groups) -> Stored:
        """The weighted averages. O(groups)."""
        total, total_rest = self._products.sums.pair(groups)
        weight, weight_rest = self._weights.sums.pair(groups)
        odd_weights = _any_odd(self._weights, groups)
        odd = odd_weights | _any_odd(self._products, groups)
        # Zero may be a sum too small for a double.
        plain = _plain(total) & (total != 0.0) & _plain(weight) & (weight != 0.0) & ~odd
        top, top_rest = np.where(plain, total, 0.0), np.where(plain, total_rest, 0.0)
        bottom, bottom_rest = np.where(plain, weight, 1.0), np.where(plain, weight_rest, 0.0)
        result = top / bottom
        product, error = two_product(result, bottom)
        # What is left of the quotient of the heads, and what the rests add to it.
        rest = ((top - product) - error + (top_rest - result * bottom_rest)) / bottom
        doubt = np.abs(result) * _DOUBT
        low, high = result + (rest - doubt), result + (rest + doubt)
        plain &= _plain(low)
        for row in (~plain | (low != high)).nonzero()[0].tolist():
            low[row] = self._exactly(int(groups[row]))
        low += 0.0  # -0.0 becomes 0.0
        valid = (self.counts[groups] > 0) & (odd_weights | (weight != 0.0))
        low[~valid] = 0.0
        return low, None if valid.all() else valid

    def _exactly(self, group: int) -> float:
        if self._products.is_odd(group) or self._weights.is_odd(group):
            with np.errstate(all="ignore"):
                found = float(np.float64(self._products.rounded_one(group)) / self._weights.rounded_one(group))
                return math.nan if found != found else found  # inf / inf has a sign; NaN has one form in storage
        total, exponent = self._products.sums.exact(group)
        weight, other = self._weights.sums.exact(group)
        if weight < 0:
            total, weight = -total, -weight
        return quotient(total, exponent - other, weight) + 0.0 if weight else 0.0

    def result_one(self, group: int) -> Scalar:
        """The weighted average of one group."""
        if not self.counts[group]:
            return None
        weighs = self._weights.is_odd(group) or self._weights.sums.exact(group)[0]
        return self._exactly(group) if weighs else None

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._products.memory_bytes() + self._weights.memory_bytes()


def _plain(values: FloatArray) -> BoolArray:
    sizes = np.abs(values)
    plain: BoolArray = (sizes < _LARGE) & ((sizes > _SMALL) | (sizes == 0.0))
    return plain


def _doubles(values: AnyArray) -> Iterator[FloatArray]:
    """Doubles that add up to the values: the values themselves, or the halves of large integers."""
    if values.dtype == np.float64 or (int(values.min()) > -_WHOLE and int(values.max()) < _WHOLE):
        yield values.astype(np.float64, copy=False)
        return
    yield (values >> _WORD).astype(np.float64) * 2.0**_WORD
    yield (values & ((1 << _WORD) - 1)).astype(np.float64)


def _any_odd(sums: FloatSums, groups: Groups) -> BoolArray:
    """Which groups hold a value that is not finite."""
    odd = np.zeros(len(groups), np.bool_)
    for held in sums.odd(groups) or ():
        odd |= held
    return odd
