"""Group numbers: one small integer for each combination of values that forms a group.

A number is given when a combination first comes and stays its own until its owner forgets it, so that per-group state
lives in arrays; then it is given again. Texts, enums and bools are small integers already: one such column, which is
the usual case, is an index into an array of numbers, or the number itself where both were given in the order of
arrival. Other values and combinations are looked up once per distinct one of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored, take_stored
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.schema import DataType

Numbers = NDArray[np.int64]
_Word: TypeAlias = int | None
_Key: TypeAlias = _Word | tuple[_Word, ...]

_UNKNOWN = -1
_WIDE = 1 << 62  # combinations are counted up to here
_BLOCK = 1 << 15  # rows whose temporaries stay in cache


class GroupKeys:
    """The numbers of groups by the values of the grouping columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self.count = 0  # numbers below it have been given
        self._coded = len(columns) == 1 and _is_coded(columns[0])
        self._direct: Numbers = np.full(16, _UNKNOWN, np.int64)  # for one column of codes: by code
        self._null = _UNKNOWN  # the number of null there
        self._alike = 0  # codes below it are the numbers of their groups
        self._by_key: dict[_Key, int] = {}  # else: by the words of the values
        self._free: list[int] = []
        # The values of each group, one array a column, by number.
        self._keys: list[tuple[NDArray[np.generic], NDArray[np.bool_]]] = [
            (np.zeros(16, column.values.dtype), np.ones(16, np.bool_)) for column in columns
        ]
        for column in columns:
            if column.dictionary is not None:
                column.dictionary.holders.add(self)

    def mark_codes(self, dictionary: Dictionary, used: NDArray[np.bool_]) -> None:
        """Marks the texts by which groups are known. O(numbers)."""
        for column, (held, present) in zip(self._columns, self._keys, strict=True):
            if column.dictionary is dictionary:
                used[held[: self.count][present[: self.count]].astype(np.int64)] = True

    def numbers(self, stored: Sequence[Stored], count: int, *, add: bool) -> Numbers:
        """The number of each row's group; a new combination gets one with `add`, else -1. O(n log n)."""
        if not self._columns:
            self.count = max(self.count, int(add))
            return np.zeros(count, np.int64) - (0 if self.count else 1)
        if count <= _BLOCK or len(stored) > 1:
            return self._looked_up(stored, add)
        # By one column nearly all groups come with the first block; the others only look them up.
        numbers = np.empty(count, np.int64)
        values, valid = stored[0]
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            numbers[part] = self._looked_up([(values[part], None if valid is None else valid[part])], add)
        return numbers

    def _looked_up(self, stored: Sequence[Stored], add: bool) -> Numbers:
        return self._by_code(stored[0], add) if self._coded else self._by_words(stored, add)

    # One column of codes

    def _by_code(self, stored: Stored, add: bool) -> Numbers:
        values, valid = stored
        if not len(values):
            return np.empty(0, np.int64)
        if valid is None and self._alike and int(values.max()) < self._alike:
            return values.astype(np.int64)
        dictionary = self._columns[0].dictionary
        known = 2 if dictionary is None else len(dictionary)
        if known > len(self._direct):
            grown = np.full(known + (known >> 1), _UNKNOWN, np.int64)
            grown[: len(self._direct)] = self._direct
            self._direct = grown
        if values.dtype == np.bool_:
            values = values.view(np.int8)
        numbers = self._direct.take(values, mode="wrap")
        if not add:
            numbers[values < 0] = _UNKNOWN  # a text that the column does not have
        if valid is not None:
            numbers[~valid] = self._null
        if add and int(numbers.min()) < 0:
            self._add_codes(numbers, values, valid)
        return numbers

    def _add_codes(self, numbers: Numbers, values: NDArray[np.generic], valid: NDArray[np.bool_] | None) -> None:
        """Gives numbers to the rows that have none, in the order of their arrival."""
        missing = (numbers < 0).nonzero()[0]
        codes = values[missing].astype(np.int64)
        if valid is not None:
            codes[~valid[missing]] = -1  # null
        fresh, first = _first_of_each(codes + 1, len(self._direct))
        order = np.argsort(first)
        fresh, first = fresh[order] - 1, first[order]
        given = self._give(missing[first], [(values, valid)])
        self._direct[fresh[fresh >= 0]] = given[fresh >= 0]
        if (fresh < 0).any():
            self._null = int(given[fresh < 0][0])
        if np.array_equal(fresh, given) and int(fresh.min()) == self._alike:
            # Codes and numbers are both given in the order of arrival, so they mostly are the same.
            most = int(fresh.max()) + 1
            self._alike = most if most == self._alike + len(fresh) else self._alike
        numbers[missing] = np.where(codes < 0, self._null, self._direct[codes])

    # Other values, and combinations

    def _by_words(self, stored: Sequence[Stored], add: bool) -> Numbers:
        count = len(stored[0][0])
        if not count:
            return np.empty(0, np.int64)
        joined, size = np.zeros(count, np.int64), 1
        for values, valid in stored:
            inverse, distinct = _dense(_words(values))
            if valid is not None:
                inverse, distinct = np.where(valid, inverse, distinct), distinct + 1
            if size * distinct > _WIDE:
                joined, size = _dense(joined, always=True)
            joined, size = joined * distinct + inverse, size * distinct
        fresh, first = _first_of_each(joined, size)
        if size <= 8 * count + 1024:
            place = np.empty(size, np.int64)
            place[fresh] = np.arange(len(fresh))
            inverse = place[joined]
        else:
            inverse = np.searchsorted(fresh, joined)
        keys = self._keys_of(stored, first)
        known = self._by_key
        numbers = np.array([known.get(key, _UNKNOWN) for key in keys], np.int64)
        missing = (numbers < 0).nonzero()[0]
        if add and len(missing):
            missing = missing[np.argsort(first[missing])]  # numbers in the order of arrival
            given = self._give(first[missing], stored)
            known.update(zip([keys[at] for at in missing.tolist()], given.tolist(), strict=True))
            numbers[missing] = given
        return numbers[inverse]

    def _keys_of(self, stored: Sequence[Stored], rows: NDArray[np.intp]) -> Sequence[_Key]:
        """The keys of rows in the dictionary: the word of each column, None for null."""
        columns: list[list[_Word]] = []
        for values, valid in stored:
            words: list[_Word] = _words(values[rows]).tolist()
            if valid is not None:
                words = [word if ok else None for word, ok in zip(words, valid[rows].tolist(), strict=True)]
            columns.append(words)
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    # Numbers

    def _give(self, rows: NDArray[np.intp], stored: Sequence[Stored]) -> Numbers:
        """Numbers for the combinations of these rows, free ones first, and keeps their values."""
        again = min(len(self._free), len(rows))
        given = np.empty(len(rows), np.int64)
        if again:
            given[:again] = self._free[-again:]
            del self._free[-again:]
        start, self.count = self.count, self.count + len(rows) - again
        given[again:] = np.arange(start, self.count)
        for index, (held, present) in enumerate(self._keys):
            if self.count > len(held):
                size = self.count + (self.count >> 1)
                held, present = np.resize(held, size), np.resize(present, size)
                self._keys[index] = (held, present)
            values, valid = take_stored(stored[index], rows)
            held[given] = values
            present[given] = True if valid is None else valid
        return given

    def forget(self, numbers: Numbers) -> None:
        """These distinct numbers are nobody's from now on, and may be given to other combinations. O(n)."""
        stored = self.values(numbers)
        if self._coded:
            values, valid = stored[0]
            codes = values.astype(np.int64) if valid is None else values[valid].astype(np.int64)
            self._direct[codes] = _UNKNOWN
            self._alike = int(codes.min(initial=self._alike))
            if valid is not None:
                self._null = _UNKNOWN
        else:
            for key in self._keys_of(stored, np.arange(len(numbers))):
                del self._by_key[key]
        self._free.extend(numbers.tolist())

    def values(self, numbers: Numbers) -> list[Stored]:
        """The values of the grouping columns of groups."""
        result: list[Stored] = []
        for held, present in self._keys:
            valid = present[numbers]
            result.append((held[numbers], None if valid.all() else valid))
        return result

    def memory_bytes(self) -> int:
        """The memory held, in bytes; dict entries are counted at 150 each."""
        arrays = sum(held.nbytes + present.nbytes for held, present in self._keys) + self._direct.nbytes
        return arrays + 150 * len(self._by_key) + 36 * len(self._free)


def _is_coded(column: Column) -> bool:
    return column.dictionary is not None or column.type is DataType.BOOL


def _dense(words: Numbers, always: bool = False) -> tuple[Numbers, int]:
    """Small integers that are equal where words are, and what they are below. O(n), or O(n log n) for a wide range.

    With `always`, there are as many of them as distinct words.
    """
    least, most = int(words.min()), int(words.max())
    if not always and most - least < 4 * len(words) + 1024:
        return words - least, most - least + 1
    values, inverse = np.unique(words, return_inverse=True)
    return inverse, len(values)


def _first_of_each(codes: Numbers, most: int) -> tuple[Numbers, NDArray[np.intp]]:
    """The distinct codes, ascending, and where each stands first. O(n + codes); sorting would cost far more."""
    if most > 8 * len(codes) + 1024:
        fresh, first = np.unique(codes, return_index=True)
        return fresh, first
    first = np.full(most + 1, -1, np.intp)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of equal indexes the last assignment stays
    fresh = (first >= 0).nonzero()[0]
    return fresh, first[fresh]


def _words(values: NDArray[np.generic]) -> Numbers:
    """Values as integers that are equal where the values are."""
    if values.dtype == np.float64:
        return values.view(np.int64)  # NaN and zero have one form each in storage
    return values.astype(np.int64, copy=False)
