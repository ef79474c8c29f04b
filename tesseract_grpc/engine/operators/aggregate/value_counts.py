"""How often each value is in each group.

One *entry* is one value of one group that is there, with its count; a hash index leads from group and value to it.
Values are compared as numbers that are equal where they are (texts by their codes). For every group it is known how
many entries it has and what their numbers add up to, so that of a group with just one entry it is known which.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.key_index import KeyIndex
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array, capacity_for, grown

_PIECE = 1 << 16
"""The most rows whose values are sorted at once: their temporaries stay in the cache."""


class ValueCounts:
    """The counts of values by group."""

    __slots__ = ("_counts", "_end", "_free", "_free_count", "_groups", "_index", "_words", "distinct", "total")

    def __init__(self) -> None:
        self._groups = Column(ColumnSchema("group", DataType.INT64))
        self._words = Column(ColumnSchema("value", DataType.INT64))
        self._counts: Int64Array = np.zeros(0, np.int64)
        self._index = KeyIndex([self._groups, self._words])
        self._end = 0
        self._free: Slots = np.zeros(16, np.int32)  # entries that can be used again, so many of them:
        self._free_count = 0
        # By group:
        self.distinct: Int64Array = np.zeros(0, np.int64)
        self.total: Int64Array = np.zeros(0, np.int64)  # of the numbers of its entries
        self._extend(16)

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self.distinct, self.total = grown(self.distinct, capacity), grown(self.total, capacity)

    def _extend(self, entries: int) -> None:
        capacity = capacity_for(len(self._counts), entries)
        self._groups.reserve(capacity)
        self._words.reserve(capacity)
        self._counts = grown(self._counts, capacity)

    def put(self, groups: Groups, words: Int64Array, sign: int) -> None:
        """Values come, or leave when `sign` is -1. O(rows log rows)."""
        for start in range(0, len(groups), _PIECE):
            part = slice(start, start + _PIECE)
            self._put(groups[part], words[part], sign)

    def _put(self, groups: Groups, words: Int64Array, sign: int) -> None:
        entries = self._index.find([groups, words]).astype(np.int64)
        new = (entries < 0).nonzero()[0]
        if len(new):
            assert sign > 0, "a value leaves that is not there"
            entries[new] = self._enter(groups[new], words[new])
        (np.add if sign > 0 else np.subtract).at(self._counts, entries, 1)
        if sign < 0:
            empty = np.unique(entries[self._counts[entries] == 0])
            if len(empty):
                self._remove(empty.astype(np.int32))

    def _enter(self, groups: Groups, words: Int64Array) -> Int64Array:
        """Makes entries for these rows, which have none; a value may be there twice. Returns the entry of each row."""
        order = np.lexsort((words, groups))
        sorted_groups, sorted_words = groups[order], words[order]
        differs = np.ones(len(order), np.bool_)
        differs[1:] = (sorted_groups[1:] != sorted_groups[:-1]) | (sorted_words[1:] != sorted_words[:-1])
        own, values = sorted_groups[differs], sorted_words[differs]
        made = self._allocate(len(own))
        self._groups.values[made], self._words.values[made] = own, values
        self._index.add([own, values], made)
        np.add.at(self.distinct, own, 1)
        np.add.at(self.total, own, made)
        entries = np.empty(len(order), np.int64)
        entries[order] = made[differs.cumsum() - 1]
        return entries

    def _allocate(self, count: int) -> Slots:
        left = max(0, self._free_count - count)
        again = self._free[left : self._free_count].copy()
        self._free_count = left
        start, self._end = self._end, self._end + count - len(again)
        if self._end > len(self._counts):
            self._extend(self._end)
        return np.concatenate((again, np.arange(start, self._end, dtype=np.int32)))

    def _remove(self, entries: Slots) -> None:
        """Takes away entries whose count is zero."""
        groups, words = self._groups.values[entries], self._words.values[entries]
        self._index.remove([groups, words], entries)
        np.subtract.at(self.distinct, groups, 1)
        np.subtract.at(self.total, groups, entries)
        count = self._free_count + len(entries)
        if count > len(self._free):
            self._free = grown(self._free, capacity_for(len(self._free), count))
        self._free[self._free_count : count] = entries
        self._free_count = count

    def clear(self, groups: Groups) -> None:
        """Makes groups empty. O(1) where they are, else O(entries of all groups)."""
        full = groups[self.distinct[groups] > 0]
        if len(full):
            doomed = np.zeros(len(self.distinct), np.bool_)
            doomed[full] = True
            entries = (self._counts > 0).nonzero()[0].astype(np.int32)
            entries = entries[doomed[self._groups.values[entries]]]
            self._counts[entries] = 0
            self._remove(entries)

    def only_word(self, groups: Groups) -> Int64Array:
        """The value of groups that have just one."""
        words: Int64Array = self._words.values[self.total[groups]]
        return words

    def of_group(self, group: int) -> dict[int, int]:
        """The values of a group and their counts. O(entries of all groups)."""
        entries = ((self._counts > 0) & (self._groups.values == group)).nonzero()[0]
        return dict(zip(self._words.values[entries].tolist(), self._counts[entries].tolist(), strict=True))

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        own = (self._counts, self._free, self.distinct, self.total, self._groups.values, self._words.values)
        return sum(array.nbytes for array in own) + self._index.memory_bytes()

    def check(self) -> None:
        """Proves the invariants."""
        entries = (self._counts > 0).nonzero()[0]
        assert bool((self._counts >= 0).all()), "a count is negative"
        self._index.check(entries.astype(np.int32))
        assert np.array_equal(np.sort(np.concatenate((entries, self._free[: self._free_count]))), np.arange(self._end))
        groups = self._groups.values[entries]
        assert np.array_equal(np.bincount(groups, minlength=len(self.distinct)), self.distinct)
        total = np.zeros(len(self.total), np.int64)
        np.add.at(total, groups, entries)
        assert np.array_equal(total, self.total)
