"""Key numbers: one small integer for each combination of values by which rows of two relations are matched.

Both sides of an equality ask here, so rows match when their numbers are equal, whatever the types of the columns, and
what is kept a key lives in arrays. A number is given when a combination first comes on either side and is given back
when no row has it any more, so numbers do not grow with the keys that ever were.

Null equals nothing: a row with a null in any of the columns has no number. NaN equals NaN. Texts of two dictionaries
are compared through a third one, in which each text is looked up once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.key_index import KeyIndex
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.code_map import CodeMap

Numbers = NDArray[np.int32]
Words = list[NDArray[np.int64]]
NO_NUMBER = -1


class _Words:
    """How the values of one key column become integers that are equal where the values are, on one side."""

    def __init__(self, column: Column, codes: CodeMap | None) -> None:
        self._codes = codes
        self._float = column.type is DataType.FLOAT64

    def __call__(self, stored: Stored) -> NDArray[np.int64]:
        values, valid = stored
        if self._codes is not None:
            values = self._codes.take(values, valid)
        if self._float:
            return np.ascontiguousarray(values).view(np.int64)  # NaN and zero have one form each in storage
        return values.astype(np.int64, copy=False)


class KeyNumbers:
    """The numbers of keys."""

    def __init__(self, left: Sequence[Column], right: Sequence[Column]) -> None:
        """Columns are matched pair by pair; both of a pair have one type."""
        pairs = [_matched(mine, theirs) for mine, theirs in zip(left, right, strict=True)]
        self._sides = ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        self._maps = [words._codes for pair in pairs for words in pair if words._codes is not None]
        # Some room from the beginning, so that the marks below zero of the index can be read like numbers.
        self._held = [Column(ColumnSchema(f"word {index}", DataType.INT64), 64) for index in range(len(pairs))]
        self._index = KeyIndex(self._held)
        self._shared = [
            mine.dictionary if mine.dictionary is theirs.dictionary else None
            for mine, theirs in zip(left, right, strict=True)
        ]
        for dictionary in self._shared:
            if dictionary is not None:
                dictionary.holders.add(self)
        self._free: Numbers = np.empty(0, np.int32)
        self.count = 0
        """One more than the highest number that was ever given."""

    def mark_codes(self, dictionary: Dictionary, used: BoolArray) -> None:
        """Marks the texts of keys, of both sides where they share a dictionary. O(numbers)."""
        for shared, held in zip(self._shared, self._held, strict=True):
            if shared is dictionary:
                used[held.values[: self.count]] = True

    def numbers(self, side: int, stored: Sequence[Stored]) -> Numbers:
        """The number of each row's key, -1 where it has none; new keys get one. O(n) expected."""
        words = [word(values) for word, values in zip(self._sides[side], stored, strict=True)]
        total = len(words[0])
        present = np.ones(total, np.bool_)
        for _, valid in stored:
            if valid is not None:
                present &= valid
        if present.all():
            return self._numbers(words)
        found = np.full(total, NO_NUMBER, np.int32)
        found[present] = self._numbers([word[present] for word in words])
        return found

    def _numbers(self, words: Words) -> Numbers:
        found = self._index.find(words)
        missing = (found < 0).nonzero()[0]
        if len(missing):
            fresh = [word[missing] for word in words]
            first, inverse = distinct(fresh)
            given = self._give(len(first))
            for held, word in zip(self._held, fresh, strict=True):
                held.values[given] = word[first]
            self._index.add([word[first] for word in fresh], given)
            found[missing] = given[inverse]
        return found

    def _give(self, count: int) -> Numbers:
        reused = self._free[: min(count, len(self._free))]
        self._free = self._free[len(reused) :]
        start, self.count = self.count, self.count + count - len(reused)
        if self.count > len(self._held[0].values):
            for held in self._held:
                held.reserve(self.count + (self.count >> 1) + 16)
        return np.concatenate((reused, np.arange(start, self.count, dtype=np.int32)))

    def give_back(self, numbers: Numbers) -> None:
        """No row has these keys any more. They are distinct. O(n) expected."""
        if len(numbers):
            self._index.remove([held.values[numbers] for held in self._held], numbers)
            self._free = np.concatenate((self._free, numbers))

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        held = sum(held.values.nbytes for held in self._held) + sum(codes.memory_bytes() for codes in self._maps)
        return held + self._index.memory_bytes() + self._free.nbytes

    def check(self, used: AnyArray) -> None:
        """Proves that just these numbers are given. `used` ascends."""
        self._index.check(used)
        idle = np.sort(self._free)
        assert np.array_equal(np.union1d(idle, used), np.arange(self.count)), "a number is neither free nor used"
        assert len(idle) + len(used) == self.count, "a number is free and used"


def _matched(left: Column, right: Column) -> tuple[_Words, _Words]:
    mine, theirs = left.dictionary, right.dictionary
    if mine is None or theirs is None or mine is theirs or (mine.fixed and mine.texts == theirs.texts):
        return _Words(left, None), _Words(right, None)
    common = Dictionary()
    return _Words(left, CodeMap(mine, common)), _Words(right, CodeMap(theirs, common))


def distinct(words: Words) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each distinct combination stands first, by order of arrival, and which of them each row is. O(n log n)."""
    if len(words) == 1:
        first, inverse = np.unique(words[0], return_index=True, return_inverse=True)[1:]
    else:
        order = np.lexsort(words[::-1])
        differs = np.zeros(len(order), np.bool_)
        for word in words:
            ordered = word[order]
            differs[1:] |= ordered[1:] != ordered[:-1]
        group = np.cumsum(differs)
        inverse = np.empty(len(order), np.intp)
        inverse[order] = group
        first = order[np.flatnonzero(np.concatenate(([True], differs[1:])))]  # lexsort is stable
    arrival = np.argsort(first)
    rank = np.empty(len(first), np.intp)
    rank[arrival] = np.arange(len(first))
    return first[arrival], rank[inverse]
