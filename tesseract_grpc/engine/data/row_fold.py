"""Many changes of single rows as one net change.

Folding deltas costs some array calls for each of them, which ten thousand commits of one row would pay ten thousand
times. Changes of single rows are Python values, so they are folded as such, at about a microsecond each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import (
    ALL_COLUMNS,
    ChangeKind,
    Delta,
    HasColumns,
    RowChange,
    Stored,
    stored_at,
)
from tesseract_grpc.engine.data.schema import Scalar

_ALL = int(ALL_COLUMNS)


class _Net:
    """What became of one row: its first and its last change, what changed in between, and what was there before."""

    __slots__ = ("before", "first", "last", "mask", "shared")

    def __init__(self, change: RowChange) -> None:
        self.first = self.last = change
        self.mask = change.changed if change.kind is ChangeKind.UPDATED else _ALL
        self.before = change.before
        self.shared = True  # `before` is the change's own

    def then(self, change: RowChange) -> None:
        self.last = change
        self.mask |= change.changed if change.kind is ChangeKind.UPDATED else _ALL
        before = self.before
        for position, value in change.before.items():
            if position not in before:
                if self.shared:
                    before, self.shared = dict(before), False
                    self.before = before
                assert isinstance(before, dict)
                before[position] = value


def fold_rows(version: int, changes: Sequence[RowChange], relation: HasColumns) -> Delta:
    """The net effect of successive changes of single rows, by rising slot. O(changes + rows log rows)."""
    rows: dict[int, _Net] = {}
    for change in changes:
        net = rows.get(change.slot)
        if net is None:
            rows[change.slot] = _Net(change)
        else:
            net.then(change)
    came: list[int] = []
    gone: list[int] = []
    stayed: list[int] = []
    for slot in sorted(rows):
        net = rows[slot]
        existed = net.first.kind is not ChangeKind.INSERTED
        exists = net.last.kind is not ChangeKind.REMOVED
        if existed and exists:
            if net.mask:
                stayed.append(slot)
        elif exists:
            came.append(slot)
        elif existed:
            gone.append(slot)
    return Delta(
        version,
        inserted=np.array(came, np.int32),
        removed=np.array(gone, np.int32),
        reasons=np.array([rows[slot].last.reason for slot in gone], np.uint8),
        updated=np.array(stayed, np.int32),
        changed=np.array([rows[slot].mask for slot in stayed], np.uint64),
        before=_images(stayed, rows, relation),
        removed_before=_images(gone, rows, relation),
    )


def _images(slots: Sequence[int], rows: dict[int, _Net], relation: HasColumns) -> dict[int, Stored]:
    """What was there before, for every column that was written in one of the rows at least."""
    values: dict[int, tuple[list[int], list[Scalar]]] = {}
    for at, slot in enumerate(slots):
        for position, value in rows[slot].before.items():
            known = values.get(position)
            if known is None:
                known = values[position] = ([], [])
            known[0].append(at)
            known[1].append(value)
    where = np.array(slots, np.int32)
    images: dict[int, Stored] = {}
    for position, (places, old) in values.items():
        stored, valid = stored_at(relation.columns[position], where)
        rows_at = np.array(places, np.intp)
        present: NDArray[np.bool_] = np.array([value is not None for value in old], np.bool_)
        stored[rows_at] = np.array([0 if value is None else value for value in old], stored.dtype)
        if valid is not None or not present.all():
            valid = np.ones(len(where), np.bool_) if valid is None else valid
            valid[rows_at] = present
        images[position] = (stored, valid)
    return images
