"""Secondary indexes: a sorted base and a short overlay of what changed since.

The base holds the words of a column in order, with their slots; two binary searches find any value or range. Writes do
not touch the base: they append the slots that they wrote to the overlay, and a lookup returns the base's hits *and* the
whole overlay. So what an index returns is a superset of candidates, in which rows may have moved on: the
caller always evaluates the whole filter on the candidates, and an index can therefore never make a result wrong, which
also means that a rolled back commit needs no care here. When the overlay has grown to a twentieth of the base it is
merged, in one vectorised pass (the log-structured merge idea; O'Neil 1996).

A HASH index orders by stored value (for texts: the code), which answers equality; a SORTED index orders by order word,
which answers ranges and prefixes as well.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.order import MAX_WORD, Words, label_generation, order_word, order_words
from tesseract_grpc.engine.data.schema import IndexKind, IndexSchema
from tesseract_grpc.engine.data.vector import AnyArray

Slots = NDArray[np.int32]
_SMALLEST_OVERLAY = 1024


class SecondaryIndex:
    """Candidate slots by the values of one column."""

    def __init__(self, schema: IndexSchema, column: Column, position: int) -> None:
        self.schema = schema
        self.position = position
        self.lookups = 0
        self.uses = 0  # how often it was the one that brought the candidates
        self._column = column
        self._words: Words = np.empty(0, np.uint64)
        self._slots: Slots = np.empty(0, np.int32)
        self._overlay: Slots = np.empty(_SMALLEST_OVERLAY, np.int32)
        self._noted = 0
        self._generation = -1

    @property
    def sorted(self) -> bool:
        """Whether ranges can be answered."""
        return self.schema.kind is IndexKind.SORTED

    def build(self, slots: Slots) -> None:
        """Reads the rows in `slots` anew. O(n log n)."""
        column = self._column
        if column.valid is not None:
            slots = slots[column.valid[slots]]
        words = self._words_of(column.values[slots])
        order = np.argsort(words, kind="stable")
        self._words, self._slots = words[order], slots[order].astype(np.int32, copy=False)
        self._noted = 0
        self._generation = label_generation(column)

    def note(self, slots: AnyArray) -> None:
        """Rows whose value may be new. O(n) amortised."""
        noted = self._noted + len(slots)
        if noted > len(self._overlay):
            self._overlay = np.resize(self._overlay, noted + (noted >> 1))
        self._overlay[self._noted : noted] = slots
        self._noted = noted

    def note_one(self, slot: int) -> None:
        """One row whose value may be new. O(1) amortised."""
        if self._noted == len(self._overlay):
            self._overlay = np.resize(self._overlay, 2 * len(self._overlay))
        self._overlay[self._noted] = slot
        self._noted += 1

    def settle(self, alive: NDArray[np.bool_]) -> None:
        """Merges the overlay when it has grown, or builds anew after new order labels; called before lookups."""
        if self.sorted and self._generation != label_generation(self._column):
            self.build(np.flatnonzero(alive).astype(np.int32))
        elif self._noted > max(_SMALLEST_OVERLAY, len(self._slots) // 20):
            self._merge(alive)

    def _merge(self, alive: NDArray[np.bool_]) -> None:
        fresh = np.unique(self._overlay[: self._noted])
        moved = np.zeros(len(alive), np.bool_)
        moved[fresh] = True
        keep = alive[self._slots]
        keep &= ~moved[self._slots]
        base_words, base_slots = self._words[keep], self._slots[keep]
        fresh = fresh[alive[fresh]]
        if self._column.valid is not None:
            fresh = fresh[self._column.valid[fresh]]
        words = self._words_of(self._column.values[fresh])
        order = np.argsort(words, kind="stable")
        words, fresh = words[order], fresh[order]
        places = np.searchsorted(base_words, words)
        self._words = np.insert(base_words, places, words)
        self._slots = np.insert(base_slots, places, fresh)
        self._noted = 0

    def equal(self, values: Iterable[bool | int | float | str]) -> Slots:
        """Candidates for rows that hold one of the values: distinct slots, ascending. O(k log n + hits + overlay)."""
        self.lookups += 1
        wanted = np.array(sorted({self._word_of(value) for value in values}), np.uint64)
        first = np.searchsorted(self._words, wanted, "left")
        last = np.searchsorted(self._words, wanted, "right")
        pieces = [self._slots[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True) if b > a]
        return self._candidates(pieces)

    def between(self, low: bool | float | str | None, high: bool | float | str | None) -> Slots:
        """Candidates for rows between two values, both included, None for no bound. O(log n + hits + overlay)."""
        assert self.sorted, "a hash index has no ranges"
        self.lookups += 1
        first = 0 if low is None else int(np.searchsorted(self._words, np.uint64(self._word_of(low)), "left"))
        last = len(self._words)
        if high is not None:
            last = int(np.searchsorted(self._words, np.uint64(self._word_of(high)), "right"))
        return self._candidates([self._slots[first : max(first, last)]])

    def estimate_equal(self, count: int) -> int:
        """About how many candidates `count` values have, without looking: as if values were spread evenly."""
        distinct = max(1, int(np.count_nonzero(self._words[1:] != self._words[:-1])) + 1) if len(self._words) else 1
        return count * len(self._words) // distinct + self._noted

    def _candidates(self, pieces: list[Slots]) -> Slots:
        if self._noted:
            pieces.append(self._overlay[: self._noted])
        if not pieces:
            return np.empty(0, np.int32)
        return np.unique(np.concatenate(pieces))

    def _words_of(self, values: AnyArray) -> Words:
        if self.sorted or self._column.dictionary is None:
            return order_words(self._column, values)
        return values.astype(np.uint64)

    def _word_of(self, value: bool | float | str) -> int:
        if self._column.dictionary is None:
            return order_word(self._column, value)
        code = int(value)
        if code < 0:
            return MAX_WORD
        return order_word(self._column, code) if self.sorted else code

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self._words.nbytes + self._slots.nbytes + self._overlay.nbytes

    def check(self, alive: NDArray[np.bool_]) -> None:
        """Proves that no live row can be missed: each is in the base under its present word, or in the overlay."""
        assert bool(np.all(self._words[1:] >= self._words[:-1])), "the index is out of order"
        if self.sorted and self._generation != label_generation(self._column):
            return  # built anew before the next lookup
        live = np.flatnonzero(alive)
        if self._column.valid is not None:
            live = live[self._column.valid[live]]
        present = np.zeros(len(alive), np.bool_)
        present[self._overlay[: self._noted]] = True
        current = self._words == self._words_of(self._column.values[self._slots])
        present[self._slots[current]] = True
        assert bool(present[live].all()), f"the index over '{self.schema.column}' has lost a row"
