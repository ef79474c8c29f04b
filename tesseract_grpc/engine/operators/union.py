"""Unions: the rows of several relations in one derived table, none left out.

A row of the union is named by its input and its slot there, so a row that leaves an input leaves the union, and a slot
that is used again is a new row. Nothing is kept but the rows themselves: which row of the union a row of an input is,
the key index of the derived table tells.

A column of the union may name its rows though it does not name those of the input (the groups that the rows of a rollup
stand below). When it changes, the row leaves the union under its old name and comes back under the new one.

A column of the union is, input by input, a column of it or a constant. Texts of inputs that share one dictionary
(groups of one table, for example) keep their codes; others are translated into a dictionary of the union's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.commit import CommitLimits
from tesseract_grpc.engine.data.delta import (
    ChangeKind,
    Delta,
    RemoveReason,
    RowChange,
    Slots,
    Stored,
    changed_values,
    column_bit,
    stored_at,
)
from tesseract_grpc.engine.data.derived_table import DerivedTable
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray, Vector
from tesseract_grpc.engine.operators.code_map import CodeMap
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.room import demand_room
from tesseract_grpc.engine.operators.writing import BY_SLOT

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that a column of a union has for all rows of one input; None for null."""

    value: Scalar = None


class _Part:
    """One column of the union, as one input fills it: from a column of the input, or with a constant."""

    def __init__(self, base: Relation, what: int | Constant, column: Column) -> None:
        self.position = what if isinstance(what, int) else -1
        self.constant: Scalar = None
        self.codes: CodeMap | None = None
        self._dtype = column.values.dtype
        if isinstance(what, Constant):
            value = what.value
            if value is not None and column.dictionary is not None:
                value = column.dictionary.pin(str(value))
            self.constant = value
        else:
            self._source = base.columns[what]
            mine, theirs = column.dictionary, self._source.dictionary
            if mine is not None and theirs is not None and mine is not theirs and not mine.fixed:
                self.codes = CodeMap(theirs, mine)

    def stored(self, slots: AnyArray) -> Stored:
        """What the union stores for rows of the input."""
        if self.position < 0:
            missing = np.zeros(len(slots), np.bool_) if self.constant is None else None
            return np.full(len(slots), self.constant or 0, self._dtype), missing
        valid = None if self._source.valid is None else self._source.valid[slots]
        values = self._source.values[slots]
        return (values if self.codes is None else self.codes.take(values, valid)), valid

    def stored_one(self, slot: int) -> Scalar:
        """The same for one row; None for null."""
        value = self._source.stored(slot)
        return value if value is None or self.codes is None else self.codes.one(int(value))


class UnionOperator:
    """The rows of several filtered relations, as a derived table with a column that says of which one a row is."""

    def __init__(
        self,
        name: str,
        inputs: Sequence[FilterOperator],
        mapping: Sequence[Sequence[int | Constant]],
        columns: Sequence[ColumnSchema],
        version: int,
        history: HistoryLimits,
        *,
        branch_column: str = "branch",
        branches: Sequence[int] | None = None,
    ) -> None:
        """`mapping` says for each input of which of its columns (by position) or constants each of `columns` is made.

        `branches` are the values of the branch column, by default the number of the input.
        """
        self.inputs = tuple(inputs)
        self.branches = tuple(range(len(inputs)) if branches is None else branches)
        assert len(set(self.branches)) == len(self.inputs) == len(mapping), "inputs are told apart by their branch"
        branch = ColumnSchema(branch_column, DataType.INT64, primary_key=True, derived=True)
        own = [replace(column, derived=True, required=False, default=None, expression="") for column in columns]
        self.table = DerivedTable(name, TableSchema((branch, *own)), version, history, self._number_of)
        for column, sources in zip(self.table.columns[1:], zip(*mapping, strict=True), strict=True):
            self._share_texts(column, sources)
        self._parts = [
            [_Part(source.table, what, column) for what, column in zip(whats, self.table.columns[1:], strict=True)]
            for source, whats in zip(self.inputs, mapping, strict=True)
        ]
        self._keys = [self._key_places(which) for which in range(len(self.inputs))]
        self._named_by = [self._naming_places(which) for which in range(len(self.inputs))]
        self._renaming = [
            np.uint64(sum({column_bit(self._parts[which][place].position) for place in places}))
            for which, places in enumerate(self._named_by)
        ]

    def _share_texts(self, column: Column, sources: Sequence[int | Constant]) -> None:
        """Takes over the dictionary of the inputs where they have just one between them."""
        if column.dictionary is None or column.dictionary.fixed:
            return
        found: list[Dictionary | None] = []
        for source, what in zip(self.inputs, sources, strict=True):
            if isinstance(what, int):
                found.append(source.table.columns[what].dictionary)
            elif what.value is not None:
                return
        if found and all(dictionary is found[0] for dictionary in found):
            column.dictionary = found[0]

    def _key_places(self, which: int) -> list[tuple[str, int]]:
        """Which columns of the union hold the key columns of an input: their names there, and their places here."""
        places = {part.position: index for index, part in enumerate(self._parts[which]) if part.position >= 0}
        source = self.inputs[which].table
        return [(source.schema.columns[p].name, places[p]) for p in source.schema.key if p in places]

    def _naming_places(self, which: int) -> list[int]:
        """The places of columns that name rows of the union, and do not name those of an input."""
        key = self.inputs[which].table.schema.key
        columns = self.table.schema.columns[1:]
        return [
            index
            for index, (part, column) in enumerate(zip(self._parts[which], columns, strict=True))
            if column.primary_key and part.position >= 0 and part.position not in key
        ]

    # Names of rows

    def _numbers(self, which: int, slots: AnyArray) -> Numbers:
        return slots.astype(np.int64) * len(self.inputs) + which

    def _number_of(self, keys: Batch) -> Numbers:
        branch = keys.columns[self.table.schema.columns[0].name]
        numbers = np.full(keys.length, -1, np.int64)
        for which, value in enumerate(self.branches):
            rows = (branch.values == value).nonzero()[0]
            if len(rows):
                wanted = keys.take(rows)
                slots = self._find(which, wanted)
                found = np.where(slots >= 0, self._numbers(which, slots), -1)
                numbers[rows] = np.where(self._named_so(which, found, wanted), found, -1)
        return numbers

    def _named_so(self, which: int, numbers: Numbers, keys: Batch) -> BoolArray:
        """Which rows of an input have the values by which they are named beside their own key."""
        right = numbers >= 0
        for place in self._named_by[which]:
            column = self.table.columns[place + 1]
            vector = keys.columns[column.schema.name]
            held = stored_at(column, self.table.slots_of(numbers))
            right &= ~changed_values(held, (vector.values, vector.valid))
        return right

    def _find(self, which: int, keys: Batch) -> Slots:
        """The slots in one input of rows that are named as in the union."""
        source = self.inputs[which].table
        schema = self.table.schema
        wanted: dict[str, Vector] = {}
        for name, place in self._keys[which]:
            vector = keys.columns.get(schema.columns[place + 1].name)
            if vector is None:
                break
            codes = self._parts[which][place].codes
            values = vector.values if codes is None else codes.back(vector.values, vector.valid)
            wanted[name] = Vector(vector.type, values, vector.valid, None)
        if len(wanted) < len(source.schema.key):
            # A constant stands for a key column: the one group of all rows, which is named by nothing else.
            slots = source.live_slots()
            return np.full(keys.length, slots[0] if len(slots) == 1 else -1, np.int32)
        return source.find(Batch(keys.length, wanted))

    # Hydrating and following

    def hydrate(self, version: int) -> int:
        """Takes over all rows of all inputs; returns how many were examined. O(n)."""
        for which, source in enumerate(self.inputs):
            slots = source.hydrate()
            demand_room(self.table.row_count + len(slots), "union", "query.source.union")
            if len(slots):
                self._place(which, slots, version)
        return sum(source.examined for source in self.inputs)

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a commit. O(changes)."""
        transaction = Transaction(self.table, version, BY_SLOT, CommitLimits())
        changes = [self._renamed(which, change) for which, change in enumerate(changes)]
        more = sum(len(change.inserted) - len(change.removed) for change in changes)
        demand_room(self.table.row_count + more, "union", "query.source.union")
        for which, change in enumerate(changes):
            if len(change.removed):
                self._erase(transaction, which, change)
            if len(change.updated):
                self._store(transaction, which, change)
        for which, change in enumerate(changes):
            if len(change.inserted):
                transaction.placed(self._place(which, change.inserted, version))
        return transaction.finish()

    def _renamed(self, which: int, change: Delta) -> Delta:
        """A change in which rows that get another name leave and come back."""
        renamed = (change.changed & self._renaming[which]) != 0
        if not renamed.any():
            return change
        rows, rest = renamed.nonzero()[0], (~renamed).nonzero()[0]
        result = change.take(np.arange(len(change.inserted)), np.arange(len(change.removed)), rest)
        result.inserted = np.concatenate((change.inserted, change.updated[rows]))
        result.removed = np.concatenate((change.removed, change.updated[rows]))
        result.reasons = np.concatenate((change.reasons, np.full(len(rows), RemoveReason.FILTERED, np.uint8)))
        return result

    def _place(self, which: int, slots: Slots, version: int) -> Slots:
        values: dict[int, Stored] = {0: (np.full(len(slots), self.branches[which], np.int64), None)}
        values.update((index, part.stored(slots)) for index, part in enumerate(self._parts[which], 1))
        return self.table.place_rows(self._numbers(which, slots), values, version)

    def _erase(self, transaction: Transaction, which: int, change: Delta) -> None:
        slots = self.table.slots_of(self._numbers(which, change.removed))
        for reason in np.unique(change.reasons).tolist():
            gone: BoolArray = change.reasons == reason
            transaction.erase(np.sort(slots[gone]), RemoveReason(reason))

    def _store(self, transaction: Transaction, which: int, change: Delta) -> None:
        written = int(np.bitwise_or.reduce(change.changed))
        values = {
            index: part.stored(change.updated)
            for index, part in enumerate(self._parts[which], 1)
            if part.position >= 0 and column_bit(part.position) & written
        }
        if values:
            transaction.store(self.table.slots_of(self._numbers(which, change.updated)), values)

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one row, without arrays where the row stays."""
        if kind is not ChangeKind.UPDATED or change.changed & int(self._renaming[which]):
            changes = [Delta(change.version) for _ in self.inputs]
            changes[which] = as_delta(self.inputs[which], kind, change)
            return self.apply(changes, change.version)
        table = self.table
        slot = table.keys.find_one((change.slot * len(self.inputs) + which,))
        before: dict[int, Scalar] = {}
        mask = 0
        for index, part in enumerate(self._parts[which], 1):
            if part.position not in change.before:
                continue
            column = table.columns[index]
            old, new = column.stored(slot), part.stored_one(change.slot)
            if old == new or (old != old and new != new):  # NaN equals NaN
                continue
            before[index] = old
            mask |= column_bit(index)
            column.write_stored(slot, new)
        if not mask:
            return None
        table.row_version[slot] = change.version
        result = RowChange(change.version, ChangeKind.UPDATED, slot, mask, before)
        result.words = {}
        return result

    def memory_bytes(self) -> int:
        """The memory held beside the derived table, in bytes."""
        return sum(part.codes.memory_bytes() for parts in self._parts for part in parts if part.codes is not None)

    def check(self) -> None:
        """Proves that exactly the rows of the inputs are there."""
        held = [self._numbers(which, source.hydrate()) for which, source in enumerate(self.inputs)]
        numbers = np.concatenate(held)
        assert len(numbers) == self.table.row_count, "the union has another number of rows than its inputs"
        assert bool((self.table.slots_of(numbers) >= 0).all()), "a row of an input is not in the union"
