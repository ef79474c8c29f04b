"""Rows in slots, as everybody reads them: a table, or what an operator derives.

Every column is an array by slot; a row is the same slot of all of them. Beside the columns stand three arrays:
`sequence` (the order of insertion), `row_version` (the version of the commit that last changed the row) and `alive`.
Relations differ in who writes them and in how a key leads to a slot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import Changelog, HistoryLimits
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.filter_uses import FilterUses
from tesseract_grpc.engine.data.index import SecondaryIndex
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.vector import AnyArray, Batch, Vector


class Relation:
    """Rows in slots."""

    keyed_order = False
    """Whether rows stand in the order of their keys where no other is asked for, and not in that of insertion: what an
    operator derives under names of its own has come in an order that a fresh evaluation would not repeat."""
    sequence_generation = 0
    """Rises when `sequence` is given anew; in a relation it never is."""

    def __init__(
        self, name: str, schema: TableSchema, columns: Sequence[Column], version: int, history: HistoryLimits
    ) -> None:
        self.name = name
        self.schema = schema
        self.create_version = version
        self.update_version = version
        self.columns = list(columns)
        self.key_columns = [self.columns[position] for position in schema.key]
        self.indexes: dict[str, SecondaryIndex] = {}
        self.changelog = Changelog(history, version)
        self.sequence: NDArray[np.int64] = np.zeros(0, np.int64)
        self.row_version: NDArray[np.int64] = np.zeros(0, np.int64)
        self.alive: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.high_water = 0
        self.row_count = 0
        self.in_order = True  # whether rising slots are the order of insertion
        self.uses: FilterUses | None = None  # how its rows are asked for, where somebody wants to know
        self._shared_row: tuple[int, int, dict[tuple[int, ...], Batch]] = (-1, -1, {})

    def find(self, keys: Batch) -> Slots:
        """The slots of the rows with these keys, whose texts are codes of the key columns; -1 where there is none."""
        raise NotImplementedError

    def release(self) -> None:
        """Lets go of what only the history that was forgotten needed."""

    def settled_index(self, column: str) -> SecondaryIndex | None:
        """The index over a column, ready to be asked; None where there is none."""
        index = self.indexes.get(column)
        if index is not None:
            index.settle(self.alive)
        return index

    @property
    def dense(self) -> bool:
        """Whether every slot below the high-water mark holds a row."""
        return self.row_count == self.high_water

    def present(self, slots: Slots) -> Slots:
        """Those of the slots that hold a row. A relation that shares slots may have no room yet for some of them."""
        slots = slots[slots < len(self.alive)]
        return slots[self.alive[slots]]

    def live_slots(self) -> Slots:
        """The slots of all rows, ascending. O(n)."""
        if self.dense:
            return np.arange(self.high_water, dtype=np.int32)
        return np.flatnonzero(self.alive[: self.high_water]).astype(np.int32)

    def batch(self, slots: AnyArray, positions: Iterable[int]) -> Batch:
        """Copies of the rows at `slots`."""
        columns = self.columns
        return Batch(len(slots), {columns[p].schema.name: columns[p].read(slots) for p in positions})

    def batch_of_one(self, slot: int, positions: tuple[int, ...]) -> Batch:
        """A copy of one row; slicing costs a third of gathering.

        Readers of many sessions ask for the same row after one commit: they share the copy, which nobody changes.
        """
        shared = self._shared_row
        if shared[0] != slot or shared[1] != self.update_version:
            shared = self._shared_row = (slot, self.update_version, {})
        known = shared[2].get(positions)
        if known is not None:
            return known
        columns: dict[str, Vector] = {}
        for position in positions:
            column = self.columns[position]
            valid = column.valid
            texts = None if column.dictionary is None else column.dictionary.texts
            columns[column.schema.name] = Vector(
                column.type,
                column.values[slot : slot + 1].copy(),
                None if valid is None else valid[slot : slot + 1].copy(),
                texts,
            )
        batch = shared[2][positions] = Batch(1, columns)
        return batch

    def memory_bytes(self) -> int:
        """The memory held by what is its own, in bytes."""
        own = self.sequence.nbytes + self.row_version.nbytes + self.alive.nbytes
        return own + sum(c.memory_bytes() for c in self.columns) + sum(i.memory_bytes() for i in self.indexes.values())

    def check(self) -> None:
        """Proves the invariants of the rows, of the columns and of history."""
        live = np.flatnonzero(self.alive[: self.high_water]).astype(np.int32)
        assert self.row_count == len(live), f"{self.row_count} rows counted, {len(live)} alive"
        assert not self.alive[self.high_water :].any(), "a row lives above the high-water mark"
        assert len(np.unique(self.sequence[live])) == len(live), "two rows have one place in the order of insertion"
        if self.in_order:
            assert bool(np.all(np.diff(self.sequence[live]) > 0)), "slots are not in the order of insertion"
        for column in self.columns:
            _check_column(column, live)
        self.changelog.check()


def _check_column(column: Column, live: Slots) -> None:
    if column.dictionary is not None:
        column.dictionary.check()
        codes = column.values[live] if column.valid is None else column.values[live][column.valid[live]]
        assert not len(codes) or 0 <= int(codes.min()) <= int(codes.max()) < len(column.dictionary), (
            "a code without text"
        )
    if not column.schema.nullable and column.valid is not None:
        assert bool(column.valid[live].all()), f"column '{column.schema.name}' holds a null"
