"""Which rows have to move to turn one order of the same rows into another.

In a tree a row moves with all that hangs on it, and where it stands may change without any value of its own changing.
So moves are told from the two orders alone: the rows that keep their relative order stay, as many as possible, and all
others move. The rows that stay are a longest rising subsequence of old positions. Whole runs of rows that stood
together and still do are weighed as one, so that a subtree that moves costs as much as a row.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

Indexes = NDArray[np.intp]
_MOST_RUNS = 20_000  # beyond, nearly everything moves, and the fewest moves are not worth finding


def moved_rows(old: NDArray[np.integer]) -> Indexes:
    """Which rows move, given the old positions of all rows in their new order. O(n + runs log runs).

    >>> moved_rows(np.array([1, 2, 3, 0])).tolist()
    [3]
    """
    if not len(old):
        return np.empty(0, np.intp)
    starts = np.flatnonzero(np.concatenate(([True], np.diff(old) != 1)))
    if len(starts) == 1:
        return np.empty(0, np.intp)
    lengths = np.diff(np.append(starts, len(old)))
    firsts = old[starts]
    if len(starts) > _MOST_RUNS:
        stays = firsts >= np.maximum.accumulate(firsts)
    else:
        stays = np.zeros(len(starts), np.bool_)
        stays[_heaviest_rising(firsts.tolist(), lengths.tolist())] = True
    return np.flatnonzero(~np.repeat(stays, lengths))


def _heaviest_rising(values: list[int], weights: list[int]) -> list[int]:
    """The indexes of a rising subsequence of the greatest weight.

    `ends` holds the last values of the best subsequences so far, rising, and `totals` their weights, rising too: one
    that ends higher and weighs no more is of no use.
    """
    ends: list[int] = []
    totals: list[int] = []
    lasts: list[int] = []
    before: list[int] = []
    for index, (value, weight) in enumerate(zip(values, weights, strict=True)):
        at = bisect_left(ends, value)
        before.append(lasts[at - 1] if at else -1)
        total = weight + (totals[at - 1] if at else 0)
        stop = at
        while stop < len(ends) and totals[stop] <= total:
            stop += 1
        ends[at:stop], totals[at:stop], lasts[at:stop] = [value], [total], [index]
    chosen: list[int] = []
    index = lasts[-1]
    while index >= 0:
        chosen.append(index)
        index = before[index]
    return chosen
