"""Which rows have to be moved so that one order becomes another.

The rows that need not move are those of a subsequence whose places rise; the longest such leaves the fewest moves. It
is found by patience sorting (Fredman 1975) in O(n log n). For very long orders that takes too long to hold everybody
else up, and a rising subsequence that is found in one pass of array operations does: more rows are moved, the result
is the same.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.vector import BoolArray

LONG = 50_000
"""From so many rows on, the longest subsequence takes tens of milliseconds."""


def staying(ranks: NDArray[np.int64]) -> BoolArray:
    """For distinct ranks in their new order: which of them keep their place, the rest being moved around them.

    >>> staying(np.array([0, 3, 1, 2])).tolist()
    [True, False, True, True]
    """
    if len(ranks) < 2 or bool(np.all(ranks[1:] > ranks[:-1])):
        return np.ones(len(ranks), np.bool_)
    return _longest(ranks) if len(ranks) < LONG else _one_pass(ranks)


def _longest(ranks: NDArray[np.int64]) -> BoolArray:
    """The longest rising subsequence."""
    ends: list[int] = []  # the smallest last rank of a rising subsequence of each length
    last: list[int] = []  # where it stands
    before: list[int] = []  # what stands before each in the best subsequence that ends there
    for place, rank in enumerate(ranks.tolist()):
        length = bisect_left(ends, rank)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(rank)
            last.append(place)
        else:
            ends[length], last[length] = rank, place
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
