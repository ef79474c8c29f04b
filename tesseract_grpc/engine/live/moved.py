"""Which rows have to be moved so that one order becomes another.

The rows that need not move are those of a subsequence whose places rise; the longest such leaves the fewest moves. It
is found by patience sorting (Fredman 1975) in O(n log n). Rows that stood together and still do are a run, which is
weighed as one: so a subtree that moves with everything that hangs on it costs as much as a row. For orders with very
many runs that takes too long to hold everybody else up, and a rising subsequence that is found in one pass of array
operations does: more rows are moved, the result is the same.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.vector import BoolArray

LONG = 50_000
"""From so many runs on, the heaviest subsequence takes tens of milliseconds."""


def staying(ranks: NDArray[np.int64]) -> BoolArray:
    """For distinct ranks in their new order: which of them keep their place, the rest being moved around them.

    >>> staying(np.array([0, 3, 1, 2])).tolist()
    [True, False, True, True]
    """
    if len(ranks) < 2 or bool(np.all(ranks[1:] > ranks[:-1])):
        return np.ones(len(ranks), np.bool_)
    starts = np.flatnonzero(np.concatenate(([True], ranks[1:] - ranks[:-1] != 1)))
    if len(starts) >= LONG:
        return _one_pass(ranks)
    lengths = np.diff(np.append(starts, len(ranks)))
    return np.repeat(_heaviest(ranks[starts].tolist(), lengths.tolist()), lengths)


def _heaviest(ranks: list[int], weights: list[int]) -> BoolArray:
    """The rising subsequence of the greatest weight.

    What has been found so far is kept by rising last rank, and then the weights rise too: a subsequence that ends later
    and weighs no more is of no use.
    """
    ends: list[int] = []  # the last rank of each subsequence that is kept
    totals: list[int] = []  # what it weighs
    last: list[int] = []  # where it ends
    before: list[int] = []  # what stands before each run in the best subsequence that ends there
    for place, (rank, weight) in enumerate(zip(ranks, weights, strict=True)):
        at = bisect_left(ends, rank)
        before.append(last[at - 1] if at else -1)
        total = weight + (totals[at - 1] if at else 0)
        stop = at
        while stop < len(ends) and totals[stop] <= total:
            stop += 1
        ends[at:stop], totals[at:stop], last[at:stop] = [rank], [total], [place]
    kept = np.zeros(len(ranks), np.bool_)
    place = last[-1]
    while place >= 0:
        kept[place] = True
        place = before[place]
    return kept


def _one_pass(ranks: NDArray[np.int64]) -> BoolArray:
    """A rising subsequence: whoever stands above everything before it, or below everything behind it."""
    rising: BoolArray = ranks >= np.maximum.accumulate(ranks)
    falling: BoolArray = ranks <= np.minimum.accumulate(ranks[::-1])[::-1]
    return rising if np.count_nonzero(rising) >= np.count_nonzero(falling) else falling
