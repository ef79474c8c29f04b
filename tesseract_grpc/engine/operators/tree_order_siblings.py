"""The rows of a tree, siblings together: by parent, then in the order of the sort.

Three parallel arrays hold each row's parent (the parent's slot, -1 for roots), its first order word and its slot. So
the children of a row are one run of the arrays, found by two binary searches, and a row is found in the run by its
first word. Sixteen bytes a row, whatever the shape of the tree.

A few rows are put in and taken out where the arrays are, by moving what stands between them; many at once make new
arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.order import Words
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

Parents = NDArray[np.int32]
Places = NDArray[np.intp]
_FEW = 32  # up to so many rows are searched, put in and taken out one by one


class SiblingRows:
    """Slots by parent and rising first word. Which row comes first among equal words is the caller's to know."""

    __slots__ = ("_parents", "_slots", "_words", "count")

    def __init__(self) -> None:
        self.replace(np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.int32))

    def replace(self, parents: Parents, words: Words, slots: Slots) -> None:
        """Takes these arrays; the caller gives them away."""
        self._parents, self._words, self._slots = parents, words, slots
        self.count = len(slots)

    @property
    def parents(self) -> Parents:
        """The parents, rising; a view, true until the next change."""
        return self._parents[: self.count]

    @property
    def words(self) -> Words:
        """The first words, rising among siblings; a view."""
        return self._words[: self.count]

    @property
    def slots(self) -> Slots:
        """The slots; a view."""
        return self._slots[: self.count]

    def children(self, parents: AnyArray) -> tuple[Places, Places]:
        """Where the children of each of these rows begin and end. O(k log n)."""
        held = self.parents
        wanted = parents.astype(np.int32, copy=False)
        return held.searchsorted(wanted), held.searchsorted(wanted, "right")

    def gather(self, low: Places, high: Places) -> Slots:
        """The slots of these runs, one run after the other."""
        return self.slots[runs(low, high - low)]

    def bisect(self, low: Places, high: Places, words: Words, *, right: bool = False) -> Places:
        """Where words belong within runs of siblings: before equal ones, or after them. O(k log n)."""
        held = self.words
        if len(words) <= _FEW:
            side = "right" if right else "left"
            found = [
                start + int(held[start:stop].searchsorted(word, side))  # type: ignore[call-overload]
                for start, stop, word in zip(low.tolist(), high.tolist(), words, strict=True)
            ]
            return np.array(found, np.intp)
        low, high = low.copy(), high.copy()
        while (undecided := low < high).any():
            middle = (low + high) >> 1
            there = held.take(middle, mode="clip")
            after = there <= words if right else there < words
            low = np.where(undecided & after, middle + 1, low)
            high = np.where(undecided & ~after, middle, high)
        return low

    def find(self, slots: Slots, parents: Parents, words: Words) -> Places:
        """Where rows stand, given the parent and the first word under which they were put in."""
        low, high = self.children(parents)
        places = self.bisect(low, high, words)
        wrong = (self.slots.take(places, mode="clip") != slots).nonzero()[0]
        if wrong.size > _FEW:
            return np.isin(self.slots, slots, kind="table").nonzero()[0]
        ends = self.bisect(places[wrong], high[wrong], words[wrong], right=True)
        for row, end in zip(wrong.tolist(), ends.tolist(), strict=True):  # few: rows whose first word siblings share
            start = int(places[row])
            places[row] = start + int((self.slots[start:end] == slots[row]).argmax())
        return places

    def take_out(self, places: Places) -> None:
        """Removes the rows at distinct places. O(n) memory moves."""
        left = self.count - len(places)
        if len(places) <= _FEW:
            self._close(np.sort(places).tolist())
        else:
            keep: BoolArray = np.ones(self.count, np.bool_)
            keep[places] = False
            self.replace(self.parents[keep], self.words[keep], self.slots[keep])
        assert self.count == left, "a row was taken out twice"

    def put_in(self, parents: Parents, words: Words, slots: Slots, places: Places) -> None:
        """Puts rows in so that they stand at these rising places. O(n) memory moves."""
        if len(places) <= _FEW:
            self._open(places.tolist())
            for held, new in ((self._parents, parents), (self._words, words), (self._slots, slots)):
                held[places] = new
            return
        old: BoolArray = np.ones(self.count + len(slots), np.bool_)
        old[places] = False
        merged: list[AnyArray] = []
        for held, new in ((self.parents, parents), (self.words, words), (self.slots, slots)):
            array = np.empty(len(old), held.dtype)
            array[places], array[old] = new, held
            merged.append(array)
        self.replace(merged[0], merged[1], merged[2])

    def _close(self, places: Sequence[int]) -> None:
        """Closes the gaps of rows at rising places."""
        if not places:
            return
        target = places[0]
        for place, end in zip(places, (*places[1:], self.count), strict=True):
            self._shift(target, place + 1, end)
            target += end - place - 1
        self.count = target

    def _open(self, places: Sequence[int]) -> None:
        """Opens gaps, so that new rows can stand at these rising places."""
        count = self.count + len(places)
        if count > len(self._slots):
            capacity = count + (count >> 3) + 16
            grown = [np.empty(capacity, held.dtype) for held in (self._parents, self._words, self._slots)]
            for array, held in zip(grown, (self.parents, self.words, self.slots), strict=True):
                array[: self.count] = held
            known = self.count
            self.replace(grown[0], grown[1], grown[2])
            self.count = known
        end = self.count
        for index in range(len(places) - 1, -1, -1):
            start = places[index] - index
            self._shift(places[index] + 1, start, end)
            end = start
        self.count = count

    def _shift(self, target: int, start: int, end: int) -> None:
        """Copies the rows from `start` to `end` to the places from `target` on; they may overlap."""
        if start < end and target != start:
            for array in (self._parents, self._words, self._slots):
                view = array.data
                view[target : target + end - start] = view[start:end]

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self._parents.nbytes + self._words.nbytes + self._slots.nbytes


def runs(low: Places, counts: Places) -> Places:
    """The numbers of all members of runs, given where they begin and how many they are."""
    total = int(counts.sum())
    if not total:
        return np.empty(0, np.intp)
    ends = np.cumsum(counts)
    return np.repeat(low - (ends - counts), counts) + np.arange(total)
