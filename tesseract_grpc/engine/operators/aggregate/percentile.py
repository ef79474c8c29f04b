"""median and percentile: what stands at a share of the rows in order, between two rows in proportion (SQL's
`percentile_cont`).

With n values and a share q, the place is `q * (n - 1)` counted from 0, as a double. At a whole place stands a value;
between two, the result is `low * (1 - part) + high * part`, which cannot overflow. INT64 values are taken as doubles.
NaN stands above every number, so it is the result from its place on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.operators.aggregate.arrays import FloatArray, Groups, Int64Array
from tesseract_grpc.engine.operators.aggregate.comparable import comparable, restored
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.ranked_rows import RankedRows
from tesseract_grpc.engine.operators.aggregate.state import State, masked


class Percentile(State):
    """The value at a share of the rows; null when there are no values."""

    type = DataType.FLOAT64
    in_blocks = False

    def __init__(self, column: Column, share: float) -> None:
        super().__init__((column,))
        self._column = column
        self._share = share
        self._rows = RankedRows()

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self._column, self._share)

    def _reserve(self, capacity: int) -> None:
        self._rows.reserve(capacity)

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows * root of their groups' sizes) at the most."""
        some, values = rows.present(inputs[0])
        some.count_into(self.counts, 1)
        self._rows.add(some.groups, some.slots, comparable(self._column, values))

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. As `enter`."""
        some, _ = rows.present(inputs[0])
        some.count_into(self.counts, -1)
        self._rows.remove(some.groups, some.slots)

    def _clear(self, groups: Groups) -> None:
        self._rows.clear(groups)

    def result(self, groups: Groups) -> Stored:
        """The values at the share. O(groups * root of their sizes)."""
        counts = self.counts[groups]
        there = (counts > 0).nonzero()[0]
        result = np.zeros(len(groups))
        if len(there):
            result[there] = self._at(groups[there], counts[there])
        return masked(result, counts)

    def _at(self, groups: Groups, counts: Int64Array) -> FloatArray:
        place = self._share * (counts - 1).astype(np.float64)
        whole = np.floor(place)
        part = place - whole
        keys = self._rows.keys_at(groups, whole.astype(np.int64))
        low, high = (restored(self._column.type, key).astype(np.float64) for key in keys)
        between = (part > 0.0) & (low != high)
        result = low.copy()
        low, high, part = low[between], high[between], part[between]
        with np.errstate(invalid="ignore"):  # between -inf and inf there is NaN
            result[between] = low * (1.0 - part) + high * part + 0.0  # -0.0 becomes 0.0
        result[np.isnan(result)] = np.nan  # which has a sign where it was inf - inf; NaN has one form in storage
        return result

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._rows.memory_bytes()

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        super().check(groups, rows, inputs)
        self._rows.check()
        assert np.array_equal(self._rows.counts, self.counts), "the rows in order are others than those counted"
