"""What all states have in common: how many values each group has, and proof by comparison.

A state counts the values of each group that are not null, which is what decides whether its result is null. Nulls are
left out here, once, so no aggregate ever sees one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import NO_GROUPS, Groups, Int64Array, capacity_for, grown
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped

Present: TypeAlias = bool | int | float
"""A stored value that is not null."""

BLOCK = 1 << 14
"""The most rows that a state takes in at once."""


class ColumnState:
    """The base of the states of aggregates of one column."""

    type: DataType

    def __init__(self, column: Column) -> None:
        self.column = column
        self.counts: Int64Array = np.zeros(0, np.int64)

    def _reserve(self, capacity: int) -> None:
        """Makes room for so many groups."""

    def _add(self, groups: Groups, values: AnyArray) -> None:
        """Takes in values that are not null; they are counted already."""

    def _remove(self, groups: Groups, values: AnyArray) -> None:
        """Takes out values that are not null; they are no longer counted."""

    def _clear(self, groups: Groups) -> None:
        """Makes groups empty."""

    def _facts(self, group: int) -> object:
        """What decides the result of a group besides its count, in a form that does not depend on its history."""

    def reserve(self, groups: int) -> None:
        """Makes room for this many groups; new groups are empty."""
        if groups > len(self.counts):
            capacity = capacity_for(len(self.counts), groups)
            self.counts = grown(self.counts, capacity)
            self._reserve(capacity)

    def add(self, groups: Groups, stored: Stored, grouped: Grouped | None = None) -> None:
        """Takes in rows. O(rows)."""
        rows, values = (Grouped(groups) if grouped is None else grouped).present(stored)
        if len(rows):
            rows.count_into(self.counts, 1)
            for part, some in blocks(rows.groups, values):
                self._add(part, some)

    def remove(self, groups: Groups, stored: Stored, grouped: Grouped | None = None) -> None:
        """Takes out rows. O(rows)."""
        rows, values = (Grouped(groups) if grouped is None else grouped).present(stored)
        if len(rows):
            rows.count_into(self.counts, -1)
            for part, some in blocks(rows.groups, values):
                self._remove(part, some)

    def add_one(self, group: int, value: Scalar) -> None:
        """Takes in one row, given its stored value or None. O(1)."""
        if value is not None:
            assert not isinstance(value, str), "texts are stored as codes"
            self.counts[group] += 1
            self._add_one(group, value)

    def remove_one(self, group: int, value: Scalar) -> None:
        """Takes out one row. O(1)."""
        if value is not None:
            assert not isinstance(value, str), "texts are stored as codes"
            self.counts[group] -= 1
            self._remove_one(group, value)

    def _add_one(self, group: int, value: Present) -> None:
        """As `_add`, for one value."""
        self._add(np.array([group]), np.array([value], self.column.values.dtype))

    def _remove_one(self, group: int, value: Present) -> None:
        """As `_remove`, for one value."""
        self._remove(np.array([group]), np.array([value], self.column.values.dtype))

    def result_one(self, group: int) -> Scalar:
        """The result of one group as a stored value, or None."""
        values, valid = self.result(np.array([group]))
        if valid is not None and not valid[0]:
            return None
        value: Scalar = values.item(0)
        return value

    def clear(self, groups: Groups) -> None:
        """Makes groups empty, whatever they were. O(groups)."""
        self.counts[groups] = 0
        self._clear(groups)

    def stale(self) -> Groups:
        """Groups whose rows must be looked at again: none, for most aggregates."""
        return NO_GROUPS

    def rebuild(self, groups: Groups, row_groups: Groups, stored: Stored) -> None:
        """Looks at all rows of stale groups again. O(rows)."""
        self.clear(groups)
        self.add(row_groups, stored)

    def result(self, groups: Groups) -> Stored:
        """The results of groups."""
        raise NotImplementedError

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.counts.nbytes

    def check(self, groups: Groups, row_groups: Groups, stored: Stored) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        fresh = type(self)(self.column)
        fresh.reserve(len(self.counts))
        fresh.add(row_groups, stored)
        stale = set(self.stale().tolist())
        for group in groups.tolist():
            assert self.counts[group] == fresh.counts[group], f"group {group} counts wrong"
            if group not in stale:
                mine, true = self._facts(group), fresh._facts(group)
                assert mine == true, f"group {group} holds {mine}, its rows say {true}"
        settled = np.array([group for group in groups.tolist() if group not in stale], np.int64)
        assert _bits(self.result(settled)) == _bits(fresh.result(settled)), "results differ"


def blocks(groups: Groups, values: AnyArray) -> Iterator[tuple[Groups, AnyArray]]:
    """The rows, so many at a time that what is worked out on the way to a result stays in the cache."""
    if len(groups) <= BLOCK:
        yield groups, values
        return
    for start in range(0, len(groups), BLOCK):
        yield groups[start : start + BLOCK], values[start : start + BLOCK]


def masked(values: AnyArray, counts: Int64Array) -> Stored:
    """Results that are null where there are no values."""
    valid = counts > 0
    if valid.all():
        return values, None
    values[~valid] = 0
    return values, valid


def _bits(stored: Stored) -> tuple[bytes, list[bool]]:
    values, valid = stored
    return values.tobytes(), [True] * len(values) if valid is None else valid.tolist()
