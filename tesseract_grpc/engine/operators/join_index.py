"""Which rows have which key: both sides of an equality, and the way from a key to its rows.

A side keeps the key number of each of its rows by slot. The way back, from a number to its rows, is a sorted array of
(number, slot) pairs and a smaller one of the pairs that came since; both may tell of rows that have another key by now,
because what the number by slot says decides. So moving a row to another key writes one pair, and the arrays are merged,
and what is no longer true dropped, when enough has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import NO_SLOTS, Delta, Slots, column_bit, stored_at
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.join_keys import NO_NUMBER, KeyNumbers, Numbers

Pairs = NDArray[np.int64]
"""Number << 32 | slot."""
Owners = NDArray[np.intp]
_NO_PAIRS: Pairs = np.empty(0, np.int64)
_NO_NUMBERS: Numbers = np.empty(0, np.int32)
_LEAST = 1024
"""So many pairs are kept apart at least."""


def expand(starts: AnyArray, counts: AnyArray) -> tuple[Owners, NDArray[np.int64]]:
    """The numbers start, start + 1, .. of every range in one array, and of which range each is."""
    total = int(counts.sum())
    owners = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    return owners, np.arange(total) - np.repeat(ends - counts - starts, counts)


class RowsByKey:
    """The rows of one side by key number."""

    def __init__(self) -> None:
        self.number: Numbers = np.full(64, NO_NUMBER, np.int32)
        """By slot: the number of the row's key, -1 for none and for no row."""
        self.count: NDArray[np.int32] = np.zeros(64, np.int32)
        """By number: how many rows have the key."""
        self._sorted: Pairs = _NO_PAIRS
        self._recent: Pairs = _NO_PAIRS

    def make_room(self, slots: int, numbers: int) -> None:
        """Grows to so many slots and numbers."""
        if slots > len(self.number):
            grown = np.full(slots, NO_NUMBER, np.int32)
            grown[: len(self.number)] = self.number
            self.number = grown
        if numbers > len(self.count):
            self.count = np.concatenate((self.count, np.zeros(numbers + (numbers >> 1) - len(self.count), np.int32)))

    def assign(self, slots: Slots, numbers: Numbers) -> None:
        """These distinct rows have these keys from now on, -1 for none. O(n log rows), amortised."""
        was = self.number[slots]
        np.subtract.at(self.count, was[was >= 0], 1)
        self.number[slots] = numbers
        there = (numbers >= 0).nonzero()[0]
        if not len(there):
            return
        held = numbers[there]
        np.add.at(self.count, held, 1)
        pairs = np.sort((held.astype(np.int64) << 32) | slots[there])
        pairs = pairs[~(_among(self._sorted, pairs) | _among(self._recent, pairs))]
        self._recent = _merged(self._recent, pairs)
        if len(self._recent) > _LEAST + (len(self._sorted) >> 6):
            everything = _merged(self._sorted, self._recent)
            self._sorted = everything[self.number[everything & 0xFFFFFFFF] == everything >> 32]
            self._recent = _NO_PAIRS

    def rows_of(self, numbers: Numbers) -> tuple[Owners, Slots]:
        """The rows of each of these keys, and at which index of `numbers` each stands. O(rows found)."""
        owners, slots = self._found(self._sorted, numbers)
        if len(self._recent):
            more_owners, more = self._found(self._recent, numbers)
            if len(more):
                owners, slots = np.concatenate((owners, more_owners)), np.concatenate((slots, more))
        return owners, slots

    def _found(self, pairs: Pairs, numbers: Numbers) -> tuple[Owners, Slots]:
        low = numbers.astype(np.int64) << 32
        starts = pairs.searchsorted(low)
        owners, at = expand(starts, pairs.searchsorted(low + (1 << 32)) - starts)
        slots = (pairs[at] & 0xFFFFFFFF).astype(np.int32)
        true = self.number[slots] == numbers[owners]
        return (owners, slots) if true.all() else (owners[true], slots[true])

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.number.nbytes + self.count.nbytes + self._sorted.nbytes + self._recent.nbytes

    def check(self) -> None:
        """Proves that every row is found by its key, and that the counts are right."""
        slots = (self.number >= 0).nonzero()[0].astype(np.int32)
        numbers = self.number[slots]
        counts = np.bincount(numbers, minlength=len(self.count))
        assert np.array_equal(counts, self.count), "a key has another number of rows than it is said to have"
        used = np.unique(numbers)
        owners, found = self.rows_of(used)
        assert np.array_equal(np.sort(found), slots), "a row is not found by its key, or twice"
        assert np.array_equal(used[owners], self.number[found])


def _among(pairs: Pairs, wanted: Pairs) -> NDArray[np.bool_]:
    if not len(pairs):
        return np.zeros(len(wanted), np.bool_)
    found: NDArray[np.bool_] = pairs.take(pairs.searchsorted(wanted), mode="clip") == wanted
    return found


def _merged(first: Pairs, second: Pairs) -> Pairs:
    """Both, which ascend, in one that ascends. O(n): a stable sort merges runs."""
    if not len(first) or not len(second):
        return second if not len(first) else first
    return np.sort(np.concatenate((first, second)), kind="stable")


@dataclass(slots=True)
class Moves:
    """The rows of one side that came, went, or have another key than before. -1: no key."""

    came: Slots
    went: Slots
    rekeyed: Slots
    came_to: Numbers
    went_from: Numbers
    rekeyed_from: Numbers
    rekeyed_to: Numbers

    @classmethod
    def none(cls) -> Moves:
        """Nothing has moved."""
        return cls(NO_SLOTS, NO_SLOTS, NO_SLOTS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS)

    def before(self) -> tuple[Slots, Numbers]:
        """Those that were there, and the keys that they had."""
        return np.concatenate((self.went, self.rekeyed)), np.concatenate((self.went_from, self.rekeyed_from))

    def after(self) -> tuple[Slots, Numbers]:
        """Those that are there, and the keys that they have."""
        return np.concatenate((self.came, self.rekeyed)), np.concatenate((self.came_to, self.rekeyed_to))

    def touched(self) -> Numbers:
        """The keys that had or have one of these rows, ascending."""
        numbers = np.unique(np.concatenate((self.went_from, self.rekeyed_from, self.came_to, self.rekeyed_to)))
        return numbers[numbers >= 0]


class Side:
    """One side of an equality: the rows of a relation by the number of their key."""

    def __init__(self, keys: KeyNumbers, side: int, relation: Relation, positions: Sequence[int]) -> None:
        self.relation = relation
        self.positions = tuple(positions)
        self.mask = np.uint64(sum({column_bit(position) for position in positions}))
        self.rows = RowsByKey()
        self._keys = keys
        self._side = side

    def _numbers(self, slots: Slots) -> Numbers:
        columns = self.relation.columns
        return self._keys.numbers(self._side, [stored_at(columns[position], slots) for position in self.positions])

    def fill(self, slots: Slots) -> Numbers:
        """Takes these rows as all there are; returns the numbers of their keys. O(n log n)."""
        numbers = self._numbers(slots)
        self.make_room()
        self.rows.assign(slots, numbers)
        return numbers

    def make_room(self) -> None:
        """Grows with the relation and with the keys."""
        self.rows.make_room(len(self.relation.alive), self._keys.count)

    def moves(self, change: Delta) -> Moves | None:
        """What a change of the relation means for keys; nothing is kept of it yet. None: no key is concerned."""
        rekeyed = NO_SLOTS
        if len(change.updated):
            rekeyed = change.updated[(change.changed & self.mask) != 0]
        if not len(change.inserted) and not len(change.removed) and not len(rekeyed):
            return None
        self.make_room()
        numbers = self._numbers(np.concatenate((change.inserted, rekeyed)))
        came_to, now = numbers[: len(change.inserted)], numbers[len(change.inserted) :]
        was = self.rows.number[rekeyed]
        if len(rekeyed):
            other = was != now
            rekeyed, was, now = rekeyed[other], was[other], now[other]
        return Moves(change.inserted, change.removed, rekeyed, came_to, self.rows.number[change.removed], was, now)

    def settle(self, moves: Moves) -> None:
        """Takes over what has moved."""
        self.make_room()
        slots = np.concatenate((moves.went, moves.came, moves.rekeyed))
        gone = np.full(len(moves.went), NO_NUMBER, np.int32)
        self.rows.assign(slots, np.concatenate((gone, moves.came_to, moves.rekeyed_to)))


class JoinIndex:
    """Both sides of an equality of columns, pair by pair."""

    def __init__(self, left: Relation, right: Relation, on: Sequence[tuple[int, int]]) -> None:
        mine, theirs = [pair[0] for pair in on], [pair[1] for pair in on]
        self.keys = KeyNumbers([left.columns[p] for p in mine], [right.columns[p] for p in theirs])
        self.left = Side(self.keys, 0, left, mine)
        self.right = Side(self.keys, 1, right, theirs)

    def make_room(self) -> None:
        """Grows with the relations and with the keys."""
        self.left.make_room()
        self.right.make_room()

    def give_back(self, numbers: Numbers) -> None:
        """Lets go of those of these keys, distinct ones, that no row has any more."""
        unused = numbers[(self.left.rows.count[numbers] == 0) & (self.right.rows.count[numbers] == 0)]
        self.keys.give_back(unused)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.keys.memory_bytes() + self.left.rows.memory_bytes() + self.right.rows.memory_bytes()

    def check(self) -> None:
        """Proves the invariants of both sides and of the keys."""
        self.left.rows.check()
        self.right.rows.check()
        numbers = np.concatenate((self.left.rows.number, self.right.rows.number))
        self.keys.check(np.unique(numbers[numbers >= 0]))
