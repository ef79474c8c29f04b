"""Rows with columns that are worked out from their other columns.

Each added column is an expression over the columns before it, so one may use another. A row is worked out when it comes
and when something changes that an expression reads; an expression whose inputs did not change is not evaluated.

An expression that uses the present is worked out anew for every row when the hub's clock advances (`tick`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.coerce import coerce
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import (
    LAST_BIT,
    ChangeKind,
    Delta,
    RowChange,
    Slots,
    Stored,
    changed_values,
    column_bit,
    rewritten,
    stored_at,
)
from tesseract_grpc.engine.data.extended_table import ExtendedTable, old_added
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import AnyArray, Vector
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.operators.evaluate import Evaluator, compile_expression
from tesseract_grpc.engine.operators.filter import as_delta, routed_filter
from tesseract_grpc.engine.query.expression.typed import ColumnRef, Typed, uses_now

_NO_LIMIT = 2**31
"""What expressions make is bounded where it is made."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A column and the checked expression that gives it, over the columns before it."""

    column: ColumnSchema
    root: Typed


def stored_of(column: Column, vector: Vector) -> Stored:
    """What a column stores for values that an expression gave; new texts are added to its dictionary."""
    if column.type is DataType.JSON and vector.texts is not None and column.dictionary is not None:
        if not vector.texts:  # nothing but nulls has ever come
            return np.zeros(len(vector.values), np.int32), vector.valid
        used, codes = np.unique(vector.values, return_inverse=True)
        known = column.dictionary.encode([vector.texts[code] for code in used.tolist()])
        return known[codes], vector.valid
    return coerce(column, vector, intern=True, max_text_bytes=_NO_LIMIT)


class ComputeOperator:
    """All rows of a relation, with more columns."""

    def __init__(
        self,
        name: str,
        base: Relation,
        formulas: Sequence[Formula],
        line: VersionLine,
        history: HistoryLimits,
        *,
        aside: Mapping[str, str] | None = None,
    ) -> None:
        """`aside` gives columns of the relation other names under which they are hidden."""
        self.base = base
        self.table = ExtendedTable(name, base, [formula.column for formula in formulas], line.current, history, aside)
        self.inputs = (routed_filter(base, None, frozenset()),)
        self._line = line
        self._first = len(base.columns)
        self._evaluators: list[Evaluator] = []
        for formula, column in zip(formulas, self.table.added, strict=True):
            if isinstance(formula.root, ColumnRef):  # its texts are those of the column that it repeats
                column.dictionary = self.table.columns[self.table.schema.position(formula.root.name)].dictionary
            self._evaluators.append(compile_expression(formula.root, self.table.schema, self.table.columns))
        self._timely = [uses_now(formula.root) for formula in formulas]
        self.now = line.now

    @property
    def timely(self) -> bool:
        """Whether a column changes with time."""
        return any(self._timely)

    def hydrate(self, version: int) -> int:
        """Works out all rows. O(n)."""
        self.table.make_room()
        slots = self.inputs[0].hydrate()
        whole = len(slots) == self.base.high_water
        self._work_out(slice(0, len(slots)) if whole else slots, len(slots))
        self.table.admit(slots)
        return len(slots)

    def _work_out(self, where: Slots | slice, count: int) -> None:
        """Writes the added columns of rows that are new."""
        columns = self.table.columns
        for evaluator, column in zip(self._evaluators, self.table.added, strict=True):
            found = evaluator.evaluate(lambda p: stored_at(columns[p], where), count, self.now)
            column.write(where, *stored_of(column, found))

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a change of the relation. O(delta)."""
        delta, table = changes[0], self.table
        table.make_room()
        if len(delta.inserted):
            self._work_out(delta.inserted, len(delta.inserted))
            table.admit(delta.inserted)
        if len(delta.removed):
            table.dismiss(delta.removed)
        removed_before = old_added(table, delta)
        changed, before = delta.changed, dict(delta.before)
        if len(delta.updated):
            written = set(delta.before)
            for index, evaluator in enumerate(self._evaluators):
                if not written.isdisjoint(evaluator.columns):
                    image, differ = self._again(index, delta.updated)
                    if differ is not None:
                        written.add(self._first + index)
                        before[self._first + index] = image
                        changed = changed | differ
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

    def _again(self, index: int, slots: Slots) -> tuple[Stored, AnyArray | None]:
        """Works out one column of rows that are there: its values before, and the masks of rows where it changed."""
        column, columns = self.table.added[index], self.table.columns
        found = self._evaluators[index].evaluate(lambda p: stored_at(columns[p], slots), len(slots), self.now)
        old, new = stored_at(column, slots), stored_of(column, found)
        different = changed_values(old, new)
        if not different.any():
            return old, None
        column.write(slots, *new)
        return old, different.astype(np.uint64) << np.uint64(min(self._first + index, LAST_BIT))

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """Follows a change of one row."""
        if kind is not ChangeKind.UPDATED:
            return self.apply([as_delta(self.inputs[which], kind, change)], change.version)
        slots = np.array([change.slot], np.int32)
        before: dict[int, Scalar] = dict(change.before)
        mask = change.changed
        for index, evaluator in enumerate(self._evaluators):
            if not before.keys().isdisjoint(evaluator.columns):
                old = self.table.added[index].stored(change.slot)
                if self._again(index, slots)[1] is not None:
                    before[self._first + index] = old
                    mask |= column_bit(self._first + index)
        derived = RowChange(change.version, kind, change.slot, mask, before)
        derived.words = {}
        return derived

    def tick(self, version: int) -> Delta:
        """The hub's clock has advanced: works out what uses the present, and what uses that. O(n)."""
        self.now = self._line.now
        slots = self.table.live_slots()
        before: dict[int, Stored] = {}
        changed = np.zeros(len(slots), np.uint64)
        for index, evaluator in enumerate(self._evaluators):
            if self._timely[index] or not before.keys().isdisjoint(evaluator.columns):
                image, differ = self._again(index, slots)
                if differ is not None:
                    before[self._first + index] = image
                    changed |= differ
        return rewritten(version, slots, changed, before)

    def memory_bytes(self) -> int:
        """Nothing is held beside the table."""
        return 0

    def check(self) -> None:
        """Proves that all rows of the relation are there."""
        assert np.array_equal(self.table.live_slots(), self.base.live_slots()), "a row is missing"


def extended_schema(schema: TableSchema, more: Sequence[ColumnSchema]) -> TableSchema:
    """The columns of a relation and more."""
    return schema.extended(more)
