"""Editing a session in place: from what its readers have to what the new definition shows.

At an edit every reader is first given what it is owed under the old definition, and then the difference between the two
results, as one change: rows that are in both are not sent again, only the columns of them that are new or differ, and
moves for the fewest rows that will do. Rows are the same when they have the same key. When the new result names its
rows by other columns, nothing that a reader has can be kept, and it begins anew.

Both are worked out when the edit is made, because afterwards the old result may be gone. A reader that has not even
taken them when the next edit comes begins anew too: so what is held for a reader is bounded by what it has and what
there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import RemoveReason, Slots, changed_values, column_bit, stored_at
from tesseract_grpc.engine.data.extended_table import root
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import Batch, BoolArray, Vector
from tesseract_grpc.engine.live.changes import Changes, Inserts, Moves, SessionSchema
from tesseract_grpc.engine.live.moved import staying
from tesseract_grpc.engine.live.reader import group_removes, group_updates


@dataclass(frozen=True, slots=True)
class View:
    """What a window of a session shows, or showed: rows in order, and which columns of them.

    The columns are those that the relation has when the view is made, under the names that they have then: the relation
    may be altered afterwards, and the view be what it was before.
    """

    table: Relation
    slots: Slots
    positions: tuple[int, ...]
    total: int  # the number of rows of which the window is a part
    columns: Mapping[str, Column] = field(init=False)
    """What it shows, by name."""
    named_by: Mapping[str, Column] = field(init=False)
    """What names its rows, by name."""

    def __post_init__(self) -> None:
        schema, columns = self.table.schema, self.table.columns
        object.__setattr__(self, "columns", {schema.columns[p].name: columns[p] for p in self.positions})
        object.__setattr__(self, "named_by", {schema.columns[p].name: columns[p] for p in schema.key})

    @property
    def key(self) -> list[tuple[str, int]]:
        """The columns that name its rows, by name and type."""
        return [(name, int(column.type)) for name, column in self.named_by.items()]

    def keys(self, slots: Slots) -> Batch:
        """What names these rows of its relation. O(rows)."""
        return Batch(len(slots), {name: column.read(slots) for name, column in self.named_by.items()})


def held(table: Relation, slots: Slots) -> BoolArray:
    """By slot, which rows are in a result. The windows of all readers share it; -1, which is no slot, finds no row."""
    found = np.zeros(len(root(table).alive) + 1, np.bool_)
    found[slots] = True
    return found


def difference(
    before: View,
    after: View,
    everything: BoolArray,
    version: int,
    schema: SessionSchema,
    gone: RemoveReason = RemoveReason.FILTERED,
    *,
    placed: bool = True,
) -> Changes | None:
    """The change from one view to another, from the version before `version`; None when rows have other names.

    `everything` says which rows the whole new result has (`held`), `gone` why rows left that are not even in the
    relation that is read, `placed` whether rows have places. O(rows log rows).
    """
    if before.key != after.key or not _named_alike(before, after):
        return None
    table = after.table
    was, now = _same_slots(before, after), after.slots
    same = np.array_equal(was, now)
    stays, known = (np.ones(len(now), np.bool_),) * 2 if same else (np.isin(was, now), np.isin(now, was))
    changes = Changes(version - 1, version, total_count=after.total, session_changed=schema)
    left, came = (~stays).nonzero()[0], (~known).nonzero()[0]
    if len(left):
        there = was[left] >= 0
        reasons = np.where(everything[was[left]], RemoveReason.WINDOW, np.where(there, RemoveReason.FILTERED, gone))
        keys = before.keys(before.slots[left])
        changes.removes = group_removes(keys, reasons.astype(np.uint8))
    if len(came):
        changes.inserts = Inserts(table.batch(now[came], after.positions), came if placed else None)
    stayed = known.nonzero()[0]
    if len(stayed):
        at = stayed
        if not same:
            order = np.argsort(was, kind="stable")
            at = order[np.searchsorted(was, now[stayed], sorter=order)]  # where each stood before
        masks = _differing(before, after, before.slots[at], now[stayed])
        changes.updates = group_updates(table, now[stayed], masks, after.positions)
        moved = (~staying(at.astype(np.int64))).nonzero()[0] if placed and not same else came[:0]
        if len(moved):
            changes.moves = Moves(table.batch(now[stayed[moved]], table.schema.key), stayed[moved])
    changes.total_changed = before.total != after.total
    return changes


def _named_alike(before: View, after: View) -> bool:
    """Whether what names the rows of one relation are the very same columns: others may give them other names, or the
    names of others."""
    if root(before.table) is not root(after.table):
        return True
    return all(column is after.named_by[name] for name, column in before.named_by.items())


def _same_slots(before: View, after: View) -> NDArray[np.int32]:
    """Where the rows of a view are in the relation of another; -1 where they are not."""
    if root(before.table) is root(after.table):
        return before.slots
    keys = before.keys(before.slots)
    columns = {name: translated(keys.columns[name], column) for name, column in after.named_by.items()}
    return after.table.find(Batch(len(before.slots), columns))


def translated(vector: Vector, column: Column) -> Vector:
    """The same values with the codes of another column's dictionary; -1 for texts that it does not know."""
    dictionary = column.dictionary
    if dictionary is None or vector.texts is None or vector.texts is dictionary.texts:
        return vector
    used, places = np.unique(vector.values, return_inverse=True)
    texts, known = vector.texts, np.full(len(used), -1, np.int32)
    coded = (used >= 0) & (used < len(texts))  # what stands in the place of a null need not be a code
    known[coded] = dictionary.find_many([texts[code] for code in used[coded].tolist()])
    return Vector(vector.type, known[places], vector.valid, dictionary.texts)


def _differing(before: View, after: View, old: Slots, new: Slots) -> NDArray[np.uint64]:
    """Masks of which columns of the view after a reader must be told of rows that it has."""
    masks = np.zeros(len(new), np.uint64)
    for position in after.positions:
        column, described = after.table.columns[position], after.table.schema.columns[position]
        if described.primary_key:
            continue
        differ = _column_differs(before.columns.get(described.name), column, old, new)
        if differ is not None:
            masks |= differ.astype(np.uint64) << np.uint64(column_bit(position).bit_length() - 1)
    return masks


def _column_differs(had: Column | None, column: Column, old: Slots, new: Slots) -> BoolArray | None:
    """In which rows a column differs from what a reader has; None where it cannot."""
    if had is column and (old is new or np.array_equal(old, new)):
        return None
    if had is None or had.type is not column.type:
        return np.ones(len(new), np.bool_)
    if had.dictionary is column.dictionary:
        return changed_values(stored_at(had, old), stored_at(column, new))
    mine = translated(had.read(old), column)
    return changed_values((mine.values, mine.valid), stored_at(column, new))
