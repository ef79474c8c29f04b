"""count(*) and count(column): how many rows a group has, and how many values that are not null."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.operators.aggregate.arrays import NO_GROUPS, Groups, Int64Array, capacity_for, grown
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.state import ColumnState, Present


class RowCount:
    """The number of rows. It reads no column."""

    type = DataType.INT64
    dictionary = None
    in_blocks = True

    def __init__(self) -> None:
        self.counts: Int64Array = np.zeros(0, np.int64)

    def reserve(self, groups: int) -> None:
        """Makes room for this many groups; new groups are empty."""
        if groups > len(self.counts):
            self.counts = grown(self.counts, capacity_for(len(self.counts), groups))

    def enter(self, rows: Grouped, inputs: Sequence[Stored] = ()) -> None:
        """Takes in rows. O(rows)."""
        rows.count_into(self.counts, 1)

    def leave(self, rows: Grouped, inputs: Sequence[Stored] = ()) -> None:
        """Takes out rows. O(rows)."""
        rows.count_into(self.counts, -1)

    def enter_one(self, group: int, slot: int, values: Sequence[Scalar] = ()) -> None:
        """Takes in one row. O(1)."""
        self.counts[group] += 1

    def leave_one(self, group: int, slot: int, values: Sequence[Scalar] = ()) -> None:
        """Takes out one row. O(1)."""
        self.counts[group] -= 1

    def result_one(self, group: int) -> Scalar:
        """The count of one group."""
        return self.counts.item(group)

    def clear(self, groups: Groups) -> None:
        """Makes groups empty. O(groups)."""
        self.counts[groups] = 0

    def stale(self) -> Groups:
        """No group ever is."""
        return NO_GROUPS

    def rebuild(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored] = ()) -> None:
        """Counts again. O(rows)."""
        self.clear(groups)
        self.enter(rows)

    def result(self, groups: Groups) -> Stored:
        """The counts; never null."""
        return self.counts[groups], None

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.counts.nbytes

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored] = ()) -> None:
        """Proves the counts."""
        true = np.bincount(rows.groups, minlength=len(self.counts))[groups]
        assert self.counts[groups].tolist() == true.tolist(), "groups count wrong"


class ValueCount(ColumnState):
    """The number of values that are not null."""

    type = DataType.INT64

    def result(self, groups: Groups) -> Stored:
        """The counts; never null."""
        return self.counts[groups], None

    def _add_one(self, group: int, value: Present) -> None:
        """It is counted already."""

    def _remove_one(self, group: int, value: Present) -> None:
        """It is no longer counted."""

    def result_one(self, group: int) -> Scalar:
        """The count of one group."""
        return self.counts.item(group)
