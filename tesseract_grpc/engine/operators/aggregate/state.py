"""What all states have in common: how many values each group has, and proof by comparison.

A state counts the values of each group that are not null, which is what decides whether its result is null. Nulls are
left out here, once, so no aggregate ever sees one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self, TypeAlias

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import NO_GROUPS, Groups, Int64Array, capacity_for, grown
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped

Present: TypeAlias = bool | int | float
"""A stored value that is not null."""

BLOCK = 1 << 15
"""The most rows that a state takes in at once."""


class State:
    """The base of all states that count values."""

    type: DataType
    in_blocks = True

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.counts: Int64Array = np.zeros(0, np.int64)

    @property
    def dictionary(self) -> Dictionary | None:
        """What texts of the results are codes into: by default those of the first column."""
        return self.columns[0].dictionary if self.type.is_text else None

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        raise NotImplementedError

    def _reserve(self, capacity: int) -> None:
        """Makes room for so many groups."""

    def _clear(self, groups: Groups) -> None:
        """Makes groups empty."""

    def _facts(self, group: int) -> object:
        """What decides the result of a group besides its count, in a form that does not depend on its history."""

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows."""
        raise NotImplementedError

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows."""
        raise NotImplementedError

    def enter_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes in one row."""
        self.enter(*self._alone(group, slot, values))

    def leave_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes out one row."""
        self.leave(*self._alone(group, slot, values))

    def _alone(self, group: int, slot: int, values: Sequence[Scalar]) -> tuple[Grouped, list[Stored]]:
        inputs: list[Stored] = []
        for column, value in zip(self.columns, values, strict=True):
            kind = column.values.dtype
            inputs.append(
                (np.zeros(1, kind), np.zeros(1, np.bool_)) if value is None else (np.array([value], kind), None)
            )
        return Grouped(np.array([group]), np.array([slot], np.int32)), inputs

    def reserve(self, groups: int) -> None:
        """Makes room for this many groups; new groups are empty."""
        if groups > len(self.counts):
            capacity = capacity_for(len(self.counts), groups)
            self.counts = grown(self.counts, capacity)
            self._reserve(capacity)

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

    def rebuild(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Looks at all rows of stale groups again. O(rows)."""
        self.clear(groups)
        self.enter(rows, inputs)

    def result(self, groups: Groups) -> Stored:
        """The results of groups."""
        raise NotImplementedError

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return self.counts.nbytes

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that the state of these groups is the one that their rows, which are given, make."""
        fresh = self.fresh()
        fresh.reserve(len(self.counts))
        fresh.enter(rows, inputs)
        stale = set(self.stale().tolist())
        for group in groups.tolist():
            assert self.counts[group] == fresh.counts[group], f"group {group} counts wrong"
            if group not in stale:
                mine, true = self._facts(group), fresh._facts(group)
                assert mine is None or mine == true, f"group {group} holds {mine}, its rows say {true}"
        settled = np.array([group for group in groups.tolist() if group not in stale], np.int64)
        assert self._read(self.result(settled)) == fresh._read(fresh.result(settled)), "results differ"

    def _read(self, stored: Stored) -> object:
        """Results in a form in which they are equal when they have the same bits."""
        values, valid = stored
        return values.tobytes(), [True] * len(values) if valid is None else valid.tolist()


class ColumnState(State):
    """The base of the states of aggregates that need nothing but the values of one column."""

    def __init__(self, column: Column) -> None:
        super().__init__((column,))
        self.column = column

    def fresh(self) -> Self:
        """An empty state of the same kind."""
        return type(self)(self.column)

    def _add(self, groups: Groups, values: AnyArray) -> None:
        """Takes in values that are not null; they are counted already."""

    def _remove(self, groups: Groups, values: AnyArray) -> None:
        """Takes out values that are not null; they are no longer counted."""

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows. O(rows)."""
        self.add(rows.groups, inputs[0], rows)

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows. O(rows)."""
        self.remove(rows.groups, inputs[0], rows)

    def add(self, groups: Groups, stored: Stored, grouped: Grouped | None = None) -> None:
        """Takes in values; `grouped`, made of the same groups, saves time and changes nothing. O(rows)."""
        rows, values = (Grouped(groups) if grouped is None else grouped).present(stored)
        if len(rows):
            rows.count_into(self.counts, 1)
            for part, some in blocks(rows.groups, values):
                self._add(part, some)

    def remove(self, groups: Groups, stored: Stored, grouped: Grouped | None = None) -> None:
        """Takes out values. O(rows)."""
        rows, values = (Grouped(groups) if grouped is None else grouped).present(stored)
        if len(rows):
            rows.count_into(self.counts, -1)
            for part, some in blocks(rows.groups, values):
                self._remove(part, some)

    def enter_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes in one row. O(1)."""
        value = values[0]
        if value is not None:
            assert not isinstance(value, str), "texts are stored as codes"
            self.counts[group] += 1
            self._add_one(group, value)

    def leave_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes out one row. O(1)."""
        value = values[0]
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
