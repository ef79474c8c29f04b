"""Rows by partition, each partition in order.

The rows of a partition are slots in order, in a region of one array; a region has some room to grow, and one that is
full moves to the end of the array. A commit touches the partitions that rows enter and leave: their rows are read,
those that leave are taken out, those that enter are merged in by binary search, and the result is written back, for all
touched partitions at once. Nothing else is read. What is told of it is the stretch of each partition that changed.

No order words are kept: those of the few rows that a search meets are made when it meets them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Delta, Slots, column_bit, stored_at
from tesseract_grpc.engine.data.order import Words
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array, grown
from tesseract_grpc.engine.operators.group_keys import GroupKeys
from tesseract_grpc.engine.operators.sort_words import SortWords, before
from tesseract_grpc.engine.operators.window_frame import NO_STRETCHES, NOWHERE, Frame, Stretches, spans
from tesseract_grpc.engine.query.sort_key import SortKey

FEW = 8
"""So many rows are looked for one by one; more are looked for together."""
NEAR = 8192
"""Of so many rows order words are all made at once, where they would be made one by one."""
SLACK = 4096
"""So many places of the array may be unused before it is packed, whatever the number of rows."""


class WindowPartitions:
    """The rows of a relation that a filter keeps, by the values of some columns, in an order."""

    def __init__(self, base: Relation, by: Sequence[int], order: Sequence[SortKey]) -> None:
        self.base = base
        self.by = tuple(by)
        self.words = SortWords(base, order)
        self.keys = GroupKeys([base.columns[position] for position in self.by])
        self._by_mask = np.uint64(sum({column_bit(position) for position in self.by}))
        self._mask = self._by_mask | np.uint64(sum({column_bit(p) for p in self.words.positions}))
        self._part_of: NDArray[np.int32] = np.zeros(0, np.int32)  # by slot; not kept where all rows are one partition
        self._slots: Slots = np.empty(0, np.int32)
        self._used = 0  # how much of the array is regions
        self._starts: Int64Array = np.zeros(0, np.int64)
        self._counts: Int64Array = np.zeros(0, np.int64)
        self._room: Int64Array = np.zeros(0, np.int64)
        self._total = 0

    @property
    def mask(self) -> int:
        """The columns that decide where a row stands."""
        return int(self._mask)

    def counts(self, parts: Int64Array) -> Int64Array:
        """How many rows partitions have."""
        return self._counts[parts]

    # Hydrating

    def hydrate(self, slots: Slots) -> Stretches:
        """Takes all rows; every partition is one stretch. O(n log n)."""
        numbers = self._numbers(slots)
        self._make_room()
        if self.by:
            self._part_of[slots] = numbers
        order = self.words.sorted(slots, self.words.first_now(slots))
        if self.by:
            small = numbers.astype(np.uint16) if self.keys.count <= 1 << 16 else numbers  # sorted by radix
            order = order[np.argsort(small[order], kind="stable")]
        self._slots = slots[order]
        self._used = self._total = len(slots)
        count = np.bincount(numbers, minlength=len(self._counts)).astype(np.int64)
        self._counts, self._room = count, count.copy()
        self._starts = np.cumsum(count) - count
        parts = count.nonzero()[0]
        return Stretches(parts, np.zeros(len(parts), np.int64), count[parts], np.ones(len(parts), np.bool_))

    def _numbers(self, slots: AnyArray) -> Int64Array:
        columns = self.base.columns
        return self.keys.numbers([stored_at(columns[p], slots) for p in self.by], len(slots), add=True)

    def _make_room(self) -> None:
        if self.by and len(self.base.alive) > len(self._part_of):
            self._part_of = grown(self._part_of, len(self.base.alive))
        if self.keys.count > len(self._counts):
            capacity = max(self.keys.count, len(self._counts) + (len(self._counts) >> 1))
            self._counts, self._room, self._starts = (
                grown(array, capacity) for array in (self._counts, self._room, self._starts)
            )

    def _parts(self, slots: AnyArray) -> Int64Array:
        """The partitions in which rows are."""
        return self._part_of[slots].astype(np.int64) if self.by else np.zeros(len(slots), np.int64)

    # Following

    def follow(self, delta: Delta) -> tuple[Stretches, BoolArray]:
        """Follows a commit; returns the stretches where other rows stand, and which updated rows were put in anew."""
        moving = (delta.changed & self._mask) != 0
        if not len(delta.inserted) and not len(delta.removed) and not moving.any():
            return NO_STRETCHES, moving
        self._make_room()
        moved = delta.updated[moving]
        out = np.concatenate((delta.removed, moved))
        into = np.concatenate((delta.inserted, moved))
        went = self._parts(out)
        came = self._numbers(into)
        self._make_room()
        if self.by:
            self._part_of[into] = came
        self._total += len(into) - len(out)
        return self._exchange(out, went, into, came), moving

    def _exchange(self, out: Slots, went: Int64Array, into: Slots, came: Int64Array) -> Stretches:
        """Takes rows out of their partitions and puts rows into theirs."""
        if len(out) <= 1 and len(into) <= 1:
            part = int(came[0] if len(into) else went[0])
            fits = len(out) == 1 or self._counts[part] < self._room[part]
            if fits and (not len(out) or went[0] == part):
                return self._exchange_one(part, out, into)
        parts = np.unique(np.concatenate((went, came)))
        old = self._counts[parts]
        held = self._slots[_where(self._starts[parts], old)]
        heads = np.cumsum(old) - old
        begins, after = np.full(len(parts), NOWHERE), np.full(len(parts), NOWHERE)
        if len(out):
            gone = _find(out, held)
            at = np.searchsorted(heads, gone, "right") - 1  # an empty partition has the head of the next
            np.minimum.at(begins, at, gone - heads[at])
            np.minimum.at(after, at, old[at] - (gone - heads[at]) - 1)
            held = np.delete(held, gone)
        leaving, entering = np.searchsorted(parts, went), np.searchsorted(parts, came)
        kept = old - np.bincount(leaving, minlength=len(parts))
        new = kept + np.bincount(entering, minlength=len(parts))
        if len(into):
            order = self.words.sorted(into, self.words.first_now(into))
            order = order[np.argsort(entering[order], kind="stable")]
            into, at = into[order], entering[order]
            heads = np.cumsum(kept) - kept
            places = self._search(into, held, heads[at], heads[at] + kept[at]) + np.arange(len(into))
            held = _merged(held, into, places)
            within = places - (np.cumsum(new) - new)[at]
            np.minimum.at(begins, at, within)
            np.minimum.at(after, at, new[at] - within - 1)
        self._put(parts, new, held)
        return Stretches(parts, begins, new - after, old != new)

    def _exchange_one(self, part: int, out: Slots, into: Slots) -> Stretches:
        """The same for at most one row each way in one partition, by moving the rows between in place."""
        start, old = int(self._starts[part]), int(self._counts[part])
        held, count = self._slots[start : start + int(self._room[part])], old
        begin = after = NOWHERE
        if len(out):
            begin = int((held[:old] == out[0]).argmax())
            after = old - begin - 1
            held[begin : old - 1] = held[begin + 1 : old]
            count -= 1
        if len(into):
            place = int(self._search(into, held[:count], np.zeros(1, np.int64), np.array([count]))[0])
            held[place + 1 : count + 1] = held[place:count]
            held[place] = into[0]
            begin, after = min(begin, place), min(after, count - place)
            count += 1
        self._counts[part] = count
        self._pack_if_sparse()
        return Stretches(np.array([part]), np.array([begin]), np.array([count - after]), np.array([count != old]))

    def _search(self, slots: Slots, held: Slots, low: Int64Array, high: Int64Array) -> Int64Array:
        """Before which of `held[low:high]` rows belong, for all rows at once. O(log partition) rounds."""
        if not len(held):
            return low
        if len(slots) <= FEW and len(held) <= NEAR:
            low, high = self._narrowed(slots, held, low, high)
            if np.array_equal(low, high):
                return low
        mine = self._all_words(slots)
        while (open_ := low < high).any():
            middle = (low + high) >> 1
            theirs = self._all_words(held[np.where(open_, middle, 0)])
            after = open_ & before(theirs, mine)
            low = np.where(after, middle + 1, low)
            high = np.where(open_ & ~after, middle, high)
        return low

    def _narrowed(self, slots: Slots, held: Slots, low: Int64Array, high: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The part of `held[low:high]` whose first words are those of the rows."""
        words, mine = self.words.first_now(held), self.words.first_now(slots)
        runs = [words[start:stop] for start, stop in zip(low.tolist(), high.tolist(), strict=True)]
        below = [int(run.searchsorted(word)) for run, word in zip(runs, mine, strict=True)]
        upto = [int(run.searchsorted(word, "right")) for run, word in zip(runs, mine, strict=True)]
        return low + below, low + upto

    def _all_words(self, slots: Slots) -> list[Words]:
        return [self.words.first_now(slots), *self.words.rest(slots)]

    def _put(self, parts: Int64Array, counts: Int64Array, slots: Slots) -> None:
        """Writes the rows of partitions back, one partition after the other; those that do not fit move to the end."""
        self._counts[parts] = counts
        full = (counts > self._room[parts]).nonzero()[0]
        if len(full):
            grow = parts[full]
            room = counts[full] + (counts[full] >> 2) + 1
            self._room[grow] = room
            self._starts[grow] = self._used + np.cumsum(room) - room
            self._used += int(room.sum())
            if self._used > len(self._slots):
                self._slots = grown(self._slots, self._used + (self._used >> 3))
        self._slots[_where(self._starts[parts], counts)] = slots
        self._pack_if_sparse()

    def _pack_if_sparse(self) -> None:
        """Leaves no unused places once they are many. O(n), after as many changes."""
        if self._used <= 2 * self._total + SLACK:
            return
        self._slots = self._slots[spans(self._starts, self._counts)]
        self._room = self._counts.copy()
        self._starts = np.cumsum(self._counts) - self._counts
        self._used = len(self._slots)

    # Reading

    def places(self, slots: Slots) -> tuple[Int64Array, Int64Array]:
        """The partitions of rows, and their places in them. O(rows of these partitions)."""
        parts = self._parts(slots)
        every, at = np.unique(parts, return_inverse=True)
        counts = self._counts[every]
        held = self._slots[_where(self._starts[every], counts)]
        found = _find(slots, held)
        return parts, found - (np.cumsum(counts) - counts)[at]

    def frame(
        self, parts: Int64Array, start: Int64Array, stop: Int64Array, begins: Int64Array, ends: Int64Array
    ) -> Frame:
        """The rows from `start` to `stop` of partitions, of which those from `begins` to `ends` are wanted."""
        counts = stop - start
        tops = np.cumsum(counts)
        heads = tops - counts
        slots = self._slots[_where(self._starts[parts] + start, counts)]
        whole = np.array_equal(start, begins) and np.array_equal(stop, ends)
        wanted = slice(0, len(slots)) if whole else spans(heads + (begins - start), ends - begins)
        return Frame(slots, np.repeat(heads, counts), np.repeat(tops, counts), spans(start, counts), wanted)

    def name_of(self, slot: int) -> str:
        """What the partition of a row is called in a message: the values that its rows share."""
        columns = [self.base.columns[position] for position in self.by]
        return ", ".join(f"{column.schema.name} = {column.value(slot)!r}" for column in columns) or "all rows"

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        arrays = (self._part_of, self._slots, self._starts, self._counts, self._room)
        return sum(array.nbytes for array in arrays) + self.keys.memory_bytes()

    def check(self, slots: Slots) -> None:
        """Proves that these rows are in the partitions and in the order that making them anew would give."""
        fresh = WindowPartitions(self.base, self.by, ())
        fresh.words = self.words
        fresh.hydrate(slots)
        assert self._lists() == fresh._lists(), "the partitions are not those of the rows"
        assert self._total == len(slots), f"{self._total} rows counted, {len(slots)} there"
        assert bool((self._counts <= self._room).all()), "a partition is larger than its region"
        taken = np.sort(spans(self._starts, self._room))
        assert len(np.unique(taken)) == len(taken), "two regions overlap"
        assert not len(taken) or int(taken[-1]) < self._used <= len(self._slots), "a region ends beyond the array"
        if self.by:
            for number in self._counts.nonzero()[0].tolist():
                start, count = int(self._starts[number]), int(self._counts[number])
                assert (self._part_of[self._slots[start : start + count]] == number).all(), "a row is elsewhere"

    def _lists(self) -> list[list[int]]:
        starts, counts = self._starts.tolist(), self._counts.tolist()
        return sorted(
            self._slots[start : start + count].tolist() for start, count in zip(starts, counts, strict=True) if count
        )


def _where(starts: Int64Array, counts: Int64Array) -> Int64Array | slice:
    """Where runs of places are; a single run needs no list of them."""
    if len(starts) == 1:
        return slice(int(starts[0]), int(starts[0] + counts[0]))
    return spans(starts, counts)


def _find(slots: Slots, held: Slots) -> Int64Array:
    """Where rows stand in `held`, where each of them stands once. O(held) a row for few, O(held log rows) for more."""
    if len(slots) <= FEW:
        return np.array([int((held == slot).argmax()) for slot in slots], np.int64)
    order = np.argsort(slots)
    ordered = slots[order]
    at = np.searchsorted(ordered, held)
    at[at == len(slots)] = 0
    hits = (ordered[at] == held).nonzero()[0]
    places = np.empty(len(slots), np.int64)
    places[order[at[hits]]] = hits
    return places


def _merged(held: Slots, into: Slots, places: Int64Array) -> Slots:
    merged = np.empty(len(held) + len(into), np.int32)
    old = np.ones(len(merged), np.bool_)
    old[places] = False
    merged[places] = into
    merged[old] = held
    return merged
