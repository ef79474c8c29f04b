"""The rows of each group in the order of a key: what stands at a rank, what is first and last, everything in order.

The model: a group's rows are cut into leaves by key, and a leaf holds its rows in no order. So a row that comes needs
only the leaf it belongs to (a binary search in the group's run of leaves), a row that leaves only its place (which
its slot tells), and a rank is found by adding up how many rows the leaves hold and then sorting the one leaf that it
falls into. Leaves are about twice the root of their group's size, so each of these steps looks at about so many
things, whether a group has ten rows or a million. All of it is done for a whole batch at once.

A leaf that is full is cut into several, one that is empty goes, one that is thin gets a smaller stretch, and a group
with far too many leaves for its rows is built anew: memory is bounded by the rows that are there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.operators.aggregate.arrays import (
    Groups,
    Int64Array,
    distinct,
    grown,
    powers_of_two,
    ragged,
    stretches,
)
from tesseract_grpc.engine.operators.aggregate.leaves import HOLE, SMALLEST, Ids, Leaves
from tesseract_grpc.engine.operators.aggregate.runs import BELOW, Runs

_THIN = 8  # a leaf is thin, and a group loose, when it has room for so many times its rows
_SORTED_WHOLE = 1 << 16  # numbers below it are sorted by counting


class RankedRows:
    """Rows by group and key. With `tied`, rows with equal keys are ordered by a second key."""

    __slots__ = ("_leaves", "_runs", "_tied", "counts")

    def __init__(self, tied: bool = False) -> None:
        self._tied = tied
        self._leaves = Leaves(tied)
        self._runs = Runs(tied)
        self.counts: Int64Array = np.empty(0, np.int64)

    def reserve(self, capacity: int) -> None:
        """Makes room for so many groups. O(groups)."""
        self.counts = grown(self.counts, capacity)
        self._runs.reserve(capacity)

    # Rows come

    def add(self, groups: Groups, slots: Slots, keys: Int64Array, ties: Int64Array | None = None) -> None:
        """Takes in rows. O(rows * root of their groups' sizes) at the most, all but always O(rows log)."""
        if not len(groups):
            return
        self._leaves.make_room(int(slots.max()) + 1)
        known = self._runs.length[groups] > 0
        np.add.at(self.counts, groups, 1)
        if not known.all():
            self._build(*_taken(~known, groups, slots, keys, ties))
            if not known.any():
                return
            groups, slots, keys, ties = _taken(known, groups, slots, keys, ties)
        self._put(groups, slots, keys, ties)

    def _build(self, groups: Groups, slots: Slots, keys: Int64Array, ties: Int64Array | None) -> None:
        """Makes the leaves of groups that have none; they are counted already. O(n log n)."""
        order = _order(groups, keys, ties)
        groups, slots, keys, ties = _taken(order, groups, slots, keys, ties)
        first = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
        sizes = np.diff(np.append(first, len(groups)))
        self._cut(groups[first], sizes, np.ones(len(first), np.int64), groups[first], (keys, ties, slots), None)

    def _put(self, groups: Groups, slots: Slots, keys: Int64Array, ties: Int64Array | None) -> None:
        """Takes in rows of groups that have leaves."""
        leaves = self._leaves
        wanted = self._runs.leaf[self._runs.find(groups, keys, ties)]
        order = wanted.argsort(kind="stable")
        wanted = wanted[order]
        first = np.flatnonzero(np.concatenate(([True], wanted[1:] != wanted[:-1])))
        ids, sizes = wanted[first], np.diff(np.append(first, len(wanted)))
        hole = leaves.hole[ids]
        holed = hole >= 0
        if holed.any():
            # The first row of a leaf takes the place of the one that left last: leaves fill up far more slowly.
            taking = order[first[holed]]
            leaves.write(hole[holed], keys[taking], None if ties is None else ties[taking], slots[taking])
            leaves.hole[ids[holed]] = -1
            leaves.live[ids[holed]] += 1
            left = np.ones(len(wanted), np.bool_)
            left[first[holed]] = False
            order, wanted = order[left], wanted[left]
            sizes -= holed
            ids, sizes = ids[sizes > 0], sizes[sizes > 0]
            first = sizes.cumsum() - sizes
        fits = leaves.fill[ids] + sizes <= leaves.width[ids]
        ranks = np.arange(len(wanted)) - first.repeat(sizes)
        each = fits.repeat(sizes)
        rows = order[each]
        places = (leaves.start[wanted] + leaves.fill[wanted] + ranks)[each]
        leaves.write(places, keys[rows], None if ties is None else ties[rows], slots[rows])
        fitting, some = ids[fits], sizes[fits]
        leaves.fill[fitting] += some
        leaves.live[fitting] += some
        if len(fitting) < len(ids):
            rows = order[~each]
            extra = (keys[rows], None if ties is None else ties[rows], slots[rows])
            self._recut(ids[~fits], extra, np.arange(int((~fits).sum())).repeat(sizes[~fits]))

    # Rows leave

    def remove(self, groups: Groups, slots: Slots) -> None:
        """Takes out rows. As `add`."""
        if not len(groups):
            return
        leaves = self._leaves
        left = leaves.take_out(slots)
        np.subtract.at(self.counts, groups, 1)
        live, width = leaves.live[left], leaves.width[left]
        thin = (live == 0) | ((live * _THIN < width) & (width > _THIN * SMALLEST))
        if thin.any():
            self._recut(distinct(left[thin]))
            self._tighten(distinct(groups[thin]))

    def clear(self, groups: Groups) -> None:
        """Makes distinct groups empty, whatever they were."""
        groups = groups[self._runs.length[groups] > 0]
        if len(groups):
            slots = self._take_apart(groups)[1]
            self._leaves.at[slots] = -1
            self.counts[groups] = 0

    def _take_apart(self, groups: Groups) -> tuple[Groups, Slots, Int64Array, Int64Array | None]:
        """Takes all rows of groups out of their leaves, which go: group, slot and keys of each."""
        leaves, runs = self._leaves, self._runs
        ids = runs.leaf[runs.places(groups)]
        places, whose = leaves.places(ids)
        rows = leaves.group[ids][whose], leaves.slots[places], leaves.keys[places]
        ties = None if leaves.ties is None else leaves.ties[places]
        leaves.free(ids)
        nothing = np.empty(0, np.int64)
        runs.write(groups, np.zeros(len(groups), np.int64), nothing, nothing, nothing)
        return *rows, ties

    def _tighten(self, groups: Groups) -> None:
        """Builds groups anew that have far too many leaves for their rows."""
        counts, lengths = self.counts[groups], self._runs.length[groups]
        loose = groups[(lengths > 2) & (lengths * _leaf_size(counts) > _THIN * counts)]
        if len(loose):
            self._build(*self._take_apart(loose))

    # Cutting

    def _recut(
        self,
        ids: Ids,
        extra: tuple[Int64Array, Int64Array | None, Slots] | None = None,
        extra_of: Int64Array | None = None,
    ) -> None:
        """Cuts distinct leaves anew, with rows that come into them (`extra_of`: into which of `ids`). O(their rows)."""
        leaves = self._leaves
        places, whose = leaves.places(ids)
        keys, slots = leaves.keys[places], leaves.slots[places]
        ties = None if leaves.ties is None else leaves.ties[places]
        if extra is not None and extra_of is not None:
            whose = np.concatenate((whose, extra_of))
            keys, slots = np.concatenate((keys, extra[0])), np.concatenate((slots, extra[2]))
            ties = None if ties is None or extra[1] is None else np.concatenate((ties, extra[1]))
        order = _order(whose, keys, ties)
        sizes = np.bincount(whose, minlength=len(ids))
        groups = leaves.group[ids]
        rows = keys[order], None if ties is None else ties[order], slots[order]
        leaves.free(ids)
        self._cut(groups, sizes, np.zeros(len(ids), np.int64), distinct(groups), rows, ids)

    def _cut(
        self,
        groups: Groups,
        sizes: Int64Array,
        least: Int64Array,
        touched: Groups,
        rows: tuple[Int64Array, Int64Array | None, Slots],
        ids: Ids | None,
    ) -> None:
        """Makes leaves of stretches of sorted rows, `sizes` of them for each of `groups`, and puts them into the runs.

        They take the place of the leaves `ids`, or are the only ones of their groups. A stretch makes at least so many.
        """
        keys, ties, slots = rows
        most = _leaf_size(self.counts[groups])
        # A quarter of a new leaf stays free.
        pieces = np.maximum(-(-sizes * 4 // (most * 3)), least)
        piece_of = np.arange(len(groups)).repeat(pieces)
        rank = np.arange(len(piece_of)) - (pieces.cumsum() - pieces)[piece_of]
        size, count = sizes[piece_of], pieces[piece_of]
        starts = rank * size // count
        lengths = (rank + 1) * size // count - starts
        widths = np.maximum(powers_of_two(np.maximum(-(-lengths * 4 // 3), 1)), SMALLEST)
        made = self._leaves.make(groups[piece_of], lengths, widths)
        self._leaves.write(ragged(self._leaves.start[made], lengths), keys, ties, slots)
        heads = lengths.cumsum() - lengths  # the first row of each piece
        low = keys[heads] if len(keys) else np.empty(0, np.int64)
        low_tie = None if ties is None else ties[heads]
        if ids is None:
            self._runs.write(touched, pieces, made, low, low_tie)
        else:
            self._replace(touched, ids, pieces, (made, low, low_tie))

    def _replace(
        self, touched: Groups, ids: Ids, pieces: Int64Array, new: tuple[Ids, Int64Array, Int64Array | None]
    ) -> None:
        """Puts new leaves in the place of the leaves `ids` (`pieces` for each) of these groups. O(their leaves)."""
        runs = self._runs
        places = runs.places(touched)
        old = runs.leaf[places]
        by_id = ids.argsort()
        found = np.searchsorted(ids, old, sorter=by_id)
        found[found == len(ids)] = 0
        found = by_id[found]
        hit = ids[found] == old
        times = np.where(hit, pieces[found], 1)
        fresh = hit.repeat(times)
        gone = found[hit]
        # Where the pieces of each leaf that goes stand among all pieces.
        source = ragged((pieces.cumsum() - pieces)[gone], pieces[gone])
        lengths = np.bincount(np.arange(len(touched)).repeat(runs.length[touched]), times, len(touched)).astype(
            np.int64
        )

        def spliced(held: Int64Array, made: Int64Array) -> Int64Array:
            column = held[places].repeat(times)
            column[fresh] = made[source]
            return column

        leaf, low = spliced(runs.leaf, new[0]), spliced(runs.low, new[1])
        # A bound stays where it was: a first piece may begin above it.
        first = np.flatnonzero(hit & (times > 0))
        at = (times.cumsum() - times)[first]
        low[at] = runs.low[places[first]]
        low_tie: Int64Array | None = None
        if runs.low_tie is not None and new[2] is not None:
            low_tie = spliced(runs.low_tie, new[2])
            low_tie[at] = runs.low_tie[places[first]]
        runs.write(touched, lengths, leaf, low, low_tie)

    # Reading

    def keys_at(self, groups: Groups, ranks: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The keys at ranks of distinct groups, and the keys behind them (the same where there is none). O(leaves)."""
        leaves, runs = self._leaves, self._runs
        counts = self.counts[groups]
        ids = runs.leaf[runs.places(groups)]
        live = leaves.live[ids]
        ends: Int64Array = live.cumsum()
        begin: Int64Array = counts.cumsum() - counts
        target = begin + ranks
        place = np.searchsorted(ends, target, "right")
        within: Int64Array = target - (ends[place] - live[place])
        low, high = self._in_leaves(ids[place], within)
        behind = (within + 1 == live[place]) & (ranks + 1 < counts)
        if behind.any():
            # The next leaf: no leaf is empty.
            high[behind] = self._in_leaves(ids[place[behind] + 1], np.zeros_like(place[behind]))[0]
        alone = ranks + 1 >= counts
        high[alone] = low[alone]
        return low, high

    def _in_leaves(self, ids: Ids, ranks: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The keys at a rank in each leaf, and the keys behind them."""
        leaves = self._leaves
        low, high = np.empty(len(ids), np.int64), np.empty(len(ids), np.int64)
        for rows, width in self._by_width(ids):
            block = stretches(leaves.keys, leaves.start[ids[rows]], width)
            block.sort(axis=1)
            each, rank = np.arange(len(rows)), ranks[rows]
            low[rows] = block[each, rank]
            high[rows] = block[each, np.minimum(rank + 1, width - 1)]
        return low, high

    def _by_width(self, ids: Ids) -> list[tuple[Int64Array, int]]:
        widths = self._leaves.width[ids]
        return [((widths == width).nonzero()[0], width) for width in sorted(set(widths.tolist()))]

    def ends(self, groups: Groups, last: bool) -> Slots:
        """The first rows of groups that have rows, or the last ones. O(root of their sizes)."""
        leaves, runs = self._leaves, self._runs
        ids = runs.leaf[runs.first[groups] + (runs.length[groups] - 1 if last else 0)]
        found = np.empty(len(groups), np.int32)
        for rows, width in self._by_width(ids):
            starts = leaves.start[ids[rows]]
            keys, slots = stretches(leaves.keys, starts, width), stretches(leaves.slots, starts, width)
            here = slots >= 0
            if last:
                keys[~here] = BELOW
                best = keys.argmax(axis=1)
            else:
                best = keys.argmin(axis=1)
            each = np.arange(len(rows))
            here &= keys == keys[each, best][:, None]
            if leaves.ties is not None:
                ties = np.where(here, stretches(leaves.ties, starts, width), BELOW if last else HOLE)
                best = ties.argmax(axis=1) if last else ties.argmin(axis=1)
            else:
                best = here.argmax(axis=1)
            found[rows] = slots[each, best]
        return found

    def first_of_last(self, groups: Groups) -> Slots:
        """Of the rows with the largest key of each group, the one with the least tie. O(leaves with that key)."""
        leaves, runs = self._leaves, self._runs
        assert leaves.ties is not None
        largest = leaves.keys[leaves.at[self.ends(groups, True)]]
        # The first leaf that may hold a row with this key: the last one whose bound is below all such rows.
        place = runs.find(groups, largest, np.full(len(groups), BELOW))
        last = runs.first[groups] + runs.length[groups] - 1
        found = np.full(len(groups), -1, np.int32)
        left = np.arange(len(groups))
        while len(left):
            ids = runs.leaf[place[left]]
            for rows, width in self._by_width(ids):
                starts = leaves.start[ids[rows]]
                slots = stretches(leaves.slots, starts, width)
                here = (stretches(leaves.keys, starts, width) == largest[left[rows]][:, None]) & (slots >= 0)
                ties = np.where(here, stretches(leaves.ties, starts, width), HOLE)
                best = ties.argmin(axis=1)
                each = np.arange(len(rows))
                hit = here[each, best]
                found[left[rows[hit]]] = slots[each, best][hit]
            left = left[found[left] < 0]
            place[left] += 1
            assert bool((place[left] <= last[left]).all()), "a group does not hold its largest key"
        return found

    def in_order(self, groups: Groups) -> tuple[Slots, Int64Array]:
        """All rows of groups in order, group by group, and how many each has. O(rows log rows)."""
        leaves, runs = self._leaves, self._runs
        ids = runs.leaf[runs.places(groups)]
        places, whose = leaves.places(ids)
        ties = None if leaves.ties is None else leaves.ties[places]
        order = _order(whose, leaves.keys[places], ties)
        return leaves.slots[places[order]], self.counts[groups]

    def rekey(
        self, keys_of: Callable[[Slots], Int64Array], ties_of: Callable[[Slots], Int64Array] | None = None
    ) -> None:
        """Gives all rows their keys anew, which must be in the order in which the old ones were. O(n)."""
        leaves, runs = self._leaves, self._runs
        places = (leaves.slots >= 0).nonzero()[0]
        keys = leaves.keys[places] = keys_of(leaves.slots[places])
        if leaves.ties is not None and ties_of is not None:
            leaves.ties[places] = ties_of(leaves.slots[places])
        owner = leaves.leaf_at(places)
        least = np.full(len(leaves.start), HOLE)
        np.minimum.at(least, owner, keys)
        known = runs.length.nonzero()[0]
        at = runs.places(known)
        runs.low[at] = least[runs.leaf[at]]
        if runs.low_tie is not None and leaves.ties is not None:
            bound = keys == least[owner]
            ties = np.full(len(leaves.start), HOLE)
            np.minimum.at(ties, owner[bound], leaves.ties[places[bound]])
            runs.low_tie[at] = ties[runs.leaf[at]]
            runs.low_tie[runs.first[known]] = BELOW
        runs.low[runs.first[known]] = BELOW

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self._leaves.memory_bytes() + self._runs.memory_bytes() + self.counts.nbytes

    def check(self) -> None:
        """Proves the invariants: leaves and runs fit, rows lie within the bounds of their leaves, none is empty."""
        leaves, runs = self._leaves, self._runs
        leaves.check()
        runs.check()
        known = runs.length.nonzero()[0]
        ids = runs.leaf[runs.places(known)]
        assert np.array_equal(np.sort(ids), leaves.width.nonzero()[0]), "a leaf is in no run or in two"
        assert np.array_equal(leaves.group[ids], known.repeat(runs.length[known])), "a leaf is of another group"
        assert bool((leaves.live[ids] > 0).all()), "a leaf is empty"
        places, whose = leaves.places(ids)
        counts = np.bincount(leaves.group[ids][whose], minlength=len(self.counts))
        assert np.array_equal(counts, self.counts), "a group counts wrong"
        at = runs.places(known)
        last = np.append(leaves.group[ids[1:]] != leaves.group[ids[:-1]], True)
        for index in range(len(ids)):
            keys = self._pairs(places[whose == index])
            if runs.low[at[index]] != BELOW or self._tied:
                assert self._bound(at[index]) <= keys[0], "a row lies below its leaf"
            if not last[index]:
                assert keys[-1] <= self._bound(at[index + 1]), "a row lies above its leaf"
        room, rows = int(leaves.width[ids].sum()), len(places)
        assert room <= 16 * _THIN * (rows + len(known)), f"{rows} rows have {room} places"

    def _pairs(self, places: Int64Array) -> list[tuple[int, int]]:
        ties = np.zeros(len(places), np.int64) if self._leaves.ties is None else self._leaves.ties[places]
        return sorted(zip(self._leaves.keys[places].tolist(), ties.tolist(), strict=True))

    def _bound(self, place: int) -> tuple[int, int]:
        tie = 0 if self._runs.low_tie is None else int(self._runs.low_tie[place])
        return int(self._runs.low[place]), tie


def _leaf_size(counts: Int64Array) -> Int64Array:
    """The most rows of a leaf of groups with so many rows: about twice the root."""
    half = (np.frexp(np.maximum(counts, 4) - 0.5)[1] + 1) >> 1
    sizes: Int64Array = np.left_shift(2, half, dtype=np.int64)
    return sizes


def _taken(
    which: np.ndarray, groups: Groups, slots: Slots, keys: Int64Array, ties: Int64Array | None
) -> tuple[Groups, Slots, Int64Array, Int64Array | None]:
    return groups[which], slots[which], keys[which], None if ties is None else ties[which]


def _order(groups: Int64Array, keys: Int64Array, ties: Int64Array | None) -> Int64Array:
    """The order by group, key and tie. O(n log n)."""
    if ties is not None:
        return np.lexsort((ties, keys, groups))
    if not len(groups) or len(groups) < 4096 or int(groups.max()) >= _SORTED_WHOLE:
        return np.lexsort((keys, groups))
    # Sorting by one key is far faster than by two, and small numbers are sorted by counting.
    by_key = keys.argsort()
    order: Int64Array = by_key[groups[by_key].astype(np.uint16).argsort(kind="stable")]
    return order
