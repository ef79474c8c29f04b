"""One batch of rows by group, and what states can share about it.

Most aggregates of a query read the same few columns. Which rows are not null and how many rows each group has is
worked out for the first state that asks and kept for the others. A `Grouped` lives as
long as its batch: it recognises a column by the array of its stored values, so the caller reads each column once and
hands the same arrays to all states.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tesseract_grpc.engine.data.delta import NO_SLOTS, Slots, Stored
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array

_MANY = 1 << 14
"""From so many rows on, counting them apart costs less than it saves."""


class Grouped:
    """The group number of each row of a batch, and for states that keep rows apart the slot of each."""

    __slots__ = ("_counts", "_present", "groups", "slots")

    def __init__(self, groups: Groups, slots: Slots = NO_SLOTS) -> None:
        self.groups = groups
        self.slots = slots
        self._counts: Int64Array | None = None
        self._present: list[tuple[AnyArray, BoolArray, tuple[Grouped, AnyArray]]] = []

    def __len__(self) -> int:
        return len(self.groups)

    def where(self, mask: BoolArray) -> Grouped:
        """Some of the rows."""
        return Grouped(self.groups[mask], self.slots[mask] if len(self.slots) else NO_SLOTS)

    def present(self, stored: Stored) -> tuple[Grouped, AnyArray]:
        """The rows that are not null, with their values."""
        values, valid = stored
        if valid is None:
            return self, values
        for known, mask, found in self._present:
            if known is values and mask is valid:
                return found
        # Another column with the same mask has the same groups; they carry the counts.
        twin = next((found[0] for _, mask, found in self._present if mask is valid), None)
        if twin is self or (twin is None and valid.all()):
            found = self, values
        else:
            found = (self.where(valid) if twin is None else twin), values[valid]
        self._present.append((values, valid, found))
        return found

    def present_in_all(self, inputs: Sequence[Stored]) -> tuple[Grouped, list[AnyArray]]:
        """The rows that are null in none of several columns, with their values."""
        mask: BoolArray | None = None
        for _, valid in inputs:
            if valid is not None:
                mask = valid if mask is None else mask & valid
        if mask is None or mask.all():
            return self, [values for values, _ in inputs]
        return self.where(mask), [values[mask] for values, _ in inputs]

    def count_into(self, counts: Int64Array, sign: int) -> None:
        """Adds the number of rows of each group to `counts`, or subtracts it when `sign` is -1. O(rows)."""
        if len(self.groups) < _MANY or len(counts) > 2 * len(self.groups):
            (np.add if sign > 0 else np.subtract).at(counts, self.groups, 1)
            return
        if self._counts is None:
            self._counts = np.bincount(self.groups)
        here = counts[: len(self._counts)]
        (np.add if sign > 0 else np.subtract)(here, self._counts, out=here)
