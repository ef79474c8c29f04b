"""count_if, any and every: how many values of a BOOL column are true."""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array, grown
from tesseract_grpc.engine.operators.aggregate.state import ColumnState, Present, masked


class CountIf(ColumnState):
    """The number of rows that are true; never null."""

    type = DataType.INT64

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._true: Int64Array = np.zeros(0, np.int64)

    def _reserve(self, capacity: int) -> None:
        self._true = grown(self._true, capacity)

    def _add(self, groups: Groups, values: AnyArray) -> None:
        np.add.at(self._true, groups[values], 1)

    def _remove(self, groups: Groups, values: AnyArray) -> None:
        np.subtract.at(self._true, groups[values], 1)

    def _add_one(self, group: int, value: Present) -> None:
        self._true[group] += bool(value)

    def _remove_one(self, group: int, value: Present) -> None:
        self._true[group] -= bool(value)

    def _clear(self, groups: Groups) -> None:
        self._true[groups] = 0

    def _facts(self, group: int) -> object:
        return self._true.item(group)

    def result(self, groups: Groups) -> Stored:
        """The counts."""
        return self._true[groups], None

    def result_one(self, group: int) -> Scalar:
        """The count of one group."""
        return self._true.item(group)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._true.nbytes


class Any(CountIf):
    """Whether one is true; null when there are no values."""

    type = DataType.BOOL

    def result(self, groups: Groups) -> Stored:
        """Whether there is a true value."""
        return masked(self._true[groups] > 0, self.counts[groups])

    def result_one(self, group: int) -> Scalar:
        """Whether one group has a true value."""
        return self._true.item(group) > 0 if self.counts[group] else None


class Every(CountIf):
    """Whether all are true; null when there are no values."""

    type = DataType.BOOL

    def result(self, groups: Groups) -> Stored:
        """Whether there is no value but true ones."""
        counts = self.counts[groups]
        return masked(self._true[groups] == counts, counts)

    def result_one(self, group: int) -> Scalar:
        """Whether one group has true values only."""
        count = self.counts.item(group)
        return self._true.item(group) == count if count else None
