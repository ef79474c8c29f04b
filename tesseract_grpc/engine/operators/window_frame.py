"""Stretches of partitions: what a window function looks at to know some of its results.

A commit changes a stretch of a partition: before it the same rows stand as before, and after it too. From that follows
for each function which results can differ (its *wanted* rows) and which rows decide them (its *frame*, which begins
earlier or ends later). Stretches of many partitions are worked on at once, one after the other in the same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array

NOWHERE = 2**63 - 1
"""A place after all places."""


@dataclass(slots=True)
class Stretches:
    """One stretch each of distinct partitions, which ascend: where it begins, and one past its last row."""

    parts: Int64Array
    begins: Int64Array
    ends: Int64Array
    grew: NDArray[np.bool_]  # whether the partition has become longer or shorter, so that all after the stretch shifted

    def __len__(self) -> int:
        return len(self.parts)

    def take(self, some: NDArray[np.intp]) -> Stretches:
        """Some of the stretches."""
        return Stretches(self.parts[some], self.begins[some], self.ends[some], self.grew[some])

    def with_rows(self, parts: Int64Array, places: Int64Array) -> Stretches:
        """These stretches, made longer by rows in other places or in other partitions."""
        if not len(parts):
            return self
        every, at = np.unique(np.concatenate((self.parts, parts)), return_inverse=True)
        begins = np.full(len(every), NOWHERE)
        ends = np.zeros(len(every), np.int64)
        grew = np.zeros(len(every), np.bool_)
        np.minimum.at(begins, at, np.concatenate((self.begins, places)))
        np.maximum.at(ends, at, np.concatenate((self.ends, places + 1)))
        grew[at[: len(self)]] = self.grew
        return Stretches(every, begins, ends, grew)


NO_STRETCHES = Stretches(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))


@dataclass(slots=True)
class Frame:
    """The rows of some stretches, in order, one stretch after the other."""

    slots: Slots
    heads: Int64Array  # for each row: at which index its stretch begins
    tails: Int64Array  # for each row: one past the last index of its stretch
    places: Int64Array  # for each row: its place in its partition, from 0
    wanted: Int64Array | slice  # the rows whose results are wanted

    def __len__(self) -> int:
        return len(self.slots)


def spans(starts: Int64Array, counts: Int64Array) -> Int64Array:
    """The numbers from each start on, `counts` of them, one run after the other.

    >>> spans(np.array([5, 0]), np.array([3, 2])).tolist()
    [5, 6, 7, 0, 1]
    """
    if len(starts) == 1:
        return np.arange(starts[0], starts[0] + counts[0])
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
