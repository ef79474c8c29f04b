"""Rows with copies of columns that are null where a condition is not true: what an aggregate with a filter reads.

Aggregates skip nulls, so an aggregate over the copy is the aggregate over the rows that the condition keeps. Without a
column to copy, the added one is true where the condition is, and null elsewhere: counting it counts the rows.

A condition is evaluated once for all columns that it masks, and again only for rows of which something that it reads
changed. One that uses the present is evaluated anew for every row when the hub's clock advances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.delta import (
    LAST_BIT,
    ChangeKind,
    Delta,
    RowChange,
    Slots,
    Stored,
    changed_values,
    rewritten,
    stored_at,
)
from tesseract_grpc.engine.data.extended_table import ExtendedTable, old_added
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.operators.filter import as_delta, routed_filter
from tesseract_grpc.engine.operators.predicate import Predicate, compile_predicate
from tesseract_grpc.engine.query.filter import Filter

Read = Callable[[int], Stored]


@dataclass(frozen=True, slots=True)
class Mask:
    """An added column: where a checked filter is true the value of a column, or true where none is named."""

    name: str
    where: Filter
    column: str = ""


class MaskOperator:
    """All rows of a relation, with masked copies of columns."""

    def __init__(
        self, name: str, base: Relation, masks: Sequence[Mask], line: VersionLine, history: HistoryLimits
    ) -> None:
        self.base = base
        positions = [base.schema.position(mask.column) if mask.column else -1 for mask in masks]
        columns = [
            _column(mask.name, base.schema.columns[p] if p >= 0 else None)
            for mask, p in zip(masks, positions, strict=True)
        ]
        self.table = ExtendedTable(name, base, columns, line.current, history)
        self.inputs = (routed_filter(base, None, frozenset()),)
        self._line = line
        self._first = len(base.columns)
        self._conditions: dict[Filter, tuple[Predicate, list[int]]] = {}
        for index, mask in enumerate(masks):
            if mask.where not in self._conditions:
                predicate = compile_predicate(mask.where, base.schema, base.columns, intern=True)
                self._conditions[mask.where] = (predicate, [])
            self._conditions[mask.where][1].append(index)
        self._positions = positions
        for position, column in zip(positions, self.table.added, strict=True):
            if position >= 0:  # its texts are those of the column that it copies
                column.dictionary = base.columns[position].dictionary
        self._set_now()

    def _set_now(self) -> None:
        for predicate, _ in self._conditions.values():
            predicate.now_us = self._line.now

    @property
    def timely(self) -> bool:
        """Whether a column changes with time."""
        return any(predicate.timely for predicate, _ in self._conditions.values())

    def hydrate(self, version: int) -> int:
        """Copies all rows. O(n)."""
        self.table.make_room()
        self._set_now()
        slots = self.inputs[0].hydrate()
        whole = len(slots) == self.base.high_water
        self._come(slice(0, len(slots)) if whole else slots, len(slots))
        self.table.admit(slots)
        return len(slots)

    def _come(self, where: Slots | slice, count: int) -> None:
        """Writes the added columns of rows that are new."""
        columns = self.base.columns
        for predicate, indexes in self._conditions.values():
            kept = predicate.mask(lambda p: stored_at(columns[p], where), count)
            for index in indexes:
                self.table.added[index].write(where, *self._masked(index, where, kept))

    def _masked(self, index: int, where: Slots | slice, kept: AnyArray) -> Stored:
        position = self._positions[index]
        if position < 0:
            return kept.copy(), kept
        values, valid = stored_at(self.base.columns[position], where)
        present = kept if valid is None else kept & valid
        return np.where(present, values, values.dtype.type(0)), present

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a change of the relation. O(delta)."""
        delta, table = changes[0], self.table
        table.make_room()
        if len(delta.inserted):
            self._come(delta.inserted, len(delta.inserted))
            table.admit(delta.inserted)
        if len(delta.removed):
            table.dismiss(delta.removed)
        removed_before = old_added(table, delta)
        before = dict(delta.before)
        changed = delta.changed
        if len(delta.updated):
            changed = changed | self._again(delta.updated, set(delta.before), before, every=False)
        return Delta(
            version,
            delta.inserted,
            delta.removed,
            delta.reasons,
            delta.updated,
            changed,
            before,
            removed_before,
        )

    def _again(self, slots: Slots, written: set[int], before: dict[int, Stored], *, every: bool) -> AnyArray:
        """Copies rows that are there again, where it matters; adds their images, and returns masks of what changed."""
        columns, changed = self.base.columns, np.zeros(len(slots), np.uint64)
        for predicate, indexes in self._conditions.values():
            affected = [
                index
                for index in indexes
                if self._positions[index] in written
                or not written.isdisjoint(predicate.columns)
                or (every and predicate.timely)
            ]
            if not affected:
                continue
            kept = predicate.mask(lambda p: stored_at(columns[p], slots), len(slots))
            for index in affected:
                column = self.table.added[index]
                old, new = stored_at(column, slots), self._masked(index, slots, kept)
                differ = changed_values(old, new)
                if differ.any():
                    column.write(slots, *new)
                    position = self._first + index
                    before[position] = old
                    changed |= differ.astype(np.uint64) << np.uint64(min(position, LAST_BIT))
        return changed

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """Follows a change of one row."""
        return self.apply([as_delta(self.inputs[which], kind, change)], change.version)

    def tick(self, version: int) -> Delta:
        """The hub's clock has advanced: evaluates what uses the present. O(n)."""
        self._set_now()
        slots = self.table.live_slots()
        before: dict[int, Stored] = {}
        changed = self._again(slots, set(), before, every=True)
        return rewritten(version, slots, changed, before)

    def memory_bytes(self) -> int:
        """Nothing is held beside the table."""
        return 0

    def check(self) -> None:
        """Proves that all rows of the relation are there."""
        assert np.array_equal(self.table.live_slots(), self.base.live_slots()), "a row is missing"


def _column(name: str, copied: ColumnSchema | None) -> ColumnSchema:
    if copied is None:
        return ColumnSchema(name, DataType.BOOL, derived=True, hidden=True)
    return ColumnSchema(name, copied.type, enum_values=copied.enum_values, derived=True, hidden=True)
