"""The leaves of each group in order: which leaf a key belongs to.

A group's leaves are one *run*: their numbers and, for each, a lower bound of its keys, the first being below
everything. Runs are stretches of two arrays, with room for a power of two; a run that outgrows its room moves.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.operators.aggregate.arrays import (
    Groups,
    Int64Array,
    capacity_for,
    grown,
    powers_of_two,
    ragged,
)
from tesseract_grpc.engine.operators.aggregate.leaves import Ids

BELOW = np.int64(-(2**63))
"""A lower bound of every key."""


class Runs:
    """The leaves of groups. With `tied`, bounds have a second word, which decides among equal first ones."""

    __slots__ = ("_end", "_free", "_room", "first", "leaf", "length", "low", "low_tie")

    def __init__(self, tied: bool) -> None:
        self.leaf: Ids = np.empty(0, np.int64)
        self.low: Int64Array = np.empty(0, np.int64)
        self.low_tie: Int64Array | None = np.empty(0, np.int64) if tied else None
        self._end = 0
        self._free: dict[int, list[int]] = {}
        # By group:
        self.first: Int64Array = np.empty(0, np.int64)
        self.length: Int64Array = np.empty(0, np.int64)
        self._room: Int64Array = np.empty(0, np.int64)

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self.first, self.length, self._room = (grown(a, capacity) for a in (self.first, self.length, self._room))

    def find(self, groups: Groups, keys: Int64Array, ties: Int64Array | None) -> Int64Array:
        """The place of the leaf of each key: the last one whose bound is not above it. O(n log leaves)."""
        first, length = self.first[groups], self.length[groups]
        if ties is None and len(groups) > 8 and (groups == groups[0]).all():
            start = first.item(0)
            lows = self.low[start : start + length.item(0)]
            return np.searchsorted(lows[1:], keys, "right") + start
        last = first + length - 1
        at, step = first, 1 << max(0, int(length.max()) - 1).bit_length()
        while step := step >> 1:
            ahead = at + step
            inside = ahead <= last
            np.minimum(ahead, last, out=ahead)
            bound = self.low[ahead]
            if ties is None or self.low_tie is None:
                inside &= bound <= keys
            else:
                inside &= (bound < keys) | ((bound == keys) & (self.low_tie[ahead] <= ties))
            at = np.where(inside, ahead, at)
        return at

    def places(self, groups: Groups) -> Int64Array:
        """The places of the runs of groups, one after the other."""
        return ragged(self.first[groups], self.length[groups])

    def write(
        self, groups: Groups, lengths: Int64Array, leaf: Ids, low: Int64Array, low_tie: Int64Array | None
    ) -> None:
        """Gives distinct groups these leaves, one after the other, with their bounds. O(leaves)."""
        moving = ((lengths > self._room[groups]) | (lengths * 4 < self._room[groups])).nonzero()[0]
        if len(moving):
            self._move(groups[moving], lengths[moving])
        self.length[groups] = lengths
        places = self.places(groups)
        self.leaf[places], self.low[places] = leaf, low
        if self.low_tie is not None and low_tie is not None:
            self.low_tie[places] = low_tie
        some = groups[lengths > 0]
        self.low[self.first[some]] = BELOW
        if self.low_tie is not None:
            self.low_tie[self.first[some]] = BELOW

    def _move(self, groups: Groups, lengths: Int64Array) -> None:
        """Gives the runs of these groups, which are about to be written, rooms that fit. O(groups)."""
        for first, room in zip(self.first[groups].tolist(), self._room[groups].tolist(), strict=True):
            if room:
                self._free.setdefault(room, []).append(first)
        rooms = np.where(lengths > 0, powers_of_two(np.maximum(lengths, 1)), 0)
        for room in set(rooms[rooms > 0].tolist()):
            mine = groups[rooms == room]
            free = self._free.get(room, [])
            again = min(len(free), len(mine))
            if again:
                self.first[mine[:again]] = free[-again:]
                del free[-again:]
            fresh = len(mine) - again
            if fresh:
                self.first[mine[again:]] = np.arange(fresh) * room + self._extend(fresh * room)
        self._room[groups] = rooms

    def _extend(self, places: int) -> int:
        start, self._end = self._end, self._end + places
        if self._end > len(self.leaf):
            capacity = capacity_for(len(self.leaf), self._end)
            self.leaf, self.low = grown(self.leaf, capacity), grown(self.low, capacity)
            if self.low_tie is not None:
                self.low_tie = grown(self.low_tie, capacity)
        return start

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        arrays = (self.leaf, self.low, self.first, self.length, self._room)
        ties = 0 if self.low_tie is None else self.low_tie.nbytes
        return sum(array.nbytes for array in arrays) + ties + 36 * sum(map(len, self._free.values()))

    def check(self) -> None:
        """Proves that rooms do not overlap and that bounds ascend."""
        taken = [ragged(self.first, self._room)]
        taken += [ragged(np.array(free), np.full(len(free), room)) for room, free in self._free.items() if free]
        assert np.array_equal(np.sort(np.concatenate(taken)), np.arange(self._end)), "two runs share a place"
        assert bool((self.length <= self._room).all()), "a run is longer than its room"
        for group in self.length.nonzero()[0].tolist():
            here = self.places(np.array([group]))
            assert self.low[here[0]] == BELOW, "a first leaf has a bound"
            bounds = list(zip(self.low[here].tolist(), self._ties_at(here), strict=True))
            assert bounds == sorted(bounds), "bounds do not ascend"

    def _ties_at(self, places: Int64Array) -> list[int]:
        return [0] * len(places) if self.low_tie is None else self.low_tie[places].tolist()
