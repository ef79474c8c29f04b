"""Exact sums of int64 by group, which cannot wrap.

A sum is two int64 words worth `high * 2**32 + low`. A value of less than 32 bits (all but always) adds to the low word
alone; a larger one is cut into two 32-bit halves. How a value is cut depends on nothing but the value, so what leaves
takes back exactly what it brought, and 2**31 rows a group fit.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.errors import OutOfRange, Reason
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray, Groups, Int64Array, grown, run_totals

_NARROW = 1 << 31
_WORD = 32
_LOW = np.int64((1 << _WORD) - 1)


class IntegerSums:
    """One sum of an INT64 column a group."""

    __slots__ = ("_column", "_high", "_low")

    def __init__(self, column: Column) -> None:
        self._column = column
        self._low: Int64Array = np.zeros(0, np.int64)
        self._high: Int64Array | None = None  # made when the first large value comes

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self._low = grown(self._low, capacity)
        if self._high is not None:
            self._high = grown(self._high, capacity)

    def add(self, groups: Groups, values: AnyArray, sign: int) -> None:
        """Adds values to their groups, or takes them out when `sign` is -1. O(rows)."""
        put = np.add.at if sign > 0 else np.subtract.at
        if int(values.min()) >= -_NARROW and int(values.max()) < _NARROW:
            put(self._low, groups, values)
            return
        # The upper half rounded to the nearest, so that narrow values have none.
        high = (values >> _WORD) + ((values >> (_WORD - 1)) & 1)
        if self._high is None:
            self._high = np.zeros(len(self._low), np.int64)
        put(self._high, groups, high)
        put(self._low, groups, values - (high << _WORD))  # wraps twice where the upper half rounds to 2**31

    def add_one(self, group: int, value: float, sign: int) -> None:
        """Adds one value, which is whole, or takes it out when `sign` is -1. O(1)."""
        if -_NARROW <= value < _NARROW:
            self._low[group] += sign * value
        else:
            self.add(np.array([group]), np.array([value], np.int64), sign)

    def total(self, group: int) -> int:
        """The sum of one group, however large. O(1)."""
        high = 0 if self._high is None else self._high.item(group)
        return (high << _WORD) + self._low.item(group)

    def accumulate(self, first: Int64Array) -> None:
        """Makes the sum of each group that of the groups from `first` of it up to itself. O(groups).

        Each group has taken in one value at most.
        """
        for words in (self._low, self._high):
            if words is not None:
                words[: len(first)] = run_totals(words[: len(first)], first)

    def clear(self, groups: Groups) -> None:
        """Makes the sums of these groups zero."""
        self._low[groups] = 0
        if self._high is not None:
            self._high[groups] = 0

    def _words(self, groups: Groups) -> tuple[Int64Array, Int64Array]:
        """The sums as high words and low words from 0 to 2**32."""
        low = self._low[groups]
        high = low >> _WORD
        if self._high is not None:
            high += self._high[groups]
        return high, low & _LOW

    def whole(self, groups: Groups) -> Int64Array:
        """The sums. Raises OutOfRange when one has left int64. O(groups)."""
        high, low = self._words(groups)
        if self._high is not None:
            for row in ((high < -_NARROW) | (high >= _NARROW)).nonzero()[0].tolist():
                self.whole_one(int(groups[row]))  # refuses
        return (high << _WORD) | low

    def whole_one(self, group: int) -> int:
        """The sum of one group. Raises OutOfRange when it has left int64. O(1)."""
        total = self.total(group)
        if INT64_MIN <= total <= INT64_MAX:
            return total
        name = self._column.schema.name
        raise OutOfRange(
            Reason.INT64_OVERFLOW,
            f"the sum of column '{name}' is {total}, which does not fit INT64",
            field=name,
            hint="sum it as FLOAT64, or narrow the filter",
            group=group,
        )

    def rounded(self, groups: Groups) -> FloatArray:
        """The sums as doubles, rounded once. O(groups)."""
        high, low = self._words(groups)
        result = ((high << _WORD) | low).astype(np.float64)
        if self._high is not None:
            for row in ((high < -_NARROW) | (high >= _NARROW)).nonzero()[0].tolist():
                result[row] = float(self.total(int(groups[row])))
        return result

    def rounded_one(self, group: int) -> float:
        """The sum of one group as a double, rounded once. O(1)."""
        return float(self.total(group))

    def exact(self, group: int) -> tuple[object, ...]:
        """Everything that decides the sum of a group."""
        return (0 if self._high is None else self._high.item(group)), self._low.item(group)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self._low.nbytes + (0 if self._high is None else self._high.nbytes)
