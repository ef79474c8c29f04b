"""Joins: a row for every pair of rows, one of each of two relations, whose columns are equal.

A joined row is named by its pair of slots, so nothing is kept a row but the row itself; a left row without a match is,
in a left join, paired with nobody. Both sides are kept by key (`join_index.py`).

One commit may change both sides, and both may be derived from one table. So all that a commit does is worked out
together: the pairs of the rows that came, went or changed their key, as they were under the old keys of both sides and
as they are under the new ones. What is in the first set alone is erased, what is in the second alone is placed. Rows
that keep their partners and change other columns are written over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from tesseract_grpc.engine.data.schema import ColumnSchema, Scalar, TableSchema
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch, BoolArray
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.join_index import JoinIndex, Moves
from tesseract_grpc.engine.operators.join_keys import NO_NUMBER, Numbers
from tesseract_grpc.engine.operators.room import demand_room
from tesseract_grpc.engine.operators.writing import BY_SLOT

Pairs = NDArray[np.int64]
"""Left slot << 32 | right slot + 1; 0 in the place of the right one where there is none."""
_NOBODY = np.int64(0)


@dataclass(frozen=True, slots=True)
class JoinedColumn:
    """A column of a join: which side it is of (0 left, 1 right), its position there, and what it becomes."""

    side: int
    position: int
    column: ColumnSchema


class JoinOperator:
    """The pairs of matching rows of two filtered relations, as a derived table."""

    def __init__(
        self,
        name: str,
        inputs: Sequence[FilterOperator],
        on: Sequence[tuple[int, int]],
        columns: Sequence[JoinedColumn],
        version: int,
        history: HistoryLimits,
        *,
        outer: bool = False,
    ) -> None:
        """`on` are pairs of positions, left and right. With `outer` left rows without a match are kept.

        The key columns among `columns` must be those of the left relation, and those of the right one that are not
        among `on`: together they name a pair.
        """
        self.inputs = tuple(inputs)
        self.outer = outer
        self.index = JoinIndex(inputs[0].table, inputs[1].table, on)
        schema = TableSchema(tuple(replace(c.column, derived=True, required=False, default=None) for c in columns))
        self.table = DerivedTable(name, schema, version, history, self._pair_of)
        self._columns = tuple(columns)
        self._of_side = [
            [(index, joined.position) for index, joined in enumerate(columns) if joined.side == side] for side in (0, 1)
        ]
        for joined, column in zip(columns, self.table.columns, strict=True):
            column.dictionary = self.inputs[joined.side].table.columns[joined.position].dictionary

    # Names of rows

    def _pair_of(self, keys: Batch) -> Pairs:
        """The pairs that a client names so, -1 for those that are none."""
        sides = (self.index.left.relation, self.index.right.relation)
        named = {(c.side, c.position): keys.columns[c.column.name] for c in self._columns if c.column.primary_key}
        left = sides[0]
        wanted = Batch(keys.length, {left.schema.columns[p].name: named[0, p] for p in left.schema.key})
        slots = left.find(wanted)
        known = (slots >= 0).nonzero()[0]
        pairs = np.full(keys.length, -1, np.int64)
        numbers = self.index.left.rows.number[slots[known]]
        nobody = np.ones(keys.length, np.bool_)
        for (side, _), vector in named.items():
            if side == 1:
                nobody &= False if vector.valid is None else ~vector.valid
        alone = known[self._alone(numbers) & nobody[known]]
        pairs[alone] = slots[alone].astype(np.int64) << 32
        owners, partners = self._partners(numbers, 1)
        rows = known[owners]
        true = np.ones(len(rows), np.bool_)
        for (side, position), vector in named.items():
            if side == 1:
                values, valid = stored_at(sides[1].columns[position], partners)
                mine = np.ones(len(rows), np.bool_) if vector.valid is None else vector.valid[rows]
                theirs = np.ones(len(rows), np.bool_) if valid is None else valid
                true &= (mine == theirs) & (~mine | _alike(vector.values[rows], values))
        pairs[rows[true]] = _pairs(slots[rows[true]], partners[true])
        return pairs

    # Pairs

    def _partners(self, numbers: Numbers, side: int) -> tuple[NDArray[np.intp], Slots]:
        """The rows on a side (0 left, 1 right) with these keys, and at which index of `numbers` each stands."""
        there = (numbers >= 0).nonzero()[0]
        rows = self.index.right.rows if side else self.index.left.rows
        owners, slots = rows.rows_of(numbers[there])
        return there[owners], slots

    def _alone(self, numbers: Numbers) -> BoolArray:
        """Which left rows with these keys are there without a partner."""
        if not self.outer:
            return np.zeros(len(numbers), np.bool_)
        alone: BoolArray = (numbers < 0) | (self.index.right.rows.count[numbers] == 0)
        return alone

    def _pairs_of_left(self, slots: Slots, numbers: Numbers) -> Pairs:
        owners, partners = self._partners(numbers, 1)
        alone = self._alone(numbers)
        return np.concatenate((_pairs(slots[owners], partners), slots[alone].astype(np.int64) << 32))

    def _pairs_of_right(self, slots: Slots, numbers: Numbers) -> Pairs:
        owners, partners = self._partners(numbers, 0)
        return _pairs(partners, slots[owners])

    def _touched(self, left: tuple[Slots, Numbers], right: tuple[Slots, Numbers], keys: Numbers) -> Pairs:
        """The pairs of these rows of either side, and of left rows that have or had a partner only through them."""
        found = [self._pairs_of_left(*left), self._pairs_of_right(*right)]
        if self.outer and len(keys):
            bare = keys[self.index.right.rows.count[keys] == 0]
            found.append(self.index.left.rows.rows_of(bare)[1].astype(np.int64) << 32)
        return np.unique(np.concatenate(found))

    def _count(self, numbers: Numbers, side: int) -> int:
        """How many pairs rows with these keys make with those of the other side, which is `side`. O(rows)."""
        rows = self.index.right.rows if side else self.index.left.rows
        found = int(rows.count[numbers[numbers >= 0]].sum(dtype=np.int64))
        return found + int(np.count_nonzero(self._alone(numbers))) if side else found

    # Hydrating and following

    def hydrate(self, version: int) -> int:
        """Finds all pairs; returns the number of rows examined. O(n log n + pairs)."""
        left, right = (source.hydrate() for source in self.inputs)
        self.index.right.fill(right)
        numbers = self.index.left.fill(left)
        self.index.make_room()
        demand_room(self._count(numbers, 1), "join", "query.joins")
        self._place(self._pairs_of_left(left, numbers), version)
        return sum(source.examined for source in self.inputs)

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a commit. O(delta + pairs touched)."""
        index, transaction = self.index, Transaction(self.table, version, BY_SLOT, CommitLimits())
        moves = [side.moves(change) for side, change in zip((index.left, index.right), changes, strict=True)]
        index.make_room()
        born: Pairs = np.empty(0, np.int64)
        if any(moved is not None for moved in moves):
            left, right = (moved or Moves.none() for moved in moves)
            keys = right.touched()
            before = self._touched(left.before(), right.before(), keys)
            index.left.settle(left)
            index.right.settle(right)
            new = self._count(left.after()[1], 1) + self._count(right.after()[1], 0)
            demand_room(new // 2, "join", "query.joins")  # a pair of which both rows are new is counted twice
            after = self._touched(left.after(), right.after(), keys)
            gone = np.setdiff1d(before, after, assume_unique=True)
            born = np.setdiff1d(after, before, assume_unique=True)
            demand_room(self.table.row_count - len(gone) + len(born), "join", "query.joins")
            self._erase(transaction, gone, changes)
            index.give_back(np.union1d(left.touched(), keys).astype(np.int32))
        for side, change in enumerate(changes):
            if len(change.updated):
                self._rewrite(transaction, side, change)
        if len(born):
            transaction.placed(self._place(born, version))
        return transaction.finish()

    def _place(self, pairs: Pairs, version: int) -> Slots:
        return self.table.place_rows(pairs, self._values(pairs, range(len(self._columns))), version)

    def _values(self, pairs: Pairs, wanted: Sequence[int]) -> dict[int, Stored]:
        """The values of columns of joined rows."""
        slots = ((pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32) - 1)
        found = slots[1] >= 0
        whole = bool(found.all())
        values: dict[int, Stored] = {}
        for index in wanted:
            joined = self._columns[index]
            stored, valid = stored_at(self.inputs[joined.side].table.columns[joined.position], slots[joined.side])
            if joined.side == 1 and not whole:
                valid = found if valid is None else valid & found
                stored = np.where(valid, stored, np.zeros(1, stored.dtype))
            values[index] = (stored, valid)
        return values

    def _erase(self, transaction: Transaction, pairs: Pairs, changes: Sequence[Delta]) -> None:
        """Erases joined rows: as DELETED (or EXPIRED) where a row of the pair was, else as FILTERED."""
        if not len(pairs):
            return
        slots = self.table.slots_of(pairs)
        reasons = np.full(len(pairs), RemoveReason.FILTERED, np.uint8)
        for change, side in zip(changes, (pairs >> 32, (pairs & 0xFFFFFFFF) - 1), strict=True):
            if len(change.removed):
                order = np.argsort(change.removed)
                at = np.minimum(change.removed[order].searchsorted(side), len(order) - 1)
                gone = change.removed[order][at] == side
                told = change.reasons[order][at]
                reasons = np.where(gone & (told != RemoveReason.FILTERED), told, reasons)
        for reason in np.unique(reasons).tolist():
            transaction.erase(np.sort(slots[reasons == reason]), RemoveReason(reason))

    def _rewrite(self, transaction: Transaction, side: int, change: Delta) -> None:
        """Writes what changed in rows of one side to the joined rows that were there before and still are."""
        wanted = [
            index
            for index, joined in enumerate(self._columns)
            if joined.side == side and int(np.bitwise_or.reduce(change.changed)) & column_bit(joined.position)
        ]
        if not wanted:
            return
        slots = change.updated
        own = (self.index.right if side else self.index.left).rows.number[slots]
        pairs = self._pairs_of_right(slots, own) if side else self._pairs_of_left(slots, own)
        rows = self.table.slots_of(pairs)
        there = rows >= 0  # those that come are placed with their new values
        if there.any():
            transaction.store(rows[there], self._values(pairs[there], wanted))

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one row, without arrays where it is in one pair at most and keeps its key."""
        if kind is ChangeKind.UPDATED:
            side = self.index.right if which else self.index.left
            if not change.changed & int(side.mask):
                written = [(index, position) for index, position in self._of_side[which] if position in change.before]
                pair = self._only_pair(which, change.slot) if written else None
                if pair is None:
                    return None
                if pair >= 0:
                    return self._rewrite_one(which, change, pair, written)
        changes = [Delta(change.version) for _ in self.inputs]
        changes[which] = as_delta(self.inputs[which], kind, change)
        return self.apply(changes, change.version)

    def _only_pair(self, which: int, slot: int) -> int | None:
        """The pair that a row of one side is in; None when it is in none, -1 when it is in several."""
        mine, theirs = self.index.left.rows, self.index.right.rows
        if which:
            mine, theirs = theirs, mine
        number = mine.number.item(slot)
        partners = 0 if number < 0 else theirs.count.item(number)
        if partners > 1:
            return -1
        if not partners:
            return slot << 32 if self.outer and not which else None
        partner = theirs.rows_of(np.array([number], np.int32))[1].item(0)
        return partner << 32 | slot + 1 if which else slot << 32 | partner + 1

    def _rewrite_one(self, which: int, change: RowChange, pair: int, written: Sequence[tuple[int, int]]) -> RowChange:
        """Writes columns of one joined row."""
        table, source = self.table, self.inputs[which].table
        slot = table.keys.find_one((pair,))
        before: dict[int, Scalar] = {}
        mask = 0
        for index, position in written:
            column = table.columns[index]
            before[index] = column.stored(slot)
            mask |= column_bit(index)
            column.write_stored(slot, source.columns[position].stored(change.slot))
        table.row_version[slot] = change.version
        result = RowChange(change.version, ChangeKind.UPDATED, slot, mask, before)
        result.words = {}
        return result

    def memory_bytes(self) -> int:
        """The memory held beside the derived table, in bytes."""
        return self.index.memory_bytes()

    def check(self) -> None:
        """Proves that both sides are held by key, and that exactly the pairs that match are there."""
        self.index.check()
        left, right = (source.hydrate() for source in self.inputs)
        for side, slots in ((self.index.left, left), (self.index.right, right)):
            assert not (np.delete(side.rows.number, slots) != NO_NUMBER).any(), "a row that is gone is held"
        pairs = self._pairs_of_left(left, self.index.left.rows.number[left])
        assert len(pairs) == self.table.row_count, "there are more or fewer rows than pairs"
        assert bool((self.table.slots_of(pairs) >= 0).all()), "a pair is missing"


def _pairs(left: Slots, right: Slots) -> Pairs:
    return (left.astype(np.int64) << 32) | (right.astype(np.int64) + 1)


def _alike(mine: NDArray[np.generic], theirs: NDArray[np.generic]) -> BoolArray:
    equal: BoolArray = mine == theirs
    if mine.dtype == np.float64:
        equal |= (mine != mine) & (theirs != theirs)
    return equal
