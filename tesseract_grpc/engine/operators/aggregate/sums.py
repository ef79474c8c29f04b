"""sum and avg: exact sums, rounded once.

The sum of integers is an integer or an error, never something else; that of doubles is the double nearest to the true
sum. The average is that sum, as a double, divided by the number of values (Python's statistics.fmean); so it is within
one unit in the last place, and the same rows always give the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array, run_totals
from tesseract_grpc.engine.operators.aggregate.float_sums import FloatSums
from tesseract_grpc.engine.operators.aggregate.integer_sums import IntegerSums
from tesseract_grpc.engine.operators.aggregate.state import ColumnState, Present, masked


class _Summing(ColumnState):
    """A state made of one sum a group."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.sums: IntegerSums | FloatSums = IntegerSums(column) if column.type is DataType.INT64 else FloatSums()

    def _reserve(self, capacity: int) -> None:
        self.sums.reserve(capacity)

    def _add(self, groups: Groups, values: AnyArray) -> None:
        self.sums.add(groups, values, 1)

    def _remove(self, groups: Groups, values: AnyArray) -> None:
        self.sums.add(groups, values, -1)

    def _add_one(self, group: int, value: Present) -> None:
        self.sums.add_one(group, value, 1)

    def _remove_one(self, group: int, value: Present) -> None:
        self.sums.add_one(group, value, -1)

    def _clear(self, groups: Groups) -> None:
        self.sums.clear(groups)

    def accumulate(self, first: Int64Array) -> None:
        """Makes each group the rows of the groups from `first` of it up to itself. O(groups).

        Each group has taken in one row at most. After this, results can be read, and nothing else.
        """
        self.counts[: len(first)] = run_totals(self.counts[: len(first)], first)
        self.sums.accumulate(first)

    def _facts(self, group: int) -> object:
        return self.sums.exact(group)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self.sums.memory_bytes()


class Sum(_Summing):
    """The sum, of the column's type; null when there are no values."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.type = column.type

    def result(self, groups: Groups) -> Stored:
        """The sums. Raises OutOfRange when one does not fit the type."""
        sums = self.sums
        values: AnyArray = sums.whole(groups) if isinstance(sums, IntegerSums) else sums.rounded(groups)
        return masked(values, self.counts[groups])

    def result_one(self, group: int) -> Scalar:
        """The sum of one group. Raises OutOfRange when it does not fit the type."""
        if not self.counts[group]:
            return None
        sums = self.sums
        return sums.whole_one(group) if isinstance(sums, IntegerSums) else sums.rounded_one(group)


class Average(_Summing):
    """The average; null when there are no values."""

    type = DataType.FLOAT64

    def result(self, groups: Groups) -> Stored:
        """The averages. An integer average has no range to leave."""
        counts = self.counts[groups]
        return masked(self._sums_by_count(groups, counts), counts)

    def result_one(self, group: int) -> Scalar:
        """The average of one group."""
        count = self.counts.item(group)
        if not count:
            return None
        result = self.sums.rounded_one(group) / count + 0.0  # -0.0 becomes 0.0
        return super().result_one(group) if math.isinf(result) else result

    def _sums_by_count(self, groups: Groups, counts: AnyArray) -> AnyArray:
        sums = self.sums
        result = sums.rounded(groups) / np.maximum(counts, 1)
        result += 0.0  # -0.0 becomes 0.0
        if isinstance(sums, FloatSums):
            # A sum may be out of the range of doubles where its average is not.
            beyond, odd = np.isinf(result), sums.odd(groups)
            if odd is not None:
                beyond &= ~(odd[1] | odd[2])
            for row in beyond.nonzero()[0].tolist():
                result[row] = sums.average(int(groups[row]), int(counts[row]))
        return result
