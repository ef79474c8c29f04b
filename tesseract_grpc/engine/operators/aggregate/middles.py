"""The keys around one rank in each group: what is wanted of many rows that keep changing, when only one place is read.

The model: of each group a few distinct keys around the rank are held, with how many rows have each; and of all others
just how many rows are below them. A row that comes or leaves is compared with the two bounds, and for nearly all rows
that is all. When the rank has wandered out of what is held, or more keys have come between the bounds than there is
room for, the group is *lost*, and is made anew of all of its rows.

So a row costs two comparisons, but a group that is lost all of its rows: worthwhile for groups of some hundred to some
thousand rows (see `percentile`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array, distinct, grown

ROOM = 96
"""So many distinct keys of a group can be held; about half of them are, to begin with."""
_LEAST, _MOST = np.int64(-(2**63)), np.int64(2**63 - 1)


class Middles:
    """Some keys of each group, in order. A key that no row has is the largest there is, and behind all others."""

    __slots__ = ("_below", "_held", "_high", "_keys", "_low", "_rows", "lost")

    def __init__(self) -> None:
        self._low: Int64Array = np.zeros(0, np.int64)  # keys below it are not held
        self._high: Int64Array = np.zeros(0, np.int64)  # nor are keys above it
        self._below: Int64Array = np.zeros(0, np.int64)  # how many rows have keys below `_low`
        self._held: Int64Array = np.zeros(0, np.int64)  # and how many rows have the keys that are held
        self._keys: Int64Array = np.zeros((0, ROOM), np.int64)
        self._rows: NDArray[np.int32] = np.zeros((0, ROOM), np.int32)  # how many rows have each of the keys
        self.lost: BoolArray = np.zeros(0, np.bool_)

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups; new groups are empty, and hold all that comes. O(groups)."""
        known = len(self.lost)
        self._low, self._high = grown(self._low, capacity, int(_LEAST)), grown(self._high, capacity, int(_MOST))
        self._below, self._held = grown(self._below, capacity), grown(self._held, capacity)
        self.lost = grown(self.lost, capacity)
        keys, rows = np.full((capacity, ROOM), _MOST), np.zeros((capacity, ROOM), np.int32)
        keys[:known], rows[:known] = self._keys, self._rows
        self._keys, self._rows = keys, rows

    def clear(self, groups: Groups) -> None:
        """Makes groups empty."""
        self._low[groups], self._high[groups] = _LEAST, _MOST
        self._below[groups] = self._held[groups] = 0
        self.lost[groups] = False
        self._keys[groups], self._rows[groups] = _MOST, 0

    def build(self, groups: Groups, keys: Int64Array, share: float) -> None:
        """Makes groups anew, of the group and the key of all of their rows. O(n log n)."""
        order = groups.argsort(kind="stable")
        groups, keys = groups[order], keys[order]
        first = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
        for group, start, stop in zip(
            groups[first].tolist(), first.tolist(), [*first[1:].tolist(), len(groups)], strict=True
        ):
            self._build_one(group, np.sort(keys[start:stop]), share)

    def _build_one(self, group: int, ordered: Int64Array, share: float) -> None:
        heads = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        middle = int(heads.searchsorted(int(share * (len(ordered) - 1)), "right")) - 1
        start, stop = max(0, middle - ROOM // 4), min(len(heads), middle + ROOM // 4 + 1)
        found = stop - start
        ends = np.append(heads[1:], len(ordered))
        self._keys[group, :found], self._keys[group, found:] = ordered[heads[start:stop]], _MOST
        self._rows[group, :found], self._rows[group, found:] = (ends - heads)[start:stop], 0
        self._low[group] = ordered[heads[start]] if start else _LEAST
        self._high[group] = ordered[heads[stop - 1]] if stop < len(heads) else _MOST
        self._below[group], self._held[group] = heads[start], ends[stop - 1] - heads[start]
        self.lost[group] = False

    def change(self, groups: Groups, keys: Int64Array, sign: int) -> None:
        """Rows come, or leave when `sign` is -1. O(rows)."""
        under = keys < self._low[groups]
        (np.add if sign > 0 else np.subtract).at(self._below, groups[under], 1)
        inside = (~under & (keys <= self._high[groups]) & ~self.lost[groups]).nonzero()[0]
        if not len(inside):
            return
        groups, keys = groups[inside], keys[inside]
        (np.add if sign > 0 else np.subtract).at(self._held, groups, 1)
        order = np.lexsort((keys, groups))
        groups, keys = groups[order], keys[order]
        new = np.concatenate(([True], (groups[1:] != groups[:-1]) | (keys[1:] != keys[:-1])))
        first = new.nonzero()[0]
        times = np.diff(np.append(first, len(groups)))
        groups, keys = groups[first], keys[first]
        hit = (self._keys[groups] == keys[:, None]) & (self._rows[groups] > 0)
        known = hit.any(axis=1)
        places = hit.argmax(axis=1)
        self._rows[groups[known], places[known]] += sign * times[known]
        if sign < 0:
            assert bool(known.all()), "a row leaves that is not there"
            empty = self._rows[groups, places] == 0
            self._keys[groups[empty], places[empty]] = _MOST
            self._sort(distinct(groups[empty]))
        elif not known.all():
            self._put(groups[~known], keys[~known], times[~known])

    def _put(self, groups: Groups, keys: Int64Array, times: Int64Array) -> None:
        """Keys that are new to their groups, which ascend."""
        first = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
        counts = np.diff(np.append(first, len(groups)))
        places = np.arange(len(groups)) - first.repeat(counts) + (self._rows[groups] > 0).sum(axis=1)
        fits = places < ROOM
        self.lost[groups[~fits]] = True
        groups, places = groups[fits], places[fits]
        self._keys[groups, places], self._rows[groups, places] = keys[fits], times[fits]
        self._sort(distinct(groups))

    def _sort(self, groups: Groups) -> None:
        """Puts the keys of distinct groups in order, and those that no row has behind the others."""
        if len(groups):
            rows, keys = self._rows[groups], self._keys[groups]
            order = np.lexsort((rows == 0, keys), axis=1)
            self._keys[groups] = np.take_along_axis(keys, order, axis=1)
            self._rows[groups] = np.take_along_axis(rows, order, axis=1)

    def missing(self, groups: Groups, ranks: Int64Array, counts: Int64Array) -> BoolArray:
        """Of which groups the key at a rank, or the one behind it, is not known."""
        below = self._below[groups]
        missing: BoolArray = self.lost[groups] | (ranks < below)
        missing |= np.minimum(ranks + 1, counts - 1) - below >= self._held[groups]
        return missing

    def keys_at(self, groups: Groups, ranks: Int64Array, counts: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The keys at ranks, which are not missing, and the keys behind them (the same where there is none)."""
        upto = self._rows[groups].cumsum(axis=1, dtype=np.int32)
        each, below = np.arange(len(groups)), self._below[groups]
        places = (upto > (ranks - below).astype(np.int32)[:, None]).argmax(axis=1)
        low: Int64Array = self._keys[groups, places]
        places += upto[each, places] <= np.minimum(ranks + 1, counts - 1) - below
        high: Int64Array = self._keys[groups, places]
        return low, high

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        arrays = (self._low, self._high, self._below, self._held, self._keys, self._rows, self.lost)
        return sum(array.nbytes for array in arrays)

    def check(self, groups: Groups, rows: Groups, keys: Int64Array) -> None:
        """Proves that what is held of these groups is what their rows make: the group and the key of each row."""
        for group in groups[~self.lost[groups]].tolist():
            mine = np.sort(keys[rows == group])
            low, high = self._low[group], self._high[group]
            assert self._below[group] == np.count_nonzero(mine < low), f"group {group} counts wrong below its middle"
            values, times = np.unique(mine[(mine >= low) & (mine <= high)], return_counts=True)
            held = self._rows[group] > 0
            assert self._keys[group][held].tolist() == values.tolist(), f"group {group} holds other keys"
            assert self._rows[group][held].tolist() == times.tolist(), f"group {group} counts its keys wrong"
