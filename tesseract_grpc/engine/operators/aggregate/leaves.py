"""Leaves: short runs of rows with their keys, in one arena.

A leaf is a stretch of the arena: a key and a slot a row, in no order. Its size is a power of two, and stretches that
become free are used again by leaves of their size. A row that leaves makes a hole, whose key is the largest there is,
so that sorting a stretch puts the holes behind everything; a row that comes takes the hole that was made last, or is
put behind all others. A row is found by its slot, so taking it out searches nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array, capacity_for, grown, ragged

HOLE = np.int64(2**63 - 1)
"""The key of a hole."""
_NOBODY = -1
SMALLEST = 4
"""The size of the smallest leaf; the sizes of all are multiples of it."""
_SHIFT = 2

Ids = NDArray[np.int64]
"""Numbers of leaves."""


class Leaves:
    """Rows in leaves. With `tied`, a row has a second key, which orders rows whose first keys are equal."""

    __slots__ = (
        "_free",
        "_free_ids",
        "_owner",
        "at",
        "end",
        "fill",
        "group",
        "hole",
        "keys",
        "live",
        "slots",
        "start",
        "ties",
        "width",
    )

    def __init__(self, tied: bool) -> None:
        self.keys: Int64Array = np.empty(0, np.int64)
        self.ties: Int64Array | None = np.empty(0, np.int64) if tied else None
        self.slots: Slots = np.empty(0, np.int32)  # -1 in a hole
        self.at: NDArray[np.int32] = np.empty(0, np.int32)  # where in the arena a row is, by its slot; -1: nowhere
        self.end = 0  # of what was ever used of the arena
        self._owner: NDArray[np.int32] = np.empty(0, np.int32)  # the leaf of every SMALLEST places
        self._free: dict[int, list[int]] = {}  # starts of free stretches, by size
        self._free_ids: list[int] = []
        # By number of leaf:
        self.start: Int64Array = np.empty(0, np.int64)
        self.width: Int64Array = np.empty(0, np.int64)  # 0: there is no such leaf
        self.fill: Int64Array = np.empty(0, np.int64)  # places used, holes among them
        self.live: Int64Array = np.empty(0, np.int64)  # rows
        self.group: Int64Array = np.empty(0, np.int64)
        self.hole: Int64Array = np.empty(0, np.int64)  # the place of the row that left last; -1: it is taken again

    def make(self, groups: Int64Array, sizes: Int64Array, widths: Int64Array) -> Ids:
        """New leaves of these widths, of which `sizes` rows will be written. O(places)."""
        ids = self._new_ids(len(groups))
        starts = np.empty(len(groups), np.int64)
        for width in set(widths.tolist()):
            mine = (widths == width).nonzero()[0]
            free = self._free.get(width, [])
            again = min(len(free), len(mine))
            if again:
                starts[mine[:again]] = free[-again:]
                del free[-again:]
            fresh = len(mine) - again
            if fresh:
                starts[mine[again:]] = np.arange(fresh) * width + self._extend(fresh * width)
        self.start[ids], self.width[ids], self.group[ids] = starts, widths, groups
        self.fill[ids] = self.live[ids] = sizes
        self.hole[ids] = _NOBODY
        self._owner[ragged(starts >> _SHIFT, widths >> _SHIFT)] = ids.repeat(widths >> _SHIFT)
        return ids

    def _new_ids(self, count: int) -> Ids:
        again = min(count, len(self._free_ids))
        ids = np.empty(count, np.int64)
        if again:
            ids[:again] = self._free_ids[-again:]
            del self._free_ids[-again:]
        if count > again:
            known = len(self.start)
            for name in ("start", "width", "fill", "live", "group", "hole"):
                setattr(self, name, grown(getattr(self, name), capacity_for(known, known + count - again)))
            ids[again:] = np.arange(known, known + count - again)
            self._free_ids.extend(range(len(self.start) - 1, known + count - again - 1, -1))
        return ids

    def _extend(self, places: int) -> int:
        """So many places at the end of the arena."""
        start, self.end = self.end, self.end + places
        known = len(self.keys)
        if self.end > known:
            capacity = -(-capacity_for(known, self.end) // SMALLEST) * SMALLEST
            self.keys = grown(self.keys, capacity)
            self.keys[known:] = HOLE
            self.slots = grown(self.slots, capacity, _NOBODY)
            self._owner = grown(self._owner, capacity >> _SHIFT)
            if self.ties is not None:
                self.ties = grown(self.ties, capacity)
        return start

    def free(self, ids: Ids) -> None:
        """Leaves that are there no longer; their rows are elsewhere or gone. O(places)."""
        places = ragged(self.start[ids], self.width[ids])
        self.keys[places] = HOLE
        self.slots[places] = _NOBODY
        for start, width in zip(self.start[ids].tolist(), self.width[ids].tolist(), strict=True):
            self._free.setdefault(width, []).append(start)
        self._free_ids.extend(ids.tolist())
        self.width[ids] = self.fill[ids] = self.live[ids] = 0

    def make_room(self, slots: int) -> None:
        """Room for rows at slots up to `slots`."""
        if slots > len(self.at):
            known = len(self.at)
            self.at = grown(self.at, capacity_for(known, slots), _NOBODY)

    def write(self, places: Int64Array, keys: Int64Array, ties: Int64Array | None, slots: Slots) -> None:
        """Puts rows at places, which are empty."""
        self.keys[places] = keys
        self.slots[places] = slots
        self.at[slots] = places
        if ties is not None and self.ties is not None:
            self.ties[places] = ties

    def take_out(self, slots: Slots) -> Ids:
        """Rows leave; returns the leaf of each. O(rows)."""
        places = self.at[slots]
        assert not len(places) or int(places.min()) >= 0, "a row leaves that is not there"
        self.keys[places] = HOLE
        self.slots[places] = _NOBODY
        self.at[slots] = _NOBODY
        leaves: Ids = self._owner[places >> _SHIFT].astype(np.int64)
        np.subtract.at(self.live, leaves, 1)
        self.hole[leaves] = places
        return leaves

    def places(self, ids: Ids) -> tuple[Int64Array, Int64Array]:
        """Where the rows of leaves are, leaf by leaf, and the index into `ids` of each."""
        fill = self.fill[ids]
        places, whose = ragged(self.start[ids], fill), np.arange(len(ids)).repeat(fill)
        live = self.slots[places] >= 0
        return (places, whose) if live.all() else (places[live], whose[live])

    def leaf_at(self, places: Int64Array) -> Ids:
        """The leaves that places belong to."""
        leaves: Ids = self._owner[places >> _SHIFT].astype(np.int64)
        return leaves

    def memory_bytes(self) -> int:
        """The memory held, in bytes; what is free is counted at 36 a leaf."""
        arrays = (self.keys, self.slots, self.at, self._owner, self.start, self.width, self.fill, self.live, self.group)
        ties = 0 if self.ties is None else self.ties.nbytes
        return (
            sum(array.nbytes for array in arrays)
            + ties
            + 36 * (len(self._free_ids) + sum(map(len, self._free.values())))
        )

    def check(self) -> None:
        """Proves that places, slots and leaves name each other, and that no two leaves share a place."""
        known = self.width.nonzero()[0]
        places, whose = self.places(known)
        slots = self.slots[places]
        assert np.array_equal(self.at[slots], places), "a row is not where it is said to be"
        assert int((self.at >= 0).sum()) == len(places), "a row is nowhere"
        assert np.array_equal(self.leaf_at(places), known[whose]), "a place belongs to another leaf"
        assert np.array_equal(np.bincount(whose, minlength=len(known)), self.live[known]), "a leaf counts wrong"
        used = ragged(self.start[known], self.width[known])
        idle = [ragged(np.array(free), np.full(len(free), width)) for width, free in self._free.items() if free]
        everything = np.sort(np.concatenate((used, *idle)))
        assert np.array_equal(everything, np.arange(self.end)), "a place is in no leaf or in two"
        held = np.zeros(len(self.keys), np.bool_)
        held[places] = True
        assert bool((self.slots[~held] < 0).all()) and bool((self.keys[~held] == HOLE).all()), "a hole holds something"
