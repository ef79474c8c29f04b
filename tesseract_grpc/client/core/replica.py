"""The rows of a watched window: a pure state machine that applies events at consistent points.

Every row has a slot; `_order` is an array of slots in the order of the window. A delta is applied in the order that
the wire contract writes, and each step is one array operation, whatever the size of the window: rows that leave or move
are masked out of the order, and those that move or come are scattered to their positions, which are positions after
the whole delta. The rows that stay fill the places in between, in their old order.

Everything is checked before anything is written, so a delta that does not fit raises `StreamBroken` and leaves the
rows as they were. Rows are replaced and never edited: the dicts that a reader got stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .batch import Block
from .datatype import DataType
from .events import Delta, Edited, Event, Placed, Progress, Snapshot
from .feed import StreamBroken
from .rows import Row

Slots = npt.NDArray[np.intp]


class Replica:
    """The window's rows at `version`. Before the first snapshot it is empty and `loaded` is False.

    With `raw` the values are as the wire has them, and not as people want them."""

    def __init__(self, *, raw: bool = False) -> None:
        self._dicts: Callable[[Block], list[Row]] = Block.to_raw_dicts if raw else Block.to_dicts
        self._raw = raw
        self.types: dict[str, DataType] = {}
        """The types of the columns, in their order."""
        self.loaded = False
        self.version = 0
        self.total_count = 0
        self.epoch = ""
        self.key: tuple[str, ...] = ()
        """The names of the key columns."""
        self._order: Slots = np.empty(0, np.intp)
        self._rows: list[Row | None] = []
        self._slot_of: dict[Any, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def rows(self, start: int = 0, limit: int | None = None) -> list[Row]:
        """The rows of the window, or a part of them, in order. O(rows returned)."""
        stop = None if limit is None else start + limit
        rows = self._rows
        return [row for slot in self._order[start:stop].tolist() if (row := rows[slot]) is not None]

    def apply(self, event: Event) -> bool:
        """Takes an event; returns whether rows or counts may have changed. O(window) in C, O(changes) in Python."""
        self.prepare(event)()
        return not isinstance(event, Progress)

    def prepare(self, event: Event) -> Callable[[], None]:
        """Checks an event; returns what takes it, which cannot fail as long as nothing else is taken before."""
        if isinstance(event, Progress):
            return partial(self._arrive, event.version, self.total_count)
        if isinstance(event, Snapshot):
            take = self._load(event)
        elif isinstance(event, Delta):
            take = self._change(event)
        else:
            raise StreamBroken("gap", "changes were lost")

        def commit() -> None:
            take()
            self._arrive(event.version, event.total_count)

        return commit

    def _arrive(self, version: int, total_count: int) -> None:
        self.version, self.total_count = version, total_count

    def _load(self, snapshot: Snapshot) -> Callable[[], None]:
        keys = [key for block in snapshot.rows.blocks for key in (block.keys(snapshot.key) if len(block) else ())]
        slot_of = {key: slot for slot, key in enumerate(keys)}
        if len(slot_of) != len(keys):
            raise StreamBroken("malformed", "a key stands twice in one snapshot")
        found = snapshot.rows
        rows = [row for block in found.blocks for row in block.to_raw_dicts()] if self._raw else list(found)

        def take() -> None:
            self._rows, self._slot_of, self._free = list(rows), slot_of, []
            self.types = dict(found.types)
            self._order = np.arange(len(keys), dtype=np.intp)
            self.key, self.epoch, self.loaded = snapshot.key, snapshot.epoch, True

        return take

    def _change(self, delta: Delta) -> Callable[[], None]:
        if not self.loaded:
            raise StreamBroken("disorder", "a change came before the snapshot")
        removed = [(key, self._slot(key)) for block in delta.removed for key in block.keys.keys(self.key)]
        updated = [(slot, values) for updates in delta.updated for slot, values in self._updates(updates.rows)]
        moved = [self._slot(key) for placed in delta.moved for key in placed.rows.keys(self.key)]
        comes = [pair for placed in delta.inserted for pair in self._inserts(placed)]
        gone = {key for key, _ in removed}
        if len(gone) != len(removed) or len({key for key, _ in comes}) != len(comes):
            raise StreamBroken("malformed", "a row leaves or comes twice in one change")
        if any(key in self._slot_of for key, _ in comes):
            raise StreamBroken("malformed", "a row comes that is there already")
        leaving = {slot for _, slot in removed}
        if leaving and any(slot in leaving for slot, _ in updated):
            raise StreamBroken("malformed", "a row leaves and is updated in one change")
        if delta.edited is not None:
            self._check_edit(delta, delta.edited, leaving)
        places = _places(delta)
        order = self._without([slot for _, slot in removed] + moved)
        mask = _scatter_mask(len(order) + len(places), places)

        def take() -> None:
            for key, slot in removed:
                del self._slot_of[key]
                self._rows[slot] = None
                self._free.append(slot)
            for slot, values in updated:
                self._rows[slot] = {**(self._rows[slot] or {}), **values}
            if delta.edited is not None:
                self._reshape(delta.edited)
            placed_slots = moved + [self._take_slot(key, row) for key, row in comes]
            self._order = _scatter(order, mask, places, placed_slots)

        return take

    def _check_edit(self, delta: Delta, edited: Edited, removed: set[int]) -> None:
        """Demands of a delta with other columns that it has the new ones for every row that stays."""
        new = set(edited.columns) - edited.kept
        if new:
            whole = [updates.rows for updates in delta.updated if new <= updates.rows.columns.keys()]
            known = {self._slot(key) for block in whole for key in block.keys(self.key)}
            if len(known | removed) != len(self._order):
                raise StreamBroken("malformed", "after an edit, a row that stays lacks a new column")

    def _reshape(self, edited: Edited) -> None:
        """Brings the rows that stay into the new columns; those that are new have been written."""
        self.types = dict(edited.types)
        for slot, row in enumerate(self._rows):
            if row is not None:
                self._rows[slot] = {name: row[name] for name in edited.columns}

    def _slot(self, key: Any) -> int:
        slot = self._slot_of.get(key)
        if slot is None:
            raise StreamBroken("malformed", f"a change names the row {key!r:.60}, which is not in the window")
        return slot

    def _updates(self, block: Any) -> Iterator[tuple[int, Row]]:
        return zip(map(self._slot, block.keys(self.key)), self._dicts(block), strict=True)

    def _inserts(self, placed: Placed) -> Iterator[tuple[Any, Row]]:
        return zip(placed.rows.keys(self.key), self._dicts(placed.rows), strict=True)

    def _without(self, leaving: list[int]) -> Slots:
        """The order without the rows that leave or are about to be placed anew."""
        if not leaving:
            return self._order
        gone = np.zeros(len(self._rows), np.bool_)
        gone[leaving] = True
        order = self._order[~gone[self._order]]
        if len(order) + len(leaving) != len(self._order):
            raise StreamBroken("malformed", "a row moves twice, or moves and leaves, in one change")
        return order

    def _take_slot(self, key: Any, row: Row) -> int:
        if self._free:
            slot = self._free.pop()
            self._rows[slot] = row
        else:
            slot = len(self._rows)
            self._rows.append(row)
        self._slot_of[key] = slot
        return slot

    def check(self) -> None:
        """Verifies the invariants: every row has one key, one slot and one place."""
        order = self._order.tolist()
        assert len(set(order)) == len(order) == len(self._slot_of)
        assert sorted(self._slot_of.values()) == sorted(order)
        assert sorted(order + self._free) == list(range(len(self._rows)))
        assert all((self._rows[slot] is None) == (slot in set(self._free)) for slot in range(len(self._rows)))


def _places(delta: Delta) -> list[int]:
    places: list[int] = []
    for placed in (*delta.moved, *delta.inserted):
        if len(placed.indexes) != len(placed.rows):
            raise StreamBroken("malformed", f"{len(placed.rows)} rows are placed at {len(placed.indexes)} positions")
        places.extend(placed.indexes)
    return places


def _scatter_mask(length: int, places: list[int]) -> npt.NDArray[np.bool_] | None:
    """Which positions of the new order are given. None when none is, so that the order can stay."""
    if not places:
        return None
    if max(places) >= length:
        raise StreamBroken("malformed", f"position {max(places)} in a window of {length} rows")
    mask = np.zeros(length, np.bool_)
    mask[places] = True
    if np.count_nonzero(mask) != len(places):
        raise StreamBroken("malformed", "two rows are placed at one position")
    return mask


def _scatter(order: Slots, mask: npt.NDArray[np.bool_] | None, places: list[int], slots: list[int]) -> Slots:
    if mask is None:
        return order
    scattered = np.empty(len(mask), np.intp)
    scattered[places] = slots
    scattered[~mask] = order
    return scattered
