"""Rows in order, with positions.

`OrderedRows` holds the first order word of each row and its slot. The first word finds a place by binary search in
contiguous memory; the other words are gathered from the table only where first words tie. A delta is
applied as: take the rows out that left or whose sort columns changed (found by their old words), put the rows in that
came or changed (by their new words). Both are single passes of memory moves.

Words of texts are order labels. When labels are given anew (rarely), the first words are read again; the order of
the rows that stay is the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import (
    NO_SLOTS,
    ChangeKind,
    Delta,
    Placement,
    RowChange,
    Slots,
    column_bit,
    take_stored,
)
from tesseract_grpc.engine.data.order import Words
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.operators.ordered_rows import OrderedRows
from tesseract_grpc.engine.operators.sort_words import Sorting, SortWords
from tesseract_grpc.engine.query.sort_key import SortKey

Positions = NDArray[np.int64]
_NO_ROWS: NDArray[np.intp] = np.empty(0, np.intp)
_SEARCH_LIMIT = 64  # up to so many rows are searched one by one where first words tie; more are marked in one pass


class OrderOperator:
    """The rows of a filter's result, in the order of a sort."""

    def __init__(self, table: Relation, sort: tuple[SortKey, ...]) -> None:
        self.table = table
        self.words = SortWords(table, sort)
        self.sort_mask = 0
        for position in self.words.positions:
            self.sort_mask |= column_bit(position)
        self._mask = np.uint64(self.sort_mask)
        self.rows = OrderedRows()
        self._generation = 0

    def __len__(self) -> int:
        return self.rows.count

    @property
    def slots(self) -> Slots:
        """The slots in order; a view, to be copied by whoever keeps it."""
        return self.rows.slots

    def hydrate(self, slots: Slots) -> None:
        """Takes the rows of the filter's result. O(n log n)."""
        first = self.words.first_now(slots)
        order = self.words.sorted(slots, first)
        self.rows.replace(first[order], slots[order])
        self._generation = self.words.generation

    def adopt(self, sorting: Sorting) -> None:
        """Takes rows that were sorted elsewhere, as they were when the sorting was made."""
        assert sorting.order is not None, "the sorting was not run"
        self.rows.replace(sorting.first[sorting.order], sorting.slots[sorting.order])
        self._generation = sorting.generation

    def apply(self, delta: Delta) -> Placement | None:
        """Follows a change of the filter's result; tells where rows were put, None when no row was.

        O(result) memory moves, O(delta log result) comparisons.
        """
        resorted = (delta.changed & self._mask).nonzero()[0] if self.sort_mask and len(delta.updated) else _NO_ROWS
        if self._generation != self.words.generation:
            self._relabel(delta, resorted)
        moving = delta.updated if len(resorted) == len(delta.updated) else delta.updated[resorted]
        if not len(moving):
            if len(delta.removed):
                self.rows.take_out(self._find(delta.removed, self._removed_words(delta)))
            return self._put_in(delta.inserted, 0) if len(delta.inserted) else None
        out, words = moving, self._updated_words(delta, resorted)
        if len(delta.removed):
            out = np.concatenate((delta.removed, out))
            words = np.concatenate((self._removed_words(delta), words))
        self.rows.take_out(self._find(out, words))
        return self._put_in(np.concatenate((moving, delta.inserted)) if len(delta.inserted) else moving, len(moving))

    def _removed_words(self, delta: Delta) -> Words:
        """The first words under which removed rows were put in."""
        return self.words.first(delta.removed, lambda p: delta.old_removed(self.table, p))

    def _updated_words(self, delta: Delta, rows: NDArray[np.intp]) -> Words:
        """The first words under which rows of `updated` were put in."""
        return self.words.first(delta.updated[rows], lambda p: take_stored(delta.old_updated(self.table, p), rows))

    def _find(self, slots: Slots, words: Words) -> NDArray[np.intp]:
        """Where rows stand, given the first words under which they were put in."""
        first, held = self.rows.words, self.rows.slots
        places = first.searchsorted(words)
        wrong = (held.take(places, mode="clip") != slots).nonzero()[0]
        if wrong.size > _SEARCH_LIMIT:
            return np.isin(held, slots, kind="table").nonzero()[0]
        for row in wrong.tolist():  # few: the rows whose first word others share
            start = int(places[row])
            stop = int(first.searchsorted(words[row], "right"))
            places[row] = start + int((held[start:stop] == slots[row]).argmax())
        return places

    def _put_in(self, slots: Slots, moved: int) -> Placement:
        """Puts rows in, of which the first `moved` stood in the result before."""
        first = self.words.first_now(slots)
        order = self.words.sorted(slots, first)
        slots, first = slots[order], first[order]
        count = len(slots)
        places = self._places(slots, first) + np.arange(count)
        self.rows.put_in(first, slots, places)
        if moved == count:
            return Placement(NO_SLOTS, _NO_ROWS, slots, places)
        if not moved:
            return Placement(slots, places, NO_SLOTS, _NO_ROWS)
        fresh = order >= moved
        return Placement(slots[fresh], places[fresh], slots[~fresh], places[~fresh])

    def _places(self, slots: Slots, first: Words) -> NDArray[np.intp]:
        """Before which rows new rows belong, given their first words."""
        held = self.rows.words
        low = held.searchsorted(first)
        if self.words.by_insertion or not len(held):
            return low
        tied = (held.take(low, mode="clip") == first).nonzero()[0]
        if tied.size:
            high = held.searchsorted(first[tied], "right")
            low[tied] = self.words.between(slots[tied], self.rows.slots, low[tied], high)
        return low

    def locate(self, slots: Slots) -> Positions:
        """The positions of rows that are in the result. O(k log n), O(n) when many tie."""
        if not len(slots):
            return _NO_ROWS
        self.refresh()
        if len(slots) > max(_SEARCH_LIMIT, len(self) >> 3):
            inverse = np.empty(self.table.high_water, np.int64)
            inverse[self.slots] = np.arange(len(self))
            return inverse[slots]
        words = self.words.first_now(slots)
        first, held = self.rows.words, self.rows.slots
        places = first.searchsorted(words)
        wrong = (held.take(places, mode="clip") != slots).nonzero()[0]
        if wrong.size:
            high = first.searchsorted(words[wrong], "right")
            places[wrong] = self.words.between(slots[wrong], held, places[wrong], high)
        return places.astype(np.int64, copy=False)

    def refresh(self) -> None:
        """Reads the first words again where order labels have been given anew. O(n) then, else O(1)."""
        if self._generation != self.words.generation:
            self._relabel(Delta(0), _NO_ROWS)

    def placement(self, came: Slots, moved: Slots) -> Placement:
        """Where rows of the result stand, by rising position."""
        came_places, moved_places = self.locate(came), self.locate(moved)
        first, second = came_places.argsort(), moved_places.argsort()
        return Placement(came[first], came_places[first], moved[second], moved_places[second])

    def apply_one(self, kind: ChangeKind, change: RowChange) -> int:
        """Follows the change of one row; returns where the row stands now, -1 if it did not move.

        O(log n) comparisons and memory moves between the old and the new place.
        """
        if kind is ChangeKind.UPDATED and not change.changed & self.sort_mask:
            return -1
        if self._generation != self.words.generation:
            return self._apply_as_batch(kind, change)
        slot = change.slot
        was, now = self.words.first_of_one(change)
        rows = self.rows
        if kind is ChangeKind.REMOVED:
            rows.delete(rows.find(slot, was))
            return -1
        place = rows.place_for(slot, now)
        if place < 0:
            return self._apply_as_batch(kind, change)
        if kind is ChangeKind.UPDATED:
            return rows.move(rows.find(slot, was), place, slot, now)
        rows.insert(place, slot, now)
        return place

    def _apply_as_batch(self, kind: ChangeKind, change: RowChange) -> int:
        """The same through the batch path, which compares in full: first words tie, or labels were given anew."""
        delta = RowChange(change.version, ChangeKind.UPDATED, change.slot, change.changed, change.before).to_delta(
            self.table
        )
        if kind is ChangeKind.INSERTED:
            delta = Delta(change.version, inserted=delta.updated)
        elif kind is ChangeKind.REMOVED:
            reasons = np.array([change.reason], np.uint8)
            delta = Delta(change.version, removed=delta.updated, reasons=reasons, removed_before=delta.before)
        self.apply(delta)
        return -1 if kind is ChangeKind.REMOVED else int(self.locate(np.array([change.slot], np.int32))[0])

    def _relabel(self, delta: Delta, resorted: NDArray[np.intp]) -> None:
        """Reads the first words again, old values where this delta brings new ones."""
        held = self.rows.slots
        first = self.words.first_now(held)
        gone = np.concatenate((delta.removed, delta.updated[resorted]))
        if len(gone):
            old = np.concatenate((self._removed_words(delta), self._updated_words(delta, resorted)))
            by_slot = np.argsort(gone, kind="stable")
            at = np.searchsorted(gone[by_slot], held)
            at[at == len(gone)] = 0
            known = gone[by_slot][at] == held
            first[known] = old[by_slot][at[known]]
        self.rows.replace(first, held)
        self._generation = self.words.generation

    def check(self) -> None:
        """Proves that the order is the one that sorting from scratch would give."""
        self.refresh()
        slots = self.slots
        first = self.words.first_now(slots)
        assert np.array_equal(first, self.rows.words), "a kept order word is not the row's"
        order = self.words.sorted(slots, first)
        assert np.array_equal(order, np.arange(len(self))), "the rows are out of order"
        assert bool(self.table.alive[slots].all()), "a row that is gone is in the result"
