"""Primary key to slot: an open-addressing hash table that works on whole batches.

The table holds slots only; keys are read from the key columns, so a key costs 4 bytes times the inverse of the load
factor and nothing more (a Python dict would take about 106). Probing is linear, and a batch probes in rounds: in each
round every unresolved key looks at its next place, all at once. With a load factor of at most 0.6 the expected number
of places looked at is under two (Knuth, TAOCP 3, 6.4), and the rounds shrink geometrically.

A key is one *word* a key column: the stored value as int64 (text columns: the code). The scalar methods do the same for
one key with Python integers; `check` proves that both ways find every row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

Words = Sequence[NDArray[np.int64]]
"""The keys of a batch: one array a key column."""
Slots = NDArray[np.int32]

EMPTY, DELETED = -1, -2
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: multiplicative hashing spreads consecutive keys
_MASK64 = 2**64 - 1
_MAX_LOAD = 0.6
_SMALLEST = 1 << 10


def key_words(column: Column, stored: AnyArray) -> NDArray[np.int64]:
    """Stored values of a key column as key words."""
    del column
    if stored.dtype == np.float64:  # only what is derived is named by doubles; equal ones have equal bits
        return (stored + 0.0).view(np.int64)
    return stored.astype(np.int64, copy=False)


def _size_for(keys: int) -> int:
    """How many places so many keys get when they are given new ones."""
    size = _SMALLEST
    while keys > _MAX_LOAD * size * 0.85:
        size <<= 1
    return size


class KeyIndex:
    """Slots by primary key."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._places: NDArray[np.int32] = np.full(_SMALLEST, EMPTY, np.int32)
        self._bits = _SMALLEST.bit_length() - 1
        self._used = 0  # places that are not EMPTY, deleted ones included
        self.count = 0
        self.uses = 0  # how often rows were found by key for a query or a read

    def _hash(self, words: Words) -> NDArray[np.int64]:
        hashed = words[0].astype(np.uint64) * np.uint64(_MULTIPLIER)
        for word in words[1:]:
            hashed ^= hashed >> np.uint64(29)
            hashed += word.astype(np.uint64)
            hashed *= np.uint64(_MULTIPLIER)
        hashed >>= np.uint64(64 - self._bits)
        return hashed.astype(np.int64)

    def _hash_one(self, words: Sequence[int]) -> int:
        hashed = (words[0] & _MASK64) * _MULTIPLIER & _MASK64
        for word in words[1:]:
            hashed ^= hashed >> 29
            hashed = (hashed + word & _MASK64) * _MULTIPLIER & _MASK64
        return hashed >> (64 - self._bits)

    def _equal(self, slots: AnyArray, words: Words) -> BoolArray:
        same: BoolArray = self._columns[0].values[slots] == words[0]
        for column, word in zip(self._columns[1:], words[1:], strict=True):
            same &= column.values[slots] == word
        return same

    def find(self, words: Words) -> Slots:
        """The slot of each key, -1 where there is none. O(n) expected."""
        places = self._hash(words)
        slots = self._places[places]
        hit = slots >= 0
        hit &= self._equal(slots, words)
        found = np.where(hit, slots, np.int32(EMPTY))
        open_ = np.flatnonzero(~hit & (slots != EMPTY))
        mask = len(self._places) - 1
        while open_.size:
            next_places = (places[open_] + 1) & mask
            places[open_] = next_places
            slots = self._places[next_places]
            hit = slots >= 0
            hit &= self._equal(slots, [word[open_] for word in words])
            found[open_[hit]] = slots[hit]
            open_ = open_[~hit & (slots != EMPTY)]
        return found

    def find_one(self, words: Sequence[int]) -> int:
        """The slot of one key, or -1. O(1) expected."""
        places, columns = self._places, self._columns
        mask = len(places) - 1
        place = self._hash_one(words)
        while (slot := places.item(place)) != EMPTY:
            if slot >= 0:
                for column, word in zip(columns, words, strict=True):
                    if column.values.item(slot) != word:
                        break
                else:
                    return int(slot)
            place = (place + 1) & mask
        return EMPTY

    def reserve(self, more: int) -> None:
        """Makes room for so many more keys at once. O(places)."""
        self._grow(more)

    def add(self, words: Words, slots: Slots) -> None:
        """Adds keys. The caller guarantees that they are distinct and absent. O(n) expected, amortised."""
        count = len(slots)
        self._grow(count)
        self.count += count
        places = self._hash(words)
        mask = len(self._places) - 1
        taken_empty = 0
        while count:
            held = self._places[places]
            free = held < 0
            wanted, wanting = places[free], slots[free]
            before = self._places[wanted]
            self._places[wanted] = wanting
            # Two keys may have wanted one place: the last writer has it, the others go on.
            won = self._places[wanted] == wanting
            taken_empty += int(np.count_nonzero(before[won] == EMPTY))
            lost = np.ones(count, np.bool_)
            lost[np.flatnonzero(free)[won]] = False
            places = (places[lost] + 1) & mask
            slots = slots[lost]
            count = len(slots)
        self._used += taken_empty

    def add_one(self, words: Sequence[int], slot: int) -> None:
        """Adds one key, which the caller guarantees to be absent. O(1) expected, amortised."""
        self._grow(1)
        self.count += 1
        places = self._places
        mask = len(places) - 1
        place = self._hash_one(words)
        while (held := places.item(place)) >= 0:
            place = (place + 1) & mask
        self._used += held == EMPTY
        places[place] = slot

    def remove(self, words: Words, slots: Slots) -> None:
        """Removes keys, which the caller guarantees to be present at `slots`. O(n) expected."""
        places = self._hash(words)
        mask = len(self._places) - 1
        open_ = np.arange(len(slots))
        while open_.size:
            here = places[open_]
            hit = self._places[here] == slots[open_]
            self._places[here[hit]] = DELETED
            open_ = open_[~hit]
            places[open_] = (places[open_] + 1) & mask
        self.count -= len(slots)

    def remove_one(self, words: Sequence[int], slot: int) -> None:
        """Removes one key, which the caller guarantees to be present at `slot`. O(1) expected."""
        places = self._places
        mask = len(places) - 1
        place = self._hash_one(words)
        while places.item(place) != slot:
            place = (place + 1) & mask
        places[place] = DELETED
        self.count -= 1

    def _grow(self, more: int) -> None:
        """Makes room for `more` keys, dropping deleted places on the way."""
        if self._used + more <= _MAX_LOAD * len(self._places):
            return
        slots = self._places[self._places >= 0]
        size = _size_for(len(slots) + more)
        self._places = np.full(size, EMPTY, np.int32)
        self._bits = size.bit_length() - 1
        self._used = self.count = 0
        # In pieces: the temporaries of one piece stay in cache, and memory does not peak at the largest moment.
        for start in range(0, len(slots), 1 << 16):
            piece = slots[start : start + (1 << 16)]
            self.add([key_words(column, column.values[piece]) for column in self._columns], piece)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self._places.nbytes

    def growth(self, more: int) -> int:
        """The bytes by which so many more keys would make it grow. O(1)."""
        if self._used + more <= _MAX_LOAD * len(self._places):
            return 0
        return max(0, 4 * _size_for(self.count + more) - self._places.nbytes)

    def check(self, live: AnyArray) -> None:
        """Proves that exactly the slots in `live` are held, and that each is found by its key both ways."""
        held = np.sort(self._places[self._places >= 0])
        assert self.count == len(live) == len(held), f"{self.count} keys counted, {len(held)} held, {len(live)} rows"
        assert np.array_equal(held, np.sort(live)), "the key index holds other slots than the table"
        assert self._used == int(np.count_nonzero(self._places != EMPTY)), "the number of used places is wrong"
        words = [key_words(column, column.values[live]) for column in self._columns]
        assert np.array_equal(self.find(words), live), "a key does not lead to its row"
        for row in range(min(8, len(live))):
            assert self.find_one([int(word[row]) for word in words]) == live[row], "the scalar path finds another row"
