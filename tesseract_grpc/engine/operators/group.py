"""Groups: rows with equal values become one row of a derived table, with aggregates that follow every change.

A row enters a group when it enters the filtered input and leaves it when it leaves; a row whose grouping columns change
leaves one group and enters another. What an aggregate needs of a row is told to its state: the old value goes out, the
new one comes in, and nothing else of the group is looked at. Only a state that cannot know its result from that
(a minimum whose last holder has left) asks for the rows of its groups again.

Which group each row is in is kept by slot, so neither the old key of a row nor the members of a group have to be worked
out from values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits
from tesseract_grpc.engine.data.delta import (
    ChangeKind,
    Delta,
    RowChange,
    Slots,
    Stored,
    column_bit,
    join_stored,
    stored_at,
    take_stored,
)
from tesseract_grpc.engine.data.derived_table import DerivedTable
from tesseract_grpc.engine.data.errors import InvalidRequest, OutOfRange, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.aggregate.arrays import capacity_for, distinct, grown
from tesseract_grpc.engine.operators.aggregate.contract import AggregateState
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.make import aggregate_column, inputs_of, is_ordered, make_state
from tesseract_grpc.engine.operators.aggregate.state import BLOCK
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.group_keys import GroupKeys
from tesseract_grpc.engine.operators.key_order import KeyOrder
from tesseract_grpc.engine.operators.writing import BY_SLOT
from tesseract_grpc.engine.query.grouping import Grouping

Numbers = NDArray[np.int64]
Rows = NDArray[np.intp]
Positions = tuple[int, ...]
_NO_ROW = -1
_FEW = 1 << 15  # groups whose numbers fit two bytes


def group_schema(grouping: Grouping, schema: TableSchema) -> TableSchema:
    """The columns of a grouped result: the grouping columns, then the aggregates. Raises InvalidRequest."""
    columns: list[ColumnSchema] = []
    for name in grouping.by:
        column = schema.column(name, field="query.group.by")
        if column.type is DataType.JSON:
            raise InvalidRequest(
                Reason.WRONG_TYPE, f"column '{name}' is JSON and cannot be grouped by", field="query.group.by"
            )
        columns.append(replace(column, primary_key=True, required=False, default=None, derived=True))
    for index, aggregate in enumerate(grouping.aggregates):
        columns.append(aggregate_column(aggregate, schema, f"query.group.aggregates[{index}]"))
    if not grouping.by:
        # One group of all rows: a constant names it.
        columns.insert(0, ColumnSchema("group", DataType.BOOL, primary_key=True, derived=True))
    return TableSchema(tuple(columns))


def columns_read(grouping: Grouping) -> frozenset[str]:
    """The columns that the groups are made of: those that group, and the inputs of the aggregates."""
    return frozenset(grouping.by).union(*map(inputs_of, grouping.aggregates))


class GroupOperator:
    """The groups of a filtered table, as a derived table."""

    def __init__(
        self, name: str, source: FilterOperator, grouping: Grouping, version: int, history: HistoryLimits
    ) -> None:
        table = source.table
        schema = group_schema(grouping, table.schema)
        self.filter = source
        self.inputs = (source,)
        self.source = table
        self.by = tuple(table.schema.position(column) for column in grouping.by)
        self.arguments = tuple(
            tuple(table.schema.position(name) for name in inputs_of(aggregate)) for aggregate in grouping.aggregates
        )
        ordered = table.keyed_order and any(map(is_ordered, grouping.aggregates))
        self._order = KeyOrder(table) if ordered else None  # in the place of the order of insertion
        self.states: list[AggregateState] = [
            make_state(aggregate, [table.columns[position] for position in read], self._order or table)
            for aggregate, read in zip(grouping.aggregates, self.arguments, strict=True)
        ]
        self._by_inputs: dict[Positions, list[AggregateState]] = {}
        for state, read in zip(self.states, self.arguments, strict=True):
            self._by_inputs.setdefault(read, []).append(state)
        self.keys = GroupKeys([table.columns[position] for position in self.by])
        self.table = DerivedTable(name, schema, version, history, self._number_of)
        self._first_value = max(1, len(self.by))  # the position of the first aggregate in the derived table
        self._share_texts()
        self._by_mask = np.uint64(sum({column_bit(position) for position in self.by}))
        # By number of group: how many rows it has, and the version at which it vanished last.
        self._members: Numbers = np.zeros(16, np.int64)
        self._left: Numbers = np.zeros(16, np.int64)
        self._vanished: deque[tuple[int, Numbers]] = deque()
        self._group_of: NDArray[np.signedinteger[Any]] = np.full(16, _NO_ROW, np.int16)  # by slot

    @property
    def reads(self) -> frozenset[int]:
        """The columns of the source whose old values are needed."""
        return frozenset(self.by).union(*self.arguments)

    def _share_texts(self) -> None:
        """Texts of the result are codes into the dictionaries of the source, or of a state that makes texts."""
        for index, position in enumerate(self.by):
            self.table.columns[index].dictionary = self.source.columns[position].dictionary
        for index, state in enumerate(self.states, self._first_value):
            if state.dictionary is not None:
                self.table.columns[index].dictionary = state.dictionary

    def _number_of(self, keys: Batch) -> Numbers:
        names = [self.source.columns[position].schema.name for position in self.by]
        stored: list[Stored] = [(keys.columns[name].values, keys.columns[name].valid) for name in names]
        return self.keys.numbers(stored, keys.length, add=False)

    # Hydrating

    def hydrate(self, version: int) -> int:
        """Groups all rows of the input; returns how many were examined. O(n). Raises OutOfRange."""
        with self._naming():
            return self._hydrate(version)

    def _hydrate(self, version: int) -> int:
        slots = self._input()
        count = self.source.high_water if slots is None else len(slots)
        blockwise, whole = self._in_blocks(True), self._in_blocks(False)
        self._make_room()
        # Block by block through all columns and states, so that each block is read from memory once.
        for start in range(0, count, BLOCK):
            stop = min(start + BLOCK, count)
            rows: Slots | slice = slice(start, stop) if slots is None else slots[start:stop]  # views instead of copies
            grouped = Grouped(self._numbered(rows, stop - start))
            grouped.count_into(self._members, 1)
            self._group_of[rows] = grouped.groups
            self._enter(blockwise, grouped, rows)
        if self._order is not None:
            self._order.fill(np.arange(count, dtype=np.int32) if slots is None else slots)
        if whole:
            rows = slice(0, count) if slots is None else slots
            slots = np.arange(count, dtype=np.int32) if slots is None else slots
            self._enter(whole, Grouped(self._group_of[rows].astype(np.int64), slots), rows)
        self._put_out(Transaction(self.table, version, BY_SLOT, CommitLimits()), np.arange(self.keys.count), version)
        return self.filter.examined

    def _input(self) -> Slots | None:
        """The rows of the input; None for all slots up to the high-water mark."""
        if self.filter.predicate.always and self.source.dense:
            self.filter.examined = self.source.row_count
            return None
        return self.filter.hydrate()

    def _in_blocks(self, blockwise: bool) -> dict[Positions, list[AggregateState]]:
        """The states that take in a table block by block, or those that want all rows at once."""
        found = {read: [s for s in states if s.in_blocks is blockwise] for read, states in self._by_inputs.items()}
        return {read: states for read, states in found.items() if states}

    def _numbered(self, rows: Slots | slice, count: int) -> Numbers:
        """The groups of rows, of which new ones come to be."""
        columns = self.source.columns
        numbers = self.keys.numbers([stored_at(columns[p], rows) for p in self.by], count, add=True)
        if self.keys.count > len(self._members):
            self._make_room()
        return numbers

    def _enter(self, wanted: dict[Positions, list[AggregateState]], grouped: Grouped, rows: Slots | slice) -> None:
        columns = self.source.columns
        values: dict[int, Stored] = {}
        for read, states in wanted.items():
            inputs = [values.setdefault(position, stored_at(columns[position], rows)) for position in read]
            for state in states:
                state.enter(grouped, inputs)

    def _make_room(self) -> None:
        capacity = len(self.source.alive)
        if capacity > len(self._group_of):
            self._group_of = grown(self._group_of, capacity, _NO_ROW)
        if self.keys.count > len(self._members):
            capacity = capacity_for(len(self._members), self.keys.count)
            self._members, self._left = grown(self._members, capacity), grown(self._left, capacity)
            if self.keys.count > _FEW and self._group_of.dtype == np.int16:
                self._group_of = self._group_of.astype(np.int32)
        for state in self.states:
            state.reserve(len(self._members))

    # Following

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a change of the source; returns the change of the derived table. O(delta) for most aggregates.

        Raises OutOfRange.
        """
        with self._naming():
            return self._apply(changes[0], version)

    def _apply(self, change: Delta, version: int) -> Delta:
        self._reclaim()
        self._make_room()
        inserted, removed, updated = change.inserted, change.removed, change.updated
        if self._order is not None:
            self._order.came(inserted)
        came = self._numbered(inserted, len(inserted))
        went = self._group_of[removed].astype(np.int64)
        was = self._group_of[updated].astype(np.int64)
        now = was
        if self._by_mask and (change.changed & self._by_mask).any():
            now = self._numbered(updated, len(updated))
        self._group_of[removed] = _NO_ROW
        self._group_of[inserted] = came
        self._group_of[updated] = now
        np.add.at(self._members, came, 1)
        np.add.at(self._members, now, 1)
        np.add.at(self._members, went, -1)
        np.add.at(self._members, was, -1)
        touched = [came, went]
        for read, states in self._by_inputs.items():
            rows = self._concerned(change, read)
            if not len(rows) and not len(came) and not len(went):
                continue
            slots = updated[rows]
            leaving = Grouped(np.concatenate((went, was[rows])), np.concatenate((removed, slots)))
            entering = Grouped(np.concatenate((came, now[rows])), np.concatenate((inserted, slots)))
            touched += (was[rows], now[rows])
            old, new = self._values(change, read, rows)
            for state in states:
                state.leave(leaving, old)
                state.enter(entering, new)
        if self._order is not None:
            self._order.went(removed)
        if now is not was:
            touched += (was, now)
        transaction = Transaction(self.table, version, BY_SLOT, CommitLimits())
        self._put_out(transaction, distinct(np.concatenate(touched)), version)
        return transaction.finish()

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one row, without arrays where the row stays in its group."""
        if kind is not ChangeKind.UPDATED or change.changed & int(self._by_mask):
            return self.apply([as_delta(self.inputs[which], kind, change)], change.version)
        with self._naming():
            return self._apply_one(change)

    def _apply_one(self, change: RowChange) -> RowChange | None:
        number = self._group_of.item(change.slot)
        slot, before, columns = change.slot, change.before, self.source.columns
        for read, states in self._by_inputs.items():
            if not any(position in before for position in read):
                continue
            new = [columns[position].stored(slot) for position in read]
            old = [before.get(position, value) for position, value in zip(read, new, strict=True)]
            for state in states:
                state.leave_one(number, slot, old)
                state.enter_one(number, slot, new)
                self._rebuild(state)
        return self._put_out_one(number, change.version)

    def _put_out_one(self, number: int, version: int) -> RowChange | None:
        """Writes one group that is there to the derived table; None when none of its values changed."""
        table = self.table
        slot = table.keys.find_one((number,))
        before: dict[int, Scalar] = {}
        mask = 0
        # All results before anything is written: one may be out of range.
        results = [state.result_one(number) for state in self.states]
        for position, value in enumerate(results, self._first_value):
            column = table.columns[position]
            old = column.stored(slot)
            if old == value or (old != old and value != value):  # NaN equals NaN
                continue
            before[position] = old
            mask |= column_bit(position)
            column.write_stored(slot, value)
        if not mask:
            return None
        table.row_version[slot] = version
        change = RowChange(version, ChangeKind.UPDATED, slot, mask, before)
        change.words = {}
        return change

    def _values(self, change: Delta, read: Positions, rows: Rows) -> tuple[list[Stored], list[Stored]]:
        """The values of inputs that leave groups and that enter them: removed or inserted rows, then updated ones."""
        old: list[Stored] = []
        new: list[Stored] = []
        for position in read:
            column = self.source.columns[position]
            before = take_stored(change.old_updated(self.source, position), rows)
            old.append(join_stored(change.old_removed(self.source, position), before))
            new.append(join_stored(stored_at(column, change.inserted), stored_at(column, change.updated[rows])))
        return old, new

    def _concerned(self, change: Delta, read: Positions) -> Rows:
        """Which updated rows an aggregate over columns has to hear of: a value changed, or the group did."""
        mask = self._by_mask | np.uint64(sum({column_bit(position) for position in read}))
        return (change.changed & mask).nonzero()[0]

    def _put_out(self, transaction: Transaction, touched: Numbers, version: int) -> None:
        """Writes the groups that may have changed to the derived table."""
        empty = self._members[touched] == 0
        slots = self.table.slots_of(touched)
        dead = touched[empty]
        for state in self.states:
            if len(dead):
                state.clear(dead)
            self._rebuild(state)
        gone = slots[empty & (slots >= 0)]
        if len(gone):
            transaction.erase(np.sort(gone))
        if len(dead) and self.by:
            self._left[dead] = version
            self._vanished.append((version, dead))
        stays = (~empty & (slots >= 0)).nonzero()[0]
        if len(stays):
            transaction.store(slots[stays], self._results(touched[stays]))
        born = touched[~empty & (slots < 0)]
        if len(born):
            values = self._results(born)
            values.update(enumerate(self._key_values(born)))
            transaction.placed(self.table.place_rows(born, values, version))

    def _reclaim(self) -> None:
        """Gives the numbers back of groups that vanished and whose removal history has forgotten. O(numbers)."""
        while self._vanished and self._vanished[0][0] <= self.table.changelog.since:
            version, numbers = self._vanished.popleft()
            # A group that came back keeps its number; one that vanished again is told of later.
            numbers = numbers[(self._members[numbers] == 0) & (self._left[numbers] == version)]
            if len(numbers):
                self.keys.forget(numbers)

    def _key_values(self, numbers: Numbers) -> Sequence[Stored]:
        return self.keys.values(numbers) if self.by else [(np.ones(len(numbers), np.bool_), None)]

    def _results(self, numbers: Numbers) -> dict[int, Stored]:
        return {self._first_value + index: state.result(numbers) for index, state in enumerate(self.states)}

    def _rebuild(self, state: AggregateState) -> None:
        """Looks again at the rows of the groups of which a state no longer knows its result. O(rows of the source)."""
        stale = state.stale()
        if not len(stale):
            return
        held = self._group_of[: self.source.high_water]
        if len(stale) == 1:
            slots = (held == stale[0]).nonzero()[0]
        else:
            wanted = np.zeros(self.keys.count + 1, np.bool_)  # the last one is for slots without a group, which hold -1
            wanted[stale] = True
            slots = wanted[held].nonzero()[0]
        inputs = [stored_at(self.source.columns[position], slots) for position in self._read_by(state)]
        state.rebuild(stale, Grouped(held[slots].astype(np.int64), slots.astype(np.int32)), inputs)

    def _read_by(self, state: AggregateState) -> Positions:
        return self.arguments[self.states.index(state)]

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """An error of one group says of which."""
        try:
            yield
        except OutOfRange as error:
            message = f"{error.message} (group: {self.name_of(error.group)})"
            raise OutOfRange(error.reason, message, field=error.field, hint=error.hint, group=error.group) from None

    def name_of(self, number: int) -> str:
        """What a group is called in a message: its key."""
        if not self.by or number < 0:
            return "all rows"
        stored = self.keys.values(np.array([number]))
        values = [self.table.columns[index].vector(*each).to_list()[0] for index, each in enumerate(stored)]
        names = [self.source.columns[position].schema.name for position in self.by]
        return ", ".join(f"{name} = {value!r}" for name, value in zip(names, values, strict=True))

    def memory_bytes(self) -> int:
        """The memory held beside the derived table, in bytes."""
        own = self._members.nbytes + self._left.nbytes + self._group_of.nbytes + self.keys.memory_bytes()
        own += 0 if self._order is None else self._order.memory_bytes()
        return own + sum(state.memory_bytes() for state in self.states)

    def check(self) -> None:
        """Proves that the rows of the input, and no others, are in groups."""
        slots = self.filter.hydrate()
        assert np.array_equal(np.sort(slots), (self._group_of[: self.source.high_water] >= 0).nonzero()[0])
        if self._order is not None:
            self._order.check()
