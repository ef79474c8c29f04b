"""What a commit did to the rows of one relation: the currency between operators.

Rows are named by slot. A delta is *net*: a slot is in at most one of `inserted`, `removed` and `updated`, and a row
that came and went within the commit is not there at all. New values are read from the relation itself; old values are
the *before-images* that the delta carries, for just the columns that were written. The columns of a removed row stay
readable at its slot until the changelog has forgotten the commit that removed it, because slots are not used again
before that; only columns that changed on the way to the removal need a before-image.

`RowChange` is the same for exactly one row, held in Python values: NumPy costs about a microsecond a call, which is
what a commit of one row cannot afford. Both forms are proven equal by a differential test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from sys import getsizeof
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

Slots = NDArray[np.int32]
Stored = tuple[AnyArray, BoolArray | None]
"""Stored values and which of them are not null (None: all)."""

NO_SLOTS: Slots = np.empty(0, np.int32)
NO_MASKS: NDArray[np.uint64] = np.empty(0, np.uint64)
NO_REASONS: NDArray[np.uint8] = np.empty(0, np.uint8)
LAST_BIT = 63
"""The bit of `changed` that stands for column 63 and all columns after it."""
ALL_COLUMNS = np.uint64(2**64 - 1)
"""The mask of a row of which any column may have changed."""


class RemoveReason(IntEnum):
    """Why a row left. The numbers are those of the wire."""

    DELETED = 1
    FILTERED = 2
    WINDOW = 3
    EXPIRED = 4
    PERMISSION = 5


class HasColumns(Protocol):
    """Rows in slots, as far as their columns go."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, by position."""


def column_bit(position: int) -> int:
    """The bit of `changed` that stands for a column."""
    return 1 << min(position, LAST_BIT)


@dataclass(slots=True)
class Placement:
    """Where the rows that a commit put into an ordered result stand after it, by rising position."""

    came: Slots
    came_places: NDArray[np.int64]
    moved: Slots
    moved_places: NDArray[np.int64]


@dataclass(slots=True)
class Delta:
    """All changes of one relation by one commit, or net by several."""

    version: int
    inserted: Slots = field(default_factory=lambda: NO_SLOTS)
    removed: Slots = field(default_factory=lambda: NO_SLOTS)
    reasons: NDArray[np.uint8] = field(default_factory=lambda: NO_REASONS)
    updated: Slots = field(default_factory=lambda: NO_SLOTS)
    changed: NDArray[np.uint64] = field(default_factory=lambda: NO_MASKS)
    before: Mapping[int, Stored] = field(default_factory=dict)
    removed_before: Mapping[int, Stored] = field(default_factory=dict)
    placement: Placement | None = None  # in the history of an ordered result

    def __len__(self) -> int:
        return len(self.inserted) + len(self.removed) + len(self.updated)

    def take(self, inserted: AnyArray, removed: AnyArray, updated: AnyArray) -> Delta:
        """The part of the delta that concerns the rows at these indexes of `inserted`, `removed` and `updated`."""
        return Delta(
            self.version,
            self.inserted[inserted],
            self.removed[removed],
            self.reasons[removed],
            self.updated[updated],
            self.changed[updated],
            {p: take_stored(image, updated) for p, image in self.before.items()} if len(updated) else {},
            {p: take_stored(image, removed) for p, image in self.removed_before.items()} if len(removed) else {},
        )

    def old_updated(self, relation: HasColumns, position: int) -> Stored:
        """The old values of a column, row by row of `updated`."""
        image = self.before.get(position)
        if image is None:
            return stored_at(relation.columns[position], self.updated)
        return image

    def old_removed(self, relation: HasColumns, position: int) -> Stored:
        """The old values of a column, row by row of `removed`."""
        image = self.removed_before.get(position)
        if image is None:
            return stored_at(relation.columns[position], self.removed)
        return image


_NOTHING: Mapping[int, Scalar] = {}
_NO_WORDS: dict[int, tuple[int, int]] = {}


class ChangeKind(IntEnum):
    """What happened to one row."""

    INSERTED = 1
    UPDATED = 2
    REMOVED = 3


class RowChange:
    """What one commit did to exactly one row of a relation.

    `before` has the old stored values of the columns that changed, by position; `changed` is the mask of them. In the
    history of an ordered result, `place` is where the row stands after the commit, -1 where it did not move.
    """

    __slots__ = ("before", "changed", "kind", "place", "reason", "slot", "version", "words")

    def __init__(
        self,
        version: int,
        kind: ChangeKind,
        slot: int,
        changed: int = 0,
        before: Mapping[int, Scalar] | None = None,
        reason: RemoveReason = RemoveReason.DELETED,
        place: int = -1,
    ) -> None:
        self.version = version
        self.kind = kind
        self.slot = slot
        self.changed = changed
        self.before: Mapping[int, Scalar] = before or _NOTHING
        self.reason = reason
        self.place = place
        self.words: dict[int, tuple[int, int]] = _NO_WORDS  # order words before and after, by column, once asked for

    def __len__(self) -> int:
        return 1

    def to_delta(self, relation: HasColumns) -> Delta:
        """The same as a batch."""
        slots = np.array([self.slot], np.int32)
        if self.kind is ChangeKind.INSERTED:
            return Delta(self.version, inserted=slots)
        if self.kind is ChangeKind.REMOVED:
            return Delta(self.version, removed=slots, reasons=np.array([self.reason], np.uint8))
        before = {position: _image(relation.columns[position], value) for position, value in self.before.items()}
        return Delta(self.version, updated=slots, changed=np.array([self.changed], np.uint64), before=before)


_ARRAY = getsizeof(NO_SLOTS)
"""The bytes of an array beside what it holds."""


def size_of(change: Delta | RowChange) -> int:
    """The memory that a change holds, in bytes. O(columns)."""
    size = getsizeof(change)
    if isinstance(change, RowChange):
        if change.before:
            size += getsizeof(change.before) + sum(map(getsizeof, change.before.values()))
        return size
    arrays: list[AnyArray | None] = [change.inserted, change.removed, change.reasons, change.updated, change.changed]
    for images in (change.before, change.removed_before):
        size += getsizeof(images)
        for image in images.values():
            arrays.extend(image)
    if change.placement is not None:
        placement = change.placement
        arrays.extend((placement.came, placement.came_places, placement.moved, placement.moved_places))
    return size + sum(_ARRAY + array.nbytes for array in arrays if array is not None and len(array))


def row_change(delta: Delta) -> RowChange | None:
    """A delta of exactly one row in the form for single rows; None when it has more or fewer."""
    if len(delta) != 1:
        return None
    if len(delta.updated):
        before = {position: _value(image) for position, image in delta.before.items()}
        change = RowChange(delta.version, ChangeKind.UPDATED, delta.updated.item(0), delta.changed.item(0), before)
    elif len(delta.inserted):
        change = RowChange(delta.version, ChangeKind.INSERTED, delta.inserted.item(0))
    elif delta.removed_before:
        return None  # its last values are not those at its slot
    else:
        reason = RemoveReason(delta.reasons.item(0))
        change = RowChange(delta.version, ChangeKind.REMOVED, delta.removed.item(0), reason=reason)
    change.words = {}
    return change


def _value(image: Stored) -> Scalar:
    values, valid = image
    value: Scalar = values.item(0)
    return value if valid is None or valid[0] else None


def _image(column: Column, value: Scalar) -> Stored:
    if value is None:
        return np.zeros(1, column.values.dtype), np.zeros(1, np.bool_)
    return np.array([value], column.values.dtype), None


def stored_at(column: Column, slots: AnyArray | slice) -> Stored:
    """The stored values of a column at `slots`; copied when `slots` is an array, a view when it is a slice."""
    return column.values[slots], None if column.valid is None else column.valid[slots]


def take_stored(stored: Stored, indexes: AnyArray) -> Stored:
    """The stored values at `indexes`."""
    return stored[0][indexes], None if stored[1] is None else stored[1][indexes]


def join_stored(first: Stored, second: Stored) -> Stored:
    """Two runs of stored values of one column, one after the other."""
    valid = None
    if first[1] is not None or second[1] is not None:
        masks = [np.ones(len(v), np.bool_) if ok is None else ok for v, ok in (first, second)]
        valid = np.concatenate(masks)
    return np.concatenate((first[0], second[0])), valid


def rewritten(version: int, slots: Slots, changed: NDArray[np.uint64], before: Mapping[int, Stored]) -> Delta:
    """Columns of these rows were written over: the delta of those rows of which a value is another than before."""
    rows = changed.nonzero()[0]
    images = {position: take_stored(image, rows) for position, image in before.items()} if len(rows) else {}
    return Delta(version, updated=slots[rows], changed=changed[rows], before=images)


def changed_values(old: Stored, new: Stored) -> BoolArray:
    """Which rows differ. NaN equals NaN, null equals null."""
    differ: BoolArray = old[0] != new[0]
    if old[0].dtype == np.float64:
        both_nan = np.isnan(old[0])
        if both_nan.any():
            differ &= ~(both_nan & np.isnan(new[0]))
    if old[1] is None and new[1] is None:
        return differ
    every = np.True_
    old_valid: BoolArray | np.bool_ = every if old[1] is None else old[1]
    new_valid: BoolArray | np.bool_ = every if new[1] is None else new[1]
    result: BoolArray = (old_valid & new_valid & differ) | (old_valid != new_valid)
    return result


def fold(version: int, deltas: Sequence[Delta], relation: HasColumns) -> Delta:
    """The net effect of successive deltas of one relation, whose present state is that after the last. O(changes log).

    The caller guarantees that no slot stood for two rows in the meantime.
    """
    deltas = [delta for delta in deltas if len(delta)]
    if len(deltas) <= 1:
        return deltas[0] if deltas else Delta(version)
    pieces: list[AnyArray] = []
    kinds: list[AnyArray] = []
    masks: list[AnyArray] = []
    reasons: list[AnyArray] = []
    for delta in deltas:
        parts = (
            (delta.inserted, ChangeKind.INSERTED),
            (delta.updated, ChangeKind.UPDATED),
            (delta.removed, ChangeKind.REMOVED),
        )
        for slots, kind in parts:
            pieces.append(slots)
            kinds.append(np.full(len(slots), kind, np.uint8))
            # A row that left a result and came back may differ in every column.
            masks.append(delta.changed if kind is ChangeKind.UPDATED else np.full(len(slots), ALL_COLUMNS))
            reasons.append(delta.reasons if kind is ChangeKind.REMOVED else np.zeros(len(slots), np.uint8))
    slots = np.concatenate(pieces)
    order = np.argsort(slots, kind="stable")  # stable: the rows of one slot stay in time order
    slots = slots[order]
    firsts = np.flatnonzero(np.concatenate(([True], slots[1:] != slots[:-1])))
    lasts = np.concatenate((firsts[1:], [len(slots)])) - 1
    kind_of = np.concatenate(kinds)[order]
    existed = kind_of[firsts] != ChangeKind.INSERTED
    exists = kind_of[lasts] != ChangeKind.REMOVED
    mask = np.bitwise_or.reduceat(np.concatenate(masks)[order], firsts)
    reason = np.concatenate(reasons)[order][lasts]
    slots = slots[firsts]
    removed, stayed = existed & ~exists, existed & exists & (mask != 0)
    net = Delta(
        version,
        inserted=slots[~existed & exists],
        removed=slots[removed],
        reasons=reason[removed],
        updated=slots[stayed],
        changed=mask[stayed],
    )
    net.before = _first_images(deltas, relation, net.updated)
    net.removed_before = _first_images(deltas, relation, net.removed)
    return net


def _first_images(deltas: Sequence[Delta], relation: HasColumns, slots: Slots) -> dict[int, Stored]:
    """The values before the first of the deltas, for every column that one of them wrote; `slots` ascend."""
    images: dict[int, Stored] = {}
    for delta in reversed(deltas):  # backwards, so that the oldest image is written last and stays
        for rows, before in ((delta.updated, delta.before), (delta.removed, delta.removed_before)):
            if not before or not len(slots):
                continue
            at = np.searchsorted(slots, rows)
            at[at == len(slots)] = 0
            known = slots[at] == rows
            if not known.any():
                continue
            for position, (values, valid) in before.items():
                image = images.get(position)
                if image is None:
                    column = relation.columns[position]
                    current = stored_at(column, slots)
                    image = (current[0], np.ones(len(slots), np.bool_) if current[1] is None else current[1])
                    images[position] = image
                assert image[1] is not None
                image[0][at[known]] = values[known]
                image[1][at[known]] = True if valid is None else valid[known]
    return images
