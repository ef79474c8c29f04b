"""distinct_count and unique: what different values a group has. NaN equals NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import STORAGE, AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array, capacity_for, grown
from tesseract_grpc.engine.operators.aggregate.comparable import comparable, restored
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.state import State
from tesseract_grpc.engine.operators.aggregate.value_counts import ValueCounts


class DistinctCount(State):
    """The number of different values; never null."""

    type = DataType.INT64
    in_blocks = False

    def __init__(self, column: Column) -> None:
        super().__init__((column,))
        self._column = column
        self._values = ValueCounts()
        self._entries: NDArray[np.int32] = np.zeros(0, np.int32)  # of the rows that are there, by slot

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self._column)

    def _words(self, values: AnyArray) -> Int64Array:
        """Numbers that are equal where the values are."""
        if self._column.type is DataType.FLOAT64:
            return comparable(self._column, values)
        return values.astype(np.int64, copy=False)

    def _reserve(self, capacity: int) -> None:
        self._values.reserve(capacity)

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows)."""
        some, values = rows.present(inputs[0])
        if len(some):
            some.count_into(self.counts, 1)
            slots = some.slots
            if int(slots.max()) >= len(self._entries):
                self._entries = grown(self._entries, capacity_for(len(self._entries), int(slots.max()) + 1))
            self._entries[slots] = self._values.add(some.groups, self._words(values))

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. O(rows)."""
        some, _ = rows.present(inputs[0])
        if len(some):
            some.count_into(self.counts, -1)
            self._values.remove(self._entries[some.slots].astype(np.int64))

    def _clear(self, groups: Groups) -> None:
        self._values.clear(groups)

    def _facts(self, group: int) -> object:
        return self._values.of_group(group)

    def result(self, groups: Groups) -> Stored:
        """The numbers of different values."""
        return self._values.distinct[groups], None

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._values.memory_bytes() + self._entries.nbytes

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        super().check(groups, rows, inputs)
        self._values.check()


class Unique(DistinctCount):
    """The value, where all values of a group are equal; else null."""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self.type = column.type

    def result(self, groups: Groups) -> Stored:
        """The values; null where there are several, or none."""
        alone = self._values.distinct[groups] == 1
        values = np.zeros(len(groups), STORAGE[self.type])
        words = self._values.only_word(groups[alone])
        values[alone] = words if self.type.is_text else restored(self.type, words)
        return values, None if alone.all() else alone
