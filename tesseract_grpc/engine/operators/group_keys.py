"""Group numbers: one small integer for each combination of values that ever formed a group.

A number is given when a combination first comes and stays its own for good, so that per-group state lives in arrays.
Texts, enums and bools are small integers already; other values are looked up once per distinct value of a batch. One
text column, which is the usual case, needs no lookup by row at all: its codes index an array of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored, take_stored
from tesseract_grpc.engine.data.schema import DataType

Numbers = NDArray[np.int64]
_UNKNOWN = -1
_BLOCK = 1 << 15  # rows whose temporaries stay in cache


class GroupKeys:
    """The numbers of groups by the values of the grouping columns."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self.count = 0
        self._by_codes: dict[tuple[int, ...], int] = {}
        self._direct: Numbers = np.full(16, _UNKNOWN, np.int64)  # for one column: by code
        self._values: list[dict[int, int]] = [{} for _ in columns]  # for values that are no codes: value bits to code
        # The values of each group, one array a column, by number.
        self._keys: list[tuple[NDArray[np.generic], NDArray[np.bool_]]] = [
            (np.zeros(16, column.values.dtype), np.ones(16, np.bool_)) for column in columns
        ]

    def numbers(self, stored: Sequence[Stored], count: int, *, add: bool) -> Numbers:
        """The number of each row's group; a new combination gets one with `add`, else -1. O(n log n)."""
        if not self._columns:
            self.count = max(self.count, int(add))
            return np.zeros(count, np.int64) - (0 if self.count else 1)
        if len(stored) == 1:
            return self._in_blocks(stored[0], count, add)
        codes = [self._codes(index, values, add) for index, values in enumerate(stored)]
        return self._combined(codes, stored, add)

    def _in_blocks(self, stored: Stored, count: int, add: bool) -> Numbers:
        """Numbers by one column. Nearly all groups come with the first block; the others only look them up."""
        numbers = np.empty(count, np.int64)
        values, valid = stored
        for start in range(0, count, _BLOCK):
            block = (values[start : start + _BLOCK], None if valid is None else valid[start : start + _BLOCK])
            numbers[start : start + _BLOCK] = self._single(self._codes(0, block, add), (block,), add)
        return numbers

    def _codes(self, index: int, stored: Stored, add: bool) -> Numbers:
        """A small integer for each value: 0 for null, -1 for one that is not known."""
        values, valid = stored
        column = self._columns[index]
        if column.dictionary is not None or column.type is DataType.BOOL:
            codes = values.astype(np.int64) + 1
            codes[codes == 0] = _UNKNOWN  # a text that the column does not have
        else:
            distinct, inverse = np.unique(_bits(values), return_inverse=True)
            known = self._values[index]
            if add:
                fresh = [known.setdefault(value, len(known) + 1) for value in distinct.tolist()]
            else:
                fresh = [known.get(value, _UNKNOWN) for value in distinct.tolist()]
            codes = np.array(fresh, np.int64)[inverse]
        return codes if valid is None else np.where(valid, codes, 0)

    def _single(self, codes: Numbers, stored: Sequence[Stored], add: bool) -> Numbers:
        if not len(codes):
            return codes
        most = int(codes.max())
        if most >= len(self._direct):
            grown = np.full(most + (most >> 1) + 1, _UNKNOWN, np.int64)
            grown[: len(self._direct)] = self._direct
            self._direct = grown
        numbers = self._direct.take(codes, mode="wrap")
        if int(codes.min()) < 0:
            numbers[codes < 0] = _UNKNOWN
        missing = (numbers < 0).nonzero()[0]
        if add and len(missing):
            fresh, first = _first_of_each(codes[missing], most)
            order = np.argsort(first)  # numbers in the order of arrival
            given = self._give(missing[first[order]], stored)
            self._direct[fresh[order]] = given
            numbers[missing] = self._direct[codes[missing]]
        return numbers

    def _combined(self, codes: Sequence[Numbers], stored: Sequence[Stored], add: bool) -> Numbers:
        # Combine column by column into dense integers of this batch, so that nothing can overflow.
        joined = np.unique(codes[0], return_inverse=True)[1]
        for more in codes[1:]:
            values, inverse = np.unique(more, return_inverse=True)
            joined = np.unique(joined * len(values) + inverse, return_inverse=True)[1]
        first = np.unique(joined, return_index=True)[1]
        keys = list(zip(*[column[first].tolist() for column in codes], strict=True))
        known = self._by_codes
        numbers = np.array([known.get(key, _UNKNOWN) for key in keys], np.int64)
        missing = (numbers < 0).nonzero()[0]
        if add and len(missing):
            missing = missing[np.argsort(first[missing])]
            given = self._give(first[missing], stored)
            for at, number in zip(missing.tolist(), given.tolist(), strict=True):
                known[keys[at]] = number
            numbers[missing] = given
        return numbers[joined]

    def _give(self, rows: NDArray[np.intp], stored: Sequence[Stored]) -> Numbers:
        """New numbers for the combinations of these rows, and keeps their values."""
        start, self.count = self.count, self.count + len(rows)
        for index, (held, present) in enumerate(self._keys):
            if self.count > len(held):
                size = self.count + (self.count >> 1)
                held, present = np.resize(held, size), np.resize(present, size)
                self._keys[index] = (held, present)
            values, valid = take_stored(stored[index], rows)
            held[start : self.count] = values
            present[start : self.count] = True if valid is None else valid
        return np.arange(start, self.count)

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
        return arrays + 150 * (len(self._by_codes) + sum(map(len, self._values)))


def _first_of_each(codes: Numbers, most: int) -> tuple[Numbers, NDArray[np.intp]]:
    """The distinct codes, ascending, and where each stands first. O(n + codes); sorting would cost far more."""
    if most > 8 * len(codes) + 1024:
        fresh, first = np.unique(codes, return_index=True)
        return fresh, first
    first = np.full(most + 1, -1, np.intp)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)  # of equal indexes the last assignment stays
    fresh = (first >= 0).nonzero()[0]
    return fresh, first[fresh]


def _bits(values: NDArray[np.generic]) -> Numbers:
    """Numbers as integers that are equal where the numbers are."""
    if values.dtype == np.float64:
        return values.view(np.int64)  # NaN and zero have one form each in storage
    return values.astype(np.int64, copy=False)
