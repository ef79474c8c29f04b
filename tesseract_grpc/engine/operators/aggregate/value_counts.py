"""How often each value is in each group.

One *entry* is one value of one group that is there, with its count. A hash table leads from group and value to the
entry: open addressing with linear probing, for a whole batch at once, in rounds that shrink fast because at most half
of the table is used. An entry knows its place, so one whose last value leaves is taken out without a
search, and the next one that passes takes the place.

Values are compared as numbers that are equal where they are (texts by their codes). For every group it is known how
many entries it has and what their numbers add up to, so that of a group with just one entry it is known which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array, capacity_for, distinct, grown

Entries = NDArray[np.int64]

_EMPTY, _GONE = np.int32(-1), np.int32(-2)
_WANTED = -3  # places wanted by row 0, 1, .. of a batch hold this and less, until it is decided who has them
_MULTIPLIER, _MIXER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_SMALLEST = 64
FEW = 32  # up to so many values are looked for one by one
_PIECE = 1 << 15
"""The most rows that are looked up at once: their temporaries stay in the cache."""


class ValueCounts:
    """The counts of values by group."""

    __slots__ = (
        "_bits", "_counts", "_end", "_free", "_free_count", "_groups", "_place", "_places", "_used", "_words",
        "distinct", "total",
    )  # fmt: skip

    def __init__(self) -> None:
        # By entry:
        self._groups: Int64Array = np.zeros(0, np.int64)
        self._words: Int64Array = np.zeros(0, np.int64)
        self._counts: Int64Array = np.zeros(0, np.int64)
        self._place: NDArray[np.int32] = np.zeros(0, np.int32)
        self._end = 0
        self._free: NDArray[np.int32] = np.zeros(16, np.int32)  # entries that can be used again, so many of them:
        self._free_count = 0
        # By place:
        self._places: NDArray[np.int32] = np.full(_SMALLEST, _EMPTY)
        self._bits = _SMALLEST.bit_length() - 1
        self._used = 0  # places that are not empty
        # By group:
        self.distinct: Int64Array = np.zeros(0, np.int64)
        self.total: Int64Array = np.zeros(0, np.int64)  # of the numbers of its entries

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self.distinct, self.total = grown(self.distinct, capacity), grown(self.total, capacity)

    # Values

    def add(self, groups: Groups, words: Int64Array) -> Entries:
        """Values come; returns the entry of each. O(rows)."""
        entries = np.empty(len(groups), np.int64)
        for start in range(0, len(groups), _PIECE):
            part = slice(start, start + _PIECE)
            entries[part] = self._found(groups[part], words[part])
            np.add.at(self._counts, entries[part], 1)  # what is not counted is not there
        return entries

    def remove(self, entries: Entries) -> None:
        """Values leave, given their entries. O(rows)."""
        np.subtract.at(self._counts, entries, 1)
        empty = entries[self._counts[entries] == 0]
        if len(empty):
            self._take_away(distinct(empty))

    def _take_away(self, empty: Entries) -> None:
        groups = self._groups[empty]
        self._places[self._place[empty]] = _GONE
        np.subtract.at(self.distinct, groups, 1)
        np.subtract.at(self.total, groups, empty)
        count = self._free_count + len(empty)
        if count > len(self._free):
            self._free = grown(self._free, capacity_for(len(self._free), count))
        self._free[self._free_count : count] = empty
        self._free_count = count

    def clear(self, groups: Groups) -> None:
        """Makes groups empty. O(1) where they are, else O(entries of all groups)."""
        full = groups[self.distinct[groups] > 0]
        if len(full):
            doomed = np.zeros(len(self.distinct), np.bool_)
            doomed[full] = True
            entries = self._counts.nonzero()[0]
            entries = entries[doomed[self._groups[entries]]]
            self._counts[entries] = 0
            self._take_away(entries)

    # The table

    def _hash(self, groups: Groups, words: Int64Array) -> Int64Array:
        hashed = words.view(np.uint64) * _MULTIPLIER
        hashed ^= hashed >> np.uint64(32)
        hashed += groups.view(np.uint64)
        hashed *= _MIXER
        hashed >>= np.uint64(64 - self._bits)
        return hashed.view(np.int64)

    def _found(self, groups: Groups, words: Int64Array) -> Entries:
        """The entries of values, made where there are none. O(rows) expected."""
        self._make_room(len(groups))
        places = self._hash(groups, words)
        found = np.empty(len(groups), np.int64)
        left: AnyArray | None = None  # which rows are not decided, None for all
        spots = np.full(len(groups), -1, np.int64)  # the first place on the way that an entry was taken from
        mask = len(self._places) - 1
        while len(places) > FEW:
            held = self._places[places]
            entries = np.maximum(held, 0)
            same = (held >= 0) & (self._groups[entries] == groups) & (self._words[entries] == words)
            gone = held == _GONE
            if gone.any():
                spots = np.where(gone & (spots < 0), places, spots)
            empty = (held == _EMPTY).nonzero()[0]
            step = np.ones(len(places), np.int64)
            if len(empty):
                # Of rows that want one place, the last one has it; the others look at it again.
                taken = (spots[empty] >= 0) & (self._places[spots[empty]] != _GONE)
                if taken.any():  # since, perhaps for the same value: they go back there
                    back, empty = empty[taken], empty[~taken]
                    places[back], spots[back], step[back] = spots[back], -1, 0
                wanted = np.where(spots[empty] < 0, places[empty], spots[empty])
                marks = (_WANTED - empty).astype(np.int32)
                self._places[wanted] = marks
                won = self._places[wanted] == marks
                rows = empty[won]
                held[rows] = self._enter(groups[rows], words[rows], wanted[won], int((spots[rows] < 0).sum()))
                same[rows] = True
                places[empty], spots[empty], step[empty] = wanted, -1, 0
            done = same.nonzero()[0]
            found[done if left is None else left[done]] = held[done]
            rest = ~same
            places, groups, words, spots = (places + step)[rest] & mask, groups[rest], words[rest], spots[rest]
            left = rest.nonzero()[0] if left is None else left[rest]
        rows = range(len(places)) if left is None else left.tolist()
        ways = zip(rows, groups.tolist(), words.tolist(), places.tolist(), spots.tolist(), strict=True)
        for row, group, word, place, spot in ways:
            found[row] = self._found_one(group, word, place, spot)
        return found

    def _found_one(self, group: int, word: int, place: int, spot: int) -> int:
        """The entry of one value, looked for from a place on, made where there is none. O(1) expected."""
        mask = len(self._places) - 1
        while (held := self._places.item(place)) != _EMPTY:
            if held >= 0 and self._words.item(held) == word and self._groups.item(held) == group:
                return held
            if held == _GONE and spot < 0:
                spot = place
            place = (place + 1) & mask
        if spot >= 0 and self._places[spot] != _GONE:
            return self._found_one(group, word, spot, -1)  # it was taken since, perhaps for the same value
        return self._enter_one(group, word, place if spot < 0 else spot, spot < 0)

    def _enter_one(self, group: int, word: int, place: int, fresh: bool) -> int:
        """The same as `_enter` for one value. O(1) amortised."""
        if self._free_count:
            self._free_count -= 1
            entry = self._free.item(self._free_count)
        else:
            entry, self._end = self._end, self._end + 1
            if self._end > len(self._counts):
                self._extend(self._end)
        self._groups[entry], self._words[entry], self._place[entry] = group, word, place
        self._places[place] = entry
        self._used += fresh
        self.distinct[group] += 1
        self.total[group] += entry
        return entry

    def _enter(self, groups: Groups, words: Int64Array, places: Int64Array, fresh: int) -> NDArray[np.int32]:
        """New entries at places, of which so many were never used."""
        count = len(groups)
        kept = max(0, self._free_count - count)
        again = self._free[kept : self._free_count].copy()
        self._free_count = kept
        start, self._end = self._end, self._end + count - len(again)
        if self._end > len(self._counts):
            self._extend(self._end)
        made: NDArray[np.int32] = np.concatenate((again, np.arange(start, self._end, dtype=np.int32)))
        self._groups[made], self._words[made], self._place[made] = groups, words, places
        self._places[places] = made
        self._used += fresh
        np.add.at(self.distinct, groups, 1)
        np.add.at(self.total, groups, made)
        return made

    def _extend(self, entries: int) -> None:
        capacity = capacity_for(len(self._counts), entries)
        self._groups, self._words = grown(self._groups, capacity), grown(self._words, capacity)
        self._counts, self._place = grown(self._counts, capacity), grown(self._place, capacity)

    def _make_room(self, more: int) -> None:
        """Room for so many more entries with half of the table empty. O(entries) now and then."""
        if not len(self._counts):
            self._extend(16)
        # A table that is being filled is left with room for what comes and goes afterwards.
        if (3 if more >= _PIECE else 2) * (self._used + more) <= len(self._places):
            return
        entries = self._counts.nonzero()[0]
        size = _SMALLEST
        while 3 * (len(entries) + more) > size:
            size <<= 1
        self._places = np.full(size, _EMPTY)
        self._bits = size.bit_length() - 1
        self._used = len(entries)
        for start in range(0, len(entries), _PIECE):
            self._put_back(entries[start : start + _PIECE])

    def _put_back(self, entries: Entries) -> None:
        """Entries that are in no place get one."""
        places = self._hash(self._groups[entries], self._words[entries])
        mask = len(self._places) - 1
        while len(entries):
            free = self._places[places] == _EMPTY
            self._places[places[free]] = entries[free]
            settled = self._places[places] == entries
            self._place[entries[settled]] = places[settled]
            entries, places = entries[~settled], (places[~settled] + 1) & mask

    # Reading

    def only_word(self, groups: Groups) -> Int64Array:
        """The value of groups that have just one."""
        words: Int64Array = self._words[self.total[groups]]
        return words

    def of_group(self, group: int) -> dict[int, int]:
        """The values of a group and their counts. O(entries of all groups)."""
        entries = ((self._counts > 0) & (self._groups == group)).nonzero()[0]
        return dict(zip(self._words[entries].tolist(), self._counts[entries].tolist(), strict=True))

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        own = (self._counts, self._free, self._groups, self._words, self._place, self._places)
        return sum(array.nbytes for array in own) + self.distinct.nbytes + self.total.nbytes

    def check(self) -> None:
        """Proves the invariants: every entry is found, none is there twice, groups know theirs."""
        assert bool((self._counts >= 0).all()), "a count is negative"
        entries = self._counts.nonzero()[0]
        held = (self._places >= 0).nonzero()[0]
        assert np.array_equal(np.sort(self._places[held]), entries), "the table holds other entries than there are"
        assert np.array_equal(self._place[self._places[held]], held), "an entry does not know its place"
        assert self._used == int(np.count_nonzero(self._places != _EMPTY)), "the number of used places is wrong"
        idle = self._free[: self._free_count]
        assert np.array_equal(np.sort(np.concatenate((entries, idle))), np.arange(self._end))
        groups, words = self._groups[entries], self._words[entries]
        assert len(set(zip(groups.tolist(), words.tolist(), strict=True))) == len(entries), "a value has two entries"
        before = len(entries), self._end
        assert np.array_equal(self._found(groups, words), entries), "a value does not lead to its entry"
        assert before == (len(self._counts.nonzero()[0]), self._end)
        total = np.zeros(len(self.total), np.int64)
        np.add.at(total, groups, entries)
        assert np.array_equal(total, self.total)
        assert np.array_equal(np.bincount(groups, minlength=len(self.distinct)), self.distinct)
