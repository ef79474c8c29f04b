"""Where rows stood before a change that has been made.

The order before is the present one without the rows that came or moved, and with those that left or moved where their
old values put them. Neither is made: a row of the present order is found by binary search, and so is the place of an
old row among those of now. So a page of the order before costs what changed since and the page, whatever the size
of the result.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Delta, Slots, Stored, join_stored, take_stored
from tesseract_grpc.engine.operators.order import OrderOperator
from tesseract_grpc.engine.operators.sort_words import sort_rows


class OrderBefore:
    """An order as it was before a net change of its rows, which has old values of all sort columns. A view: it is true
    until the order changes again."""

    def __init__(self, order: OrderOperator, change: Delta) -> None:
        """O(changes x log n)."""
        words, table = order.words, order.table
        resorted = (change.changed & np.uint64(order.sort_mask)).nonzero()[0]
        moved = change.updated[resorted]
        old = np.concatenate((change.removed, moved))

        def read(position: int) -> Stored:
            was = take_stored(change.old_updated(table, position), resorted)
            return _like(table.columns[position], join_stored(change.old_removed(table, position), was))

        first, rest = words.first(old, read), words.rest_of(read)
        order.refresh()  # asking for words may have given order labels anew, and then the first ones are no longer true
        first, rest = words.first(old, read), words.rest_of(read)
        back = sort_rows(first, None if words.by_insertion else lambda rows: [word[rows] for word in rest])
        first, rest = first[back], [word[back] for word in rest]
        held, self._held = order.rows.words, order.rows.slots
        low = held.searchsorted(first)
        if not words.by_insertion and len(held):
            tied = (held.take(low, mode="clip") == first).nonzero()[0]
            if tied.size:
                high = held.searchsorted(first[tied], "right")
                low[tied] = words.between_words([word[tied] for word in rest], self._held, low[tied], high)
        out = np.sort(order.locate(np.concatenate((change.inserted, moved))))
        self._back: Slots = old[back]
        self._places = low - out.searchsorted(low) + np.arange(len(old))  # where the old rows stood
        self._gaps = out - np.arange(len(out))  # how many of the rows that stayed stand before each that is taken out
        self.count = len(held) - len(out) + len(old)

    def page(self, start: int, stop: int) -> Slots:
        """The slots of the rows from one place to another. O(page x log changes)."""
        low, high = self._places.searchsorted((start, stop)).tolist()
        ranks = np.arange(start - low, stop - high)  # of those that stayed where they are, among themselves
        page = np.empty(stop - start, np.int32)
        stayed = np.ones(stop - start, np.bool_)
        stayed[self._places[low:high] - start] = False
        page[stayed] = self._held[ranks + self._gaps.searchsorted(ranks, "right")]
        page[~stayed] = self._back[low:high]
        return page


def _like(column: Column, stored: Stored) -> Stored:
    """Stored values with a mask of nulls exactly where the column has one: by it rows have one word more or less."""
    values, valid = stored
    if column.valid is None:
        return values, None
    return values, np.ones(len(values), np.bool_) if valid is None else valid
