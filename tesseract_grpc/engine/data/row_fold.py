"""Many changes of single rows as one net change.

Folding deltas costs some array calls for each of them, which ten thousand commits of one row would pay ten thousand
times. Changes of single rows are Python values, so they are folded as such, at about a microsecond each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import (
    ALL_COLUMNS,
    ChangeKind,
    Delta,
    HasColumns,
    RowChange,
    Slots,
    Stored,
    stored_at,
)
from tesseract_grpc.engine.data.schema import Scalar

_ALL = int(ALL_COLUMNS)
_Before = Mapping[int, Scalar]


def fold_rows(version: int, changes: Sequence[RowChange], relation: HasColumns) -> Delta:
    """The net effect of successive changes of single rows, by rising slot. O(changes + rows log rows)."""
    masks: dict[int, int] = {}
    befores: dict[int, _Before] = {}  # old values of each row: of the change that wrote a column first
    born: set[int] = set()
    gone: dict[int, RowChange] = {}
    for change in changes:
        slot, mask = change.slot, change.changed
        if change.kind is not ChangeKind.UPDATED:
            mask = _ALL
            if change.kind is ChangeKind.REMOVED:
                gone[slot] = change
            elif slot in masks:
                del gone[slot]
            else:
                born.add(slot)
        if slot in masks:
            masks[slot] |= mask
            befores[slot] = {**change.before, **befores[slot]}
        else:
            masks[slot], befores[slot] = mask, change.before
    slots = sorted(masks)
    if born or gone:
        came = [slot for slot in slots if slot in born and slot not in gone]
        left = [slot for slot in slots if slot in gone and slot not in born]
        slots = [slot for slot in slots if slot not in born and slot not in gone]
    else:
        came = left = []
    stayed = [slot for slot in slots if masks[slot]]
    inserted, removed, updated = (np.array(each, np.int32) for each in (came, left, stayed))
    return Delta(
        version,
        inserted,
        removed,
        np.array([gone[slot].reason for slot in left], np.uint8),
        updated,
        np.array([masks[slot] for slot in stayed], np.uint64),
        _images(updated, [befores[slot] for slot in stayed], relation),
        _images(removed, [befores[slot] for slot in left], relation),
    )


def _images(slots: Slots, befores: Sequence[_Before], relation: HasColumns) -> dict[int, Stored]:
    """What was there before, for every column that was written in one of the rows at least."""
    return {
        position: _image(relation.columns[position], slots, befores, position)
        for position in sorted(set[int]().union(*befores))
    }


def _image(column: Column, slots: Slots, befores: Sequence[_Before], position: int) -> Stored:
    written = [row for row, before in enumerate(befores) if position in before]
    old = [befores[row][position] for row in written]
    values, valid = stored_at(column, slots)
    rows = slice(None) if len(written) == len(slots) else np.array(written, np.intp)
    nulls = None in old
    values[rows] = np.array([0 if value is None else value for value in old] if nulls else old, values.dtype)
    if nulls or valid is not None:
        valid = np.ones(len(slots), np.bool_) if valid is None else valid
        valid[rows] = [value is not None for value in old]
    return values, valid
