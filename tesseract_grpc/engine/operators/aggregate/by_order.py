"""Aggregates of rows in an order: first, last, min_by and max_by.

The rows of a group are kept in the order of another column, or of their insertion, which decides among equals, too;
so what the first row is when the first row leaves is known without looking for it. Rows are named by slot, and their
values are read from the column when a result is asked for.

`first` and `last` take rows whose value is not null; nulls of the ordering column stand last, as in a sort. `min_by`
and `max_by` take rows in which neither is null; among equals, the first row counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Slots, Stored, stored_at
from tesseract_grpc.engine.data.order import label_generation
from tesseract_grpc.engine.data.vector import STORAGE, AnyArray, BoolArray
from tesseract_grpc.engine.operators.aggregate.arrays import Groups, Int64Array
from tesseract_grpc.engine.operators.aggregate.comparable import comparable
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.leaves import HOLE
from tesseract_grpc.engine.operators.aggregate.ranked_rows import RankedRows
from tesseract_grpc.engine.operators.aggregate.state import State, masked

_BEHIND = np.int64(1 << 62)
"""Added to the second key of rows whose first one is null: they stand behind all that have the largest first key."""


class Insertion(Protocol):
    """The relation that the rows are of, or what stands for it: their order of insertion, by slot."""

    @property
    def sequence(self) -> NDArray[np.int64]:
        """The order of insertion."""

    @property
    def sequence_generation(self) -> int:
        """Rises when `sequence` is given anew, in the same order."""


class OrderedState(State):
    """Rows in order. The inputs are the values, and what orders them where that is a column."""

    in_blocks = False
    nulls_last = True  # otherwise rows whose order is null are left out

    def __init__(self, column: Column, order: Column | None, relation: Insertion) -> None:
        super().__init__((column,) if order is None else (column, order))
        self.type = column.type
        self._column = column
        self._order = order
        self._relation = relation
        self._rows = RankedRows(tied=order is not None)
        self._generation = self._labels()

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self._column, self._order, self._relation)

    def _reserve(self, capacity: int) -> None:
        self._rows.reserve(capacity)

    def _clear(self, groups: Groups) -> None:
        self._rows.clear(groups)

    def _some(self, rows: Grouped, inputs: Sequence[Stored]) -> tuple[Grouped, Stored | None]:
        """The rows that count, and their order."""
        mask: BoolArray | None = inputs[0][1]
        if self._order is None:
            return (rows, None) if mask is None else (rows.where(mask), None)
        values, valid = inputs[1]
        if valid is not None and not self.nulls_last:
            mask = valid if mask is None else mask & valid
        if mask is None:
            return rows, (values, valid)
        return rows.where(mask), (values[mask], None if valid is None else valid[mask])

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows * root of their groups' sizes) at the most."""
        some, order = self._some(rows, inputs)
        some.count_into(self.counts, 1)
        keys, ties = self._keys(some.slots, order)
        self._rows.add(some.groups, some.slots, keys, ties)

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. As `enter`."""
        some, _ = self._some(rows, inputs)
        some.count_into(self.counts, -1)
        self._rows.remove(some.groups, some.slots)

    def _keys(self, slots: Slots, order: Stored | None) -> tuple[Int64Array, Int64Array | None]:
        """What rows are ordered by."""
        self._follow_labels()
        sequence: Int64Array = self._relation.sequence[slots]
        if order is None or self._order is None:
            return sequence, None
        values, valid = order
        numbers = comparable(self._order, values)
        if valid is None or valid.all():
            return numbers, sequence
        return np.where(valid, numbers, HOLE), np.where(valid, sequence, sequence + _BEHIND)

    def _follow_labels(self) -> None:
        """Reads the labels of ordering texts again if labels were given anew.

        Rows that changed have left and are not back yet, so all that are there have the values that they came with.
        """
        order, sequence = self._order, self._relation.sequence
        if self._generation == self._labels():
            return
        self._generation = self._labels()
        if order is None:
            self._rows.rekey(lambda slots: sequence[slots])
            return

        def keys_of(slots: Slots) -> Int64Array:
            values, valid = stored_at(order, slots)
            numbers = comparable(order, values)
            return numbers if valid is None else np.where(valid, numbers, HOLE)

        def ties_of(slots: Slots) -> Int64Array:
            valid = stored_at(order, slots)[1]
            ties: Int64Array = sequence[slots]
            return ties if valid is None else np.where(valid, ties, ties + _BEHIND)

        self._rows.rekey(keys_of, ties_of)

    def _labels(self) -> tuple[int, int]:
        """Changes when keys by which rows were put in order are no longer true."""
        return 0 if self._order is None else label_generation(self._order), self._relation.sequence_generation

    def _chosen(self, groups: Groups) -> Slots:
        """The row that stands for each of these groups, which have rows."""
        raise NotImplementedError

    def result(self, groups: Groups) -> Stored:
        """The values of the rows that were chosen; null where there is none. O(groups * root of their sizes)."""
        counts = self.counts[groups]
        there = (counts > 0).nonzero()[0]
        values: AnyArray = np.zeros(len(groups), STORAGE[self._column.type])
        if len(there):
            values[there] = self._column.values[self._chosen(groups[there])]
        return masked(values, counts)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return super().memory_bytes() + self._rows.memory_bytes()

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        super().check(groups, rows, inputs)
        self._rows.check()
        assert np.array_equal(self._rows.counts, self.counts), "the rows in order are others than those counted"


class First(OrderedState):
    """The value of the first row."""

    def _chosen(self, groups: Groups) -> Slots:
        return self._rows.ends(groups, last=False)


class Last(OrderedState):
    """The value of the last row."""

    def _chosen(self, groups: Groups) -> Slots:
        return self._rows.ends(groups, last=True)


class MinBy(First):
    """The value of the row with the smallest value of another column."""

    nulls_last = False


class MaxBy(OrderedState):
    """The value of the row with the largest value of another column."""

    nulls_last = False

    def _chosen(self, groups: Groups) -> Slots:
        return self._rows.first_of_last(groups)
