"""Lookups: rows with columns of the rows of other relations that have equal columns.

The operator adds to every row of the left relation what the first matching row of each right one has, and null where
none matches. So a row stays the row that it was, in its slot and under its key. With `inner`, rows without a match are
left out: that is an inner join with a relation in which at most one row can match, its key being what is compared.

For every lookup both sides are kept by key (`join_index.py`), and for every key the right row that counts. A change of
a right row leads through its key to the left rows that show it, and to no others; a change of a left row that concerns
no key is handed on as it is; a change of a right row in columns that nobody looks at ends here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.delta import (
    NO_SLOTS,
    ChangeKind,
    Delta,
    RemoveReason,
    RowChange,
    Slots,
    Stored,
    changed_values,
    column_bit,
    join_stored,
    stored_at,
    take_stored,
)
from tesseract_grpc.engine.data.extended_table import ExtendedTable
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.filter import FilterOperator, as_delta
from tesseract_grpc.engine.operators.join_index import JoinIndex, Moves
from tesseract_grpc.engine.operators.join_keys import Numbers
from tesseract_grpc.engine.operators.precedence import Precedence

_NOBODY = -1
_NO_NUMBERS: Numbers = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Taken:
    """A column of a right relation, by position, and the column that it becomes."""

    position: int
    column: ColumnSchema


@dataclass(frozen=True, slots=True)
class LookupSpec:
    """One lookup: pairs of columns (left, right) that must be equal, and what is taken of the right row."""

    on: tuple[tuple[int, int], ...]
    taken: tuple[Taken, ...]
    inner: bool = False


class _Lookup:
    """One lookup: who shows whom."""

    def __init__(self, left: FilterOperator, right: FilterOperator, spec: LookupSpec, first: int) -> None:
        self.spec = spec
        self.source = right
        self.relation = right.table
        self.positions = range(first, first + len(spec.taken))
        """Where its columns stand in the derived table."""
        self.index = JoinIndex(left.table, right.table, spec.on)
        self.chosen: Slots = np.full(64, _NOBODY, np.int32)
        """By key number: the right row that counts, -1 where there is none."""
        self._precedence = Precedence(right.table)
        self._taken_mask = np.uint64(sum({column_bit(taken.position) for taken in spec.taken}))
        self.right_mask = int(self._taken_mask | self.index.right.mask)

    def hydrate(self, left: Slots) -> None:
        """Fills both sides."""
        slots = self.source.hydrate()
        numbers = self.index.right.fill(slots)
        self.index.left.fill(left)
        self._make_room()
        there = numbers >= 0
        sets, first = self._precedence.first_of_each(numbers[there], slots[there])
        self.chosen[sets] = first

    def _make_room(self) -> None:
        self.index.make_room()
        if self.index.keys.count > len(self.chosen):
            grown = np.full(self.index.keys.count + (self.index.keys.count >> 1), _NOBODY, np.int32)
            grown[: len(self.chosen)] = self.chosen
            self.chosen = grown

    def shown_by(self, left: Slots) -> Slots:
        """The right row that each of these left rows shows, -1 where there is none."""
        numbers = self.index.left.rows.number[left]
        # The last key is looked at for rows without one; what is found there is put aside.
        shown: Slots = np.where(numbers >= 0, self.chosen[numbers], np.int32(_NOBODY))
        return shown

    def follow(self, left: Delta, right: Delta) -> Slots:
        """Follows both sides; returns left rows that may show something else now. They are distinct. O(delta)."""
        gone = self.index.right.moves(right) if len(right) else None
        moved = self.index.left.moves(left) if len(left) else None
        self._make_room()
        numbers = self._rewritten(right)
        if gone is not None:
            numbers = np.union1d(numbers, self._choose(gone)).astype(np.int32)
        if moved is not None:
            self.index.left.settle(moved)
        touched = [] if not len(numbers) else [self.index.left.rows.rows_of(numbers)[1]]
        if moved is not None and len(moved.rekeyed):
            touched.append(moved.rekeyed)
        if gone is not None or moved is not None:
            self.index.give_back(_left_by(gone, moved))
        if not touched:
            return NO_SLOTS
        return touched[0] if len(touched) == 1 else _union(touched)

    def _rewritten(self, right: Delta) -> Numbers:
        """The keys whose chosen row has other values in the columns that are taken."""
        if not len(right.updated):
            return _NO_NUMBERS
        slots = right.updated[(right.changed & self._taken_mask) != 0]
        numbers = self.index.right.rows.number[slots]
        numbers, slots = numbers[numbers >= 0], slots[numbers >= 0]
        return np.unique(numbers[self.chosen[numbers] == slots])

    def _choose(self, moves: Moves) -> Numbers:
        """Right rows came, went or changed their key: chooses anew; returns the keys whose chosen row is another."""
        rows = self.index.right.rows
        self.index.right.settle(moves)
        touched = moves.touched()
        was = self.chosen[touched]
        stays = (was >= 0) & (rows.number[was] == touched)
        slots, numbers = moves.after()
        there = numbers >= 0
        candidates = [(touched[stays], was[stays]), (numbers[there], slots[there])]
        bereft = touched[(was >= 0) & ~stays]  # their row is gone: any of the others may be the first now
        if len(bereft):
            owners, others = rows.rows_of(bereft)
            candidates.append((bereft[owners], others))
        self.chosen[touched] = _NOBODY
        sets, first = self._precedence.first_of_each(
            np.concatenate([sets for sets, _ in candidates]), np.concatenate([slots for _, slots in candidates])
        )
        self.chosen[sets] = first
        other: Numbers = touched[self.chosen[touched] != was]
        return other

    def values(self, left: Slots) -> list[Stored]:
        """The values of its columns for left rows."""
        slots = self.shown_by(left)
        found = slots >= 0
        everywhere = bool(found.all())
        values: list[Stored] = []
        for taken in self.spec.taken:
            stored, valid = stored_at(self.relation.columns[taken.position], slots)
            if not everywhere:
                valid = found if valid is None else valid & found
                stored = np.where(valid, stored, np.zeros(1, stored.dtype))
            values.append((stored, valid))
        return values

    def check(self, left: Slots) -> None:
        """Proves that both sides are held, and that the first of the right rows counts."""
        self.index.check()
        slots = self.source.hydrate()
        rows = self.index.right.rows
        numbers = rows.number[slots]
        assert np.count_nonzero(rows.number >= 0) == np.count_nonzero(numbers >= 0)
        assert not (np.delete(self.index.left.rows.number, left) >= 0).any(), "a row that is gone is held"
        there = numbers >= 0
        sets, first = self._precedence.first_of_each(numbers[there], slots[there])
        true = np.full(len(self.chosen), _NOBODY, np.int32)
        true[sets] = first
        assert np.array_equal(true, self.chosen), "another row counts than the first"


def _left_by(*sides: Moves | None) -> Numbers:
    """The keys from which rows went."""
    there = [moves for moves in sides if moves is not None]
    numbers = np.unique(np.concatenate([part for moves in there for part in (moves.went_from, moves.rekeyed_from)]))
    return numbers[numbers >= 0]


class LookupOperator:
    """The rows of a relation with what was looked up for each of them in others."""

    def __init__(
        self,
        name: str,
        inputs: Sequence[FilterOperator],
        specs: Sequence[LookupSpec],
        version: int,
        history: HistoryLimits,
    ) -> None:
        """`inputs` are the left relation and, lookup by lookup, the right ones."""
        self.inputs = tuple(inputs)
        self.base = inputs[0].table
        columns = [replace(taken.column, derived=True) for spec in specs for taken in spec.taken]
        self.table = ExtendedTable(name, self.base, columns, version, history)
        self.lookups: list[_Lookup] = []
        first = len(self.base.columns)
        for source, spec in zip(inputs[1:], specs, strict=True):
            self.lookups.append(_Lookup(inputs[0], source, spec, first))
            for taken in spec.taken:
                # Texts are codes into the dictionary of the column that they are taken from.
                self.table.columns[first].dictionary = source.table.columns[taken.position].dictionary
                first += 1
        self._inner = [lookup for lookup in self.lookups if lookup.spec.inner]
        self._key_mask = int(np.bitwise_or.reduce([lookup.index.left.mask for lookup in self.lookups]))

    def hydrate(self, version: int) -> int:
        """Looks everything up; returns the number of rows examined. O(n log n)."""
        self.table.make_room()
        slots = self.inputs[0].hydrate()
        for lookup in self.lookups:
            lookup.hydrate(slots)
        slots = slots[self._matched(slots)] if self._inner else slots
        self._write(slots)
        self.table.admit(slots)
        return sum(source.examined for source in self.inputs)

    def _matched(self, slots: Slots) -> BoolArray:
        """Which of these left rows are there: those that every inner join finds a row for."""
        there = np.ones(len(slots), np.bool_)
        for lookup in self._inner:
            there &= lookup.shown_by(slots) >= 0
        return there

    def _write(self, slots: Slots) -> None:
        """Writes the columns of rows that come."""
        for lookup in self.lookups:
            for position, stored in zip(lookup.positions, lookup.values(slots), strict=True):
                self.table.columns[position].write(slots, *stored)

    # Following

    def apply(self, changes: Sequence[Delta], version: int) -> Delta:
        """Follows a commit. O(delta + left rows that show something else)."""
        left, table = changes[0], self.table
        table.make_room()
        touched = [lookup.follow(left, right) for lookup, right in zip(self.lookups, changes[1:], strict=True)]
        if len(left.inserted):
            touched = [slots[~np.isin(slots, left.inserted)] if len(slots) else slots for slots in touched]
        if not self._inner and not any(map(len, touched)):
            return self._same(left, version)
        rows = _union([left.updated, *touched])
        was, now = table.alive[rows], self._matched(rows)
        stay, leave = rows[was & now], rows[was & ~now]
        came = np.concatenate((left.inserted[self._matched(left.inserted)], rows[now & ~was]))
        result = Delta(version, inserted=came)
        self._remove(result, left, leave)
        self._update(result, left, stay, touched)
        self._come(came)
        return result

    def _same(self, left: Delta, version: int) -> Delta:
        """No row that stays shows anything else: the change of the left relation is the change of this one."""
        self._come(left.inserted)
        result = replace(left, version=version)
        self._remove(result, left, NO_SLOTS)
        return result

    def _come(self, slots: Slots) -> None:
        if len(slots):
            self._write(slots)
            self.table.admit(slots)

    def _remove(self, result: Delta, left: Delta, left_out: Slots) -> None:
        """Rows that leave the left relation, and rows that stay there and have no match any more.

        What leaves and is still there below may come back with other values, so its old values go with it.
        """
        table = self.table
        there = table.alive[left.removed].nonzero()[0]
        gone = left.removed[there]
        result.removed = np.concatenate((gone, left_out))
        result.reasons = np.concatenate((left.reasons[there], np.full(len(left_out), RemoveReason.FILTERED, np.uint8)))
        result.removed_before = {}
        if len(left_out) or left.removed_before or self.base.alive[gone].any():
            parts = left.take(NO_SLOTS, there, NO_SLOTS)
            for position in range(len(self.base.columns)):
                stay = self._old(left, position, left_out)
                result.removed_before[position] = join_stored(parts.old_removed(self.base, position), stay)
            for lookup in self.lookups:
                for position in lookup.positions:
                    result.removed_before[position] = stored_at(table.columns[position], result.removed)
        if len(result.removed):
            table.dismiss(result.removed)

    def _old(self, left: Delta, position: int, slots: Slots) -> Stored:
        """The old values of a column of the left relation, for rows that stay there. `slots` ascend."""
        values, valid = stored_at(self.base.columns[position], slots)
        image = left.before.get(position)
        if image is None or not len(slots):
            return values, valid
        at = np.minimum(slots.searchsorted(left.updated), len(slots) - 1)
        known = slots[at] == left.updated
        values[at[known]] = image[0][known]
        if valid is not None or image[1] is not None:
            valid = np.ones(len(slots), np.bool_) if valid is None else valid
            valid[at[known]] = True if image[1] is None else image[1][known]
        return values, valid

    def _update(self, result: Delta, left: Delta, rows: Slots, touched: Sequence[Slots]) -> None:
        """Rows that stay, `rows`, which ascend: what changed of the left row, and what they show now."""
        changed = np.zeros(len(rows), np.uint64)
        before: dict[int, Stored] = {}
        if len(left.updated) and len(rows):
            at = np.minimum(rows.searchsorted(left.updated), len(rows) - 1)
            known = rows[at] == left.updated
            changed[at[known]] = left.changed[known]
            before = {position: self._old(left, position, rows) for position in left.before}
        for lookup, slots in zip(self.lookups, touched, strict=True):
            at = np.minimum(rows.searchsorted(slots), max(0, len(rows) - 1))
            if len(rows) and len(slots):
                self._show(lookup, rows, at[rows[at] == slots], changed, before)
        kept = changed.nonzero()[0]
        result.updated, result.changed = rows[kept], changed[kept]
        if len(kept) < len(rows):
            before = {p: (values[kept], None if ok is None else ok[kept]) for p, (values, ok) in before.items()}
        result.before = before if len(kept) else {}

    def _show(
        self,
        lookup: _Lookup,
        rows: Slots,
        at: NDArray[np.intp],
        changed: NDArray[np.uint64],
        before: dict[int, Stored],
    ) -> None:
        """Writes what the rows at these indexes show now, where it is something else."""
        slots = rows[at]
        for position, new in zip(lookup.positions, lookup.values(slots), strict=True):
            column = self.table.columns[position]
            differ = changed_values(stored_at(column, slots), new).nonzero()[0]
            if len(differ):
                before[position] = stored_at(column, rows)
                changed[at[differ]] |= np.uint64(column_bit(position))
                column.write(slots[differ], *take_stored(new, differ))

    def apply_one(self, which: int, kind: ChangeKind, change: RowChange) -> RowChange | Delta | None:
        """The same for a change of one row; what concerns no key and nothing that is shown costs next to nothing."""
        if kind is ChangeKind.UPDATED:
            if which and not change.changed & self.lookups[which - 1].right_mask:
                return None
            if not which and not change.changed & self._key_mask:
                return change if self.table.alive[change.slot] else None
        changes = [Delta(change.version) for _ in self.inputs]
        changes[which] = as_delta(self.inputs[which], kind, change)
        return self.apply(changes, change.version)

    def memory_bytes(self) -> int:
        """The memory held beside the derived table, in bytes."""
        return sum(lookup.index.memory_bytes() + lookup.chosen.nbytes for lookup in self.lookups)

    def check(self) -> None:
        """Proves that the right rows are there, and that the sides of every lookup are held."""
        slots = self.inputs[0].hydrate()
        for lookup in self.lookups:
            lookup.check(slots)
        there = slots[self._matched(slots)]
        assert np.array_equal(np.sort(there), self.table.live_slots()), "other rows are there than find a match"


def _union(parts: Sequence[Slots]) -> Slots:
    """The slots that stand in any part, ascending."""
    return np.unique(np.concatenate(parts))
