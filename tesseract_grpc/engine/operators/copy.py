"""A relation's rows and some of its columns, in a table of their own.

What stands under a name of its own is read by everybody as tables are: by key, with indexes, with a history. So its
rows are copied into slots of its own, and named by their slots in the relation that they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits
from tesseract_grpc.engine.data.delta import (
    ChangeKind,
    Delta,
    RemoveReason,
    RowChange,
    Slots,
    Stored,
    column_bit,
    stored_at,
)
from tesseract_grpc.engine.data.derived_table import DerivedTable
from tesseract_grpc.engine.data.schema import Scalar, TableSchema
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.writing import BY_SLOT


class CopyOperator:
    """The rows that a filter keeps of a relation, with the columns at `positions`, among them its key."""

    def __init__(
        self, name: str, source: FilterOperator, positions: Sequence[int], version: int, history: HistoryLimits
    ) -> None:
        self.inputs = (source,)
        self.base = source.table
        self.positions = tuple(positions)
        columns = [self.base.schema.columns[position] for position in positions]
        own = [
            replace(c, derived=True, required=False, default=None, expression="", default_expression="")
            for c in columns
        ]
        self.table = DerivedTable(name, TableSchema(tuple(own)), version, history, self._number_of)
        for column, position in zip(self.table.columns, positions, strict=True):
            column.dictionary = self.base.columns[position].dictionary

    def _number_of(self, keys: Batch) -> NDArray[np.int64]:
        return self.base.find(keys).astype(np.int64)

    def hydrate(self, version: int) -> int:
        """Takes over all rows; returns how many were examined. O(n)."""
        self._place(self.inputs[0].hydrate(), version)
        return self.inputs[0].examined

    def _place(self, slots: Slots, version: int) -> Slots:
        columns = self.base.columns
        values = {index: stored_at(columns[position], slots) for index, position in enumerate(self.positions)}
        return self.table.place_rows(slots.astype(np.int64), values, version)

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a change. O(delta)."""
        change, table = changes[0], self.table
        transaction = Transaction(table, version, BY_SLOT, CommitLimits())
        if len(change.removed):
            slots = table.slots_of(change.removed.astype(np.int64))
            for reason in np.unique(change.reasons).tolist():
                transaction.erase(np.sort(slots[change.reasons == reason]), RemoveReason(reason))
        if len(change.updated):
            values = self._written(change)
            if values:
                transaction.store(table.slots_of(change.updated.astype(np.int64)), values)
        if len(change.inserted):
            transaction.placed(self._place(change.inserted, version))
        return transaction.finish()

    def _written(self, change: Delta) -> dict[int, Stored]:
        written = int(np.bitwise_or.reduce(change.changed))
        return {
            index: stored_at(self.base.columns[position], change.updated)
            for index, position in enumerate(self.positions)
            if column_bit(position) & written
        }

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one row, without arrays where the row stays."""
        if kind is not ChangeKind.UPDATED:
            return self.apply([as_delta(self.inputs[which], kind, change)], change.version)
        table = self.table
        slot = table.keys.find_one((change.slot,))
        before: dict[int, Scalar] = {}
        mask = 0
        for index, position in enumerate(self.positions):
            if position in change.before:
                before[index] = change.before[position]
                mask |= column_bit(index)
                table.columns[index].write_stored(slot, self.base.columns[position].stored(change.slot))
        if not mask:
            return None
        table.row_version[slot] = change.version
        for held in table.indexes.values():
            if held.position in before:
                held.note_one(slot)
        result = RowChange(change.version, ChangeKind.UPDATED, slot, mask, before)
        result.words = {}
        return result

    def memory_bytes(self) -> int:
        """Nothing is held beside the table."""
        return 0

    def check(self) -> None:
        """Proves that exactly the rows of the input are there."""
        slots = self.inputs[0].hydrate()
        assert len(slots) == self.table.row_count, "the copy has another number of rows"
        assert bool((self.table.slots_of(slots.astype(np.int64)) >= 0).all()), "a row is missing"
