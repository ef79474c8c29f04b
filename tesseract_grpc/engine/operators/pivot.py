"""Aggregates spread over the values of a column: what stands below each other in groups, side by side.

Two groupings are read: the groups themselves, and the same ones split by the column, whose rows are the *cells*. A row
is a group, with a column for each value and aggregate; a cell of its group and value fills in the columns of the
value, and where there is no cell the counts are 0 and everything else is null. So a commit costs what changing its
cells costs, however many values there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import (
    LAST_BIT,
    ChangeKind,
    Delta,
    RowChange,
    Slots,
    Stored,
    changed_values,
    stored_at,
)
from tesseract_grpc.engine.data.extended_table import ExtendedTable
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema, Scalar
from tesseract_grpc.engine.data.vector import AnyArray, Vector
from tesseract_grpc.engine.operators.filter import as_delta, routed_filter
from tesseract_grpc.engine.operators.group_keys import GroupKeys

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spread:
    """What is spread: the values of a column of the cells, and for each aggregate its column and whether it counts.

    `by` are the columns that cells and groups have in common. `columns` are those of the result: all aggregates of the
    first value, then all of the second, and so on.
    """

    by: tuple[str, ...]
    column: str
    values: tuple[Scalar, ...]
    aggregates: tuple[str, ...]
    counts: tuple[bool, ...]
    columns: tuple[ColumnSchema, ...]


class PivotOperator:
    """The rows of a grouping, with columns for the cells of each."""

    def __init__(
        self, name: str, base: Relation, cells: Relation, spread: Spread, version: int, history: HistoryLimits
    ) -> None:
        self.base = base
        self.cells = cells
        self.table = ExtendedTable(name, base, spread.columns, version, history)
        self.inputs = (routed_filter(base, None, frozenset()), routed_filter(cells, None, frozenset()))
        self._first = len(base.columns)
        self._counts = spread.counts
        self._positions = [cells.schema.position(aggregate) for aggregate in spread.aggregates]
        self._by = [cells.schema.position(column) for column in spread.by]
        self._groups_by = [base.schema.position(column) for column in spread.by]
        self._split = cells.schema.position(spread.column)
        for index, column in enumerate(self.table.added):
            column.dictionary = cells.columns[self._positions[index % len(self._positions)]].dictionary
        values = _stored_values(cells.columns[self._split], spread.values)
        self._values = GroupKeys([cells.columns[self._split]])
        self._values.numbers([values], len(spread.values), add=True)
        self._wanted = len(spread.values)

    # Between cells and groups

    def _value_of(self, cells: Slots) -> Numbers:
        """Which of the values each cell is of, -1 for none of them."""
        return self._values.numbers([stored_at(self.cells.columns[self._split], cells)], len(cells), add=False)

    def _group_of(self, cells: Slots) -> Slots:
        """The group of each cell, -1 where it is not there."""
        found = self.base.find(self.cells.batch(cells, self._by))
        return np.where((found >= 0) & self.table.alive[found], found, np.int32(-1))

    def _cells_of(self, groups: Slots, value: int) -> Slots:
        """The cell of each group and one value, -1 where there is none."""
        keys = self.base.batch(groups, self._groups_by)
        column = self.cells.columns[self._split]
        if self._split not in self._by:
            stored, valid = self._values.values(np.full(len(groups), value))[0]
            keys.columns[column.schema.name] = Vector(column.type, stored, valid)
            return self.cells.find(keys)
        # The groups are split by themselves: each has one cell.
        cells = self.cells.find(keys)
        return np.where(self._value_of(cells) == value, cells, np.int32(-1))

    # Hydrating and following

    def hydrate(self, version: int) -> int:
        """Takes all groups and all cells. O(groups x values)."""
        self.table.make_room()
        groups = self.inputs[0].hydrate()
        cells = self.inputs[1].hydrate()
        for index, column in enumerate(self.table.added):
            column.write(groups, *self._nothing(index, len(groups)))
        self.table.admit(groups)
        self._write(cells, self._group_of(cells), self._value_of(cells))
        return len(groups) + len(cells)

    def _nothing(self, index: int, count: int) -> Stored:
        """What stands where there is no cell."""
        column = self.table.added[index]
        values = np.zeros(count, column.values.dtype)
        return values, None if self._counts[index % len(self._counts)] else np.zeros(count, np.bool_)

    def _write(self, cells: Slots, groups: Slots, values: Numbers) -> None:
        """Fills in the columns of cells."""
        shown = ((groups >= 0) & (values >= 0)).nonzero()[0]
        for value in np.unique(values[shown]).tolist():
            rows = shown[values[shown] == value]
            for index, position in enumerate(self._positions, value * len(self._positions)):
                stored = stored_at(self.cells.columns[position], cells[rows])
                self.table.added[index].write(groups[rows], *stored)

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a commit. O(changed cells), and O(values) for a group that comes."""
        groups, cells = changes
        assert not len(groups.updated), "groups without aggregates have nothing that could change"
        table = self.table
        table.make_room()
        if len(groups.removed):
            table.dismiss(groups.removed)
        gone, stay = cells.removed, np.concatenate((cells.updated, cells.inserted))
        touched, values = self._group_of(np.concatenate((gone, stay))), self._value_of(np.concatenate((gone, stay)))
        if len(groups.inserted):
            table.admit(groups.inserted)
            self._come(groups.inserted)
        shown = ((touched >= 0) & (values >= 0)).nonzero()[0]
        updated = np.unique(touched[shown])
        before: dict[int, Stored] = {}
        changed = np.zeros(len(updated), np.uint64)
        if len(updated):
            affected = self._affected(np.unique(values[shown]))
            old = {index: stored_at(table.added[index], updated) for index in affected}
            self._clear(touched[: len(gone)], values[: len(gone)])
            self._write(stay, touched[len(gone) :], values[len(gone) :])
            for index in affected:
                differ = changed_values(old[index], stored_at(table.added[index], updated))
                if differ.any():
                    position = self._first + index
                    before[position] = old[index]
                    changed |= differ.astype(np.uint64) << np.uint64(min(position, LAST_BIT))
        rows = changed.nonzero()[0]
        images = {p: (v[rows], None if ok is None else ok[rows]) for p, (v, ok) in before.items()}
        return Delta(version, groups.inserted, groups.removed, groups.reasons, updated[rows], changed[rows], images)

    def _affected(self, values: Numbers) -> list[int]:
        """The added columns of these values."""
        width = len(self._positions)
        return [value * width + index for value in values.tolist() for index in range(width)]

    def _come(self, groups: Slots) -> None:
        """Writes the columns of groups that are new, with the cells that there are."""
        for value in range(self._wanted):
            cells = self._cells_of(groups, value)
            for index in range(value * len(self._positions), (value + 1) * len(self._positions)):
                self.table.added[index].write(groups, *self._nothing(index, len(groups)))
            self._write(cells, np.where(cells >= 0, groups, np.int32(-1)), np.full(len(cells), value, np.int64))

    def _clear(self, groups: Slots, values: Numbers) -> None:
        """Empties the columns of cells that are gone."""
        shown = ((groups >= 0) & (values >= 0)).nonzero()[0]
        for value in np.unique(values[shown]).tolist():
            rows = groups[shown[values[shown] == value]]
            for index in self._affected(np.array([value])):
                self.table.added[index].write(rows, *self._nothing(index, len(rows)))

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one group or one cell."""
        changes = [Delta(change.version), Delta(change.version)]
        changes[which] = as_delta(self.inputs[which], kind, change)
        return self.apply(changes, change.version)

    def memory_bytes(self) -> int:
        """The memory held beside the table, in bytes."""
        return self._values.memory_bytes()

    def check(self) -> None:
        """Proves that all groups are there, and that every cell is where it belongs."""
        assert np.array_equal(self.table.live_slots(), self.base.live_slots()), "a group is missing"


def _stored_values(column: Column, values: Sequence[Scalar]) -> Stored:
    """Values as the column stores them; texts that it lacks are added, for rows may come that have them."""
    vector = Vector.of(column.type, values)
    if column.dictionary is None or vector.texts is None:
        return vector.values, vector.valid
    texts = [str(text) for text in vector.texts]
    codes: AnyArray = column.dictionary.find_many(texts) if column.dictionary.fixed else column.dictionary.encode(texts)
    return (codes[vector.values] if len(codes) else vector.values), vector.valid
