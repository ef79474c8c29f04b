"""Rows in order: the first order word of each row and its slot, in two parallel arrays.

Batches replace the arrays. Single rows move within them, through memory views: reading one element of a view costs 40
nanoseconds, of an array 100, and bisecting a view costs half of `searchsorted` with a scalar, which first has to become
an array.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.order import Words
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray


class OrderedRows:
    """Slots by rising first word. Which row comes first among equal words is the caller's to know."""

    __slots__ = ("_all_slots", "_all_words", "_slot_view", "_word_view", "count")

    def __init__(self) -> None:
        self.replace(np.empty(0, np.uint64), np.empty(0, np.int32))

    def replace(self, words: Words, slots: Slots) -> None:
        """Takes these arrays; the caller gives them away."""
        self._all_words, self._all_slots = words, slots
        self.count = len(slots)
        self._word_view, self._slot_view = words.data, slots.data

    @property
    def words(self) -> Words:
        """The first words in order; a view, true until the next change."""
        return self._all_words[: self.count]

    @property
    def slots(self) -> Slots:
        """The slots in order; a view, true until the next change."""
        return self._all_slots[: self.count]

    # Batches

    def take_out(self, places: NDArray[np.intp]) -> None:
        """Removes the rows at distinct places. O(n) memory moves."""
        keep = np.ones(self.count, np.bool_)
        keep[places] = False
        left = self.count - len(places)
        self.replace(self.words[keep], self.slots[keep])
        assert self.count == left, "a row was taken out twice"

    def put_in(self, words: Words, slots: Slots, places: NDArray[np.intp]) -> None:
        """Puts rows in so that they stand at these rising places. O(n) memory moves."""
        old = np.ones(self.count + len(slots), np.bool_)
        old[places] = False
        self.replace(_merged(self.words, words, places, old), _merged(self.slots, slots, places, old))

    # Single rows

    def find(self, slot: int, word: int) -> int:
        """Where a row stands, given the first word under which it was put in. O(log n + ties)."""
        place = bisect_left(self._word_view, word, 0, self.count)
        if self._slot_view[place] != slot:
            stop = bisect_right(self._word_view, word, place, self.count)
            place += int((self._all_slots[place:stop] == slot).argmax())
        return place

    def place_for(self, slot: int, word: int) -> int:
        """Before which row a row belongs, its own old place counted; -1 where another row has the same first word."""
        place = bisect_left(self._word_view, word, 0, self.count)
        after = place + 1 if place < self.count and self._slot_view[place] == slot else place
        return -1 if after < self.count and self._word_view[after] == word else place

    def insert(self, place: int, slot: int, word: int) -> None:
        """Puts one row in. O(rows after it) memory moves."""
        count = self.count
        if count == len(self._all_words):
            capacity = count + (count >> 3) + 16
            words, slots = np.empty(capacity, np.uint64), np.empty(capacity, np.int32)
            words[:count], slots[:count] = self.words, self.slots
            self.replace(words, slots)
        self._shift(place + 1, count + 1, place)
        self.count = count + 1
        self._word_view[place] = word
        self._slot_view[place] = slot

    def delete(self, place: int) -> None:
        """Takes one row out. O(rows after it) memory moves."""
        self._shift(place, self.count - 1, place + 1)
        self.count -= 1

    def move(self, old: int, place: int, slot: int, word: int) -> int:
        """Moves one row from a place to before another, the old place counted; returns where it stands then."""
        if place > old:
            place -= 1
            self._shift(old, place, old + 1)
        elif place < old:
            self._shift(place + 1, old + 1, place)
        self._word_view[place] = word
        self._slot_view[place] = slot
        return place

    def _shift(self, start: int, stop: int, source: int) -> None:
        """Copies the rows from `source` on to the places from `start` to `stop`; they may overlap."""
        if start < stop:
            end = source + stop - start
            self._word_view[start:stop] = self._word_view[source:end]
            self._slot_view[start:stop] = self._slot_view[source:end]


def _merged(held: AnyArray, new: AnyArray, places: NDArray[np.intp], old: BoolArray) -> AnyArray:
    merged = np.empty(len(old), held.dtype)
    merged[places] = new
    merged[old] = held
    return merged
