"""The place of each row in the order of its relation's keys, as a number.

What groups, joins and unions derive was not inserted in an order that a fresh evaluation would repeat, so where the
order of insertion decides (the first row of a group, the last, a list of all), that of the keys takes its place.
Numbers leave gaps: a row that comes gets one between its neighbours'. When a gap is used up all numbers are given anew,
in the same order, and `sequence_generation` rises.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import Delta, Slots
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.operators.order import OrderOperator
from tesseract_grpc.engine.query.sort_key import SortKey

Places = NDArray[np.int64]
_HIGHEST = 1 << 61  # numbers stay below, so that whoever adds to them does not leave int64
_STEP = 1 << 24  # the gap at either end


class KeyOrder:
    """The rows of a relation in the order of their keys. It answers as a relation does: with a number by slot."""

    def __init__(self, relation: Relation) -> None:
        self._relation = relation
        self._order = OrderOperator(relation, tuple(SortKey(column.name) for column in relation.schema.key_columns))
        self.sequence: Places = np.zeros(64, np.int64)
        self.sequence_generation = 0

    def fill(self, slots: Slots) -> None:
        """Takes these rows as all there are. O(n log n)."""
        self._order.hydrate(slots)
        self._make_room()
        self._renumber()

    def came(self, slots: Slots) -> None:
        """These rows are there from now on. O(rows) memory moves, O(rows log) comparisons."""
        if not len(slots):
            return
        self._make_room()
        placement = self._order.apply(Delta(0, inserted=slots))
        assert placement is not None, "rows that come are put somewhere"
        if not self._number(placement.came, placement.came_places):
            self._renumber()

    def went(self, slots: Slots) -> None:
        """These rows are gone; their keys can still be read."""
        if len(slots):
            self._order.apply(Delta(0, removed=slots))

    def _make_room(self) -> None:
        capacity = len(self._relation.alive)
        if capacity > len(self.sequence):
            self.sequence = np.resize(self.sequence, capacity)

    def _number(self, slots: Slots, places: Places) -> bool:
        """Gives numbers to rows at these places, which rise; False when there is no room between two neighbours."""
        held = self._order.slots
        first = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1] + 1)))  # runs of rows that came
        count = np.diff(np.append(first, len(places)))
        before, after = places[first] - 1, places[first] + count
        low = self.sequence[held[np.maximum(before, 0)]]
        high = self.sequence[held[np.minimum(after, len(held) - 1)]]
        at_start, at_end = before < 0, after == len(held)
        if (at_start & at_end).any():
            return False  # nothing was there
        low = np.where(at_start, high - (count + 1) * _STEP, low)
        high = np.where(at_end, low + (count + 1) * _STEP, high)
        step = (high - low) // (count + 1)
        if int(step.min()) < 1 or int(low.min()) < 0 or int(high.max()) > _HIGHEST:
            return False
        which = np.repeat(np.arange(len(first)), count)
        self.sequence[slots] = low[which] + step[which] * (np.arange(len(places)) - first[which] + 1)
        return True

    def _renumber(self) -> None:
        """Gives all rows numbers anew, with equal gaps around the middle. O(rows)."""
        held = self._order.slots
        step = min(_STEP, _HIGHEST // (len(held) + 1))
        self.sequence[held] = (_HIGHEST - step * len(held)) // 2 + np.arange(len(held)) * step
        self.sequence_generation += 1

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.sequence.nbytes + self._order.rows.words.nbytes + self._order.rows.slots.nbytes

    def check(self) -> None:
        """Proves that numbers rise as keys do."""
        self._order.check()
        assert bool((np.diff(self.sequence[self._order.slots]) > 0).all()), "numbers do not rise with the keys"
