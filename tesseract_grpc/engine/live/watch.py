"""One reader of a session: a cursor, and how the net change since becomes what the reader is given.

A watch of the whole result turns the net change of the result directly into removes, updates, moves and inserts: rows
whose sort columns did not change keep their relative order, so only the others need positions.

A watch of a window keeps the rows that its reader has, in order (`WindowImage`), and compares them with the rows that
the window shows now. Positional edits of successive commits do not compose; the two sequences always tell what to do.
Again, only rows whose sort columns changed can have changed their order among those that stayed.

Readers that stand at the same place get the same object, so that a change is computed and encoded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.delta import ChangeKind, Delta, RemoveReason, RowChange, Slots, column_bit
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.vector import AnyArray, Batch
from tesseract_grpc.engine.live.changes import Changes, Inserts, Moves, Removes, Snapshot, Updates
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.reader import Reader, WatchState, group_removes, group_updates
from tesseract_grpc.engine.query.query import WHOLE, Window

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.session import Session


@dataclass(slots=True)
class WindowImage:
    """The rows that a window showed, in order. Shared between readers, never changed."""

    sequence: NDArray[np.int64]
    slots: Slots
    keys: Batch | None = None  # read when slots may soon mean other rows


@dataclass(slots=True)
class _Owed:
    """What a reader is owed, in one form whether it comes from history or from a debt; arrays by row."""

    sequence: NDArray[np.int64]
    slots: Slots
    was: AnyArray
    now: AnyArray
    changed: NDArray[np.uint64]
    reasons: NDArray[np.uint8]
    keys: Batch | None


class Watch(Reader):
    """One reader of a session, or of a window of it."""

    def __init__(self, session: Session, window: Window = WHOLE) -> None:
        super().__init__(session.result.table, session.result.line, session.result.table.schema.key)
        self.session = session
        self.window = window
        self._sent: WindowImage | None = None
        self._total = -1
        self._commits_taken = 0

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows."""
        return self.session.columns

    @property
    def history(self) -> Changelog:
        """The history of the session's result."""
        return self.session.result.history

    def snapshot(self) -> Snapshot:
        """All rows of the window now; changes go on from here. O(window)."""
        self.advance()
        self._total = self.session.result.count
        if not self.window.whole:
            self._sent = self.session.image(self.window)
        return self.session.snapshot(self.window)

    def settle(self) -> None:
        """Folds what is owed into the debt, and reads the keys of the rows that the reader has."""
        super().settle()
        if self._sent is not None and self._sent.keys is None:
            self._sent.keys = self.table.batch(self._sent.slots, self.table.schema.key)

    def take(self) -> Changes:
        """The net change since the last take, False when there is none. O(changes + window)."""
        assert self.state is not WatchState.CATCHING_UP, "take the snapshot first"
        session, version = self.session, self.line.current
        if not self.pending:
            changes = Changes(self.cursor, version, total_count=session.result.count)
        else:
            changes = session.shared_changes(self)
        if not self.window.whole:
            self._sent = session.image(self.window)
        self._total = session.result.count
        self.advance()
        return changes

    def close(self) -> None:
        """Ends the watch."""
        self.session.unwatch(self)

    def compute(self) -> Changes:
        """The net change since the last take; moves nothing."""
        if self._debt is None and self._sent is None:
            only = self.history.only_after(self.settled)
            if only is not None:
                return self._one_change(only)
        owed = self._owed_rows()
        changes = self._window_changes(owed) if self._sent is not None else self._whole_changes(owed)
        changes.total_count = self.session.result.count
        changes.total_changed = changes.total_count != self._total
        return changes

    def _one_change(self, change: RowChange) -> Changes:
        """The change of a single row, as a reader of the whole result sees it."""
        table, session, slot = self.table, self.session, change.slot
        count = session.result.count
        changes = Changes(
            self.cursor, self.line.current, total_count=count, total_changed=count != self._total, commits=1
        )
        key = table.schema.key
        if change.kind is ChangeKind.REMOVED:
            changes.removes = (Removes(change.reason, table.batch_of_one(slot, key)),)
        elif change.kind is ChangeKind.INSERTED:
            changes.inserts = Inserts(table.batch_of_one(slot, session.positions), np.array([change.place]))
        else:
            shown = [p for p in session.values if column_bit(p) & change.changed]
            if shown:
                changes.updates = (Updates(table.batch_of_one(slot, (*key, *shown))),)
            if change.place >= 0:
                changes.moves = Moves(table.batch_of_one(slot, key), np.array([change.place]))
        return changes

    def sharing_key(self) -> tuple[Window, int] | None:
        """What this watch's change can be shared by; None while it holds a debt of its own."""
        return None if self._debt is not None else (self.window, self.cursor)

    def _owed_rows(self) -> _Owed:
        commits = self.commits + self.history.count_after(self.settled)
        owed = self.owed()
        self._commits_taken = commits
        if isinstance(owed, Debt):
            return _Owed(owed.sequence, owed.slots, owed.was, owed.now, owed.changed, owed.reasons, owed.image)
        return _owed_of(owed, self.table.sequence)

    def _whole_changes(self, owed: _Owed) -> Changes:
        table, session = self.table, self.session
        gone = np.flatnonzero(owed.was & ~owed.now)
        stayed = np.flatnonzero(owed.was & owed.now)
        came = np.flatnonzero(owed.now & ~owed.was)
        keys = table.batch(owed.slots[gone], table.schema.key) if owed.keys is None else owed.keys.take(gone)
        changes = Changes(self.cursor, self.line.current, commits=self._commits_taken)
        changes.removes = group_removes(keys, owed.reasons[gone])
        slots, changed = owed.slots[stayed], owed.changed[stayed]
        if len(slots):
            changes.updates = group_updates(table, slots, changed, session.positions)
            moved = slots[(changed & session.sort_mask) != 0]
            if len(moved):
                places = session.result.order.locate(moved)
                order = np.argsort(places)
                changes.moves = Moves(table.batch(moved[order], table.schema.key), places[order])
        if len(came):
            slots = owed.slots[came]
            places = session.result.order.locate(slots)
            order = np.argsort(places)
            changes.inserts = Inserts(table.batch(slots[order], session.positions), places[order])
        return changes

    def _window_changes(self, owed: _Owed) -> Changes:
        table, session = self.table, self.session
        assert self._sent is not None
        before, after = self._sent, session.image(self.window)
        changes = Changes(self.cursor, self.line.current, commits=self._commits_taken)
        if np.array_equal(before.sequence, after.sequence):
            stayed_before = stayed_after = np.arange(len(after.sequence))
        else:
            left = ~np.isin(before.sequence, after.sequence)
            came = ~np.isin(after.sequence, before.sequence)
            stayed_before, stayed_after = np.flatnonzero(~left), np.flatnonzero(~came)
            if left.any():
                changes.removes = self._left(before, np.flatnonzero(left), owed)
            if came.any():
                places = np.flatnonzero(came)
                changes.inserts = Inserts(table.batch(after.slots[places], session.positions), places)
        if not len(owed.sequence):
            return changes
        changed = _changed_of(after.sequence[stayed_after], owed)
        slots = after.slots[stayed_after]
        if changed.any():
            touched = np.flatnonzero(changed)
            changes.updates = group_updates(table, slots[touched], changed[touched], session.positions)
        if not np.array_equal(before.sequence[stayed_before], after.sequence[stayed_after]):
            moved = np.flatnonzero(changed & session.sort_mask)
            changes.moves = Moves(table.batch(slots[moved], table.schema.key), stayed_after[moved])
        return changes

    def _left(self, image: WindowImage, rows: NDArray[np.intp], owed: _Owed) -> tuple[Removes, ...]:
        """The removes of rows that the window showed: why they left the result, or that they only left the window."""
        keys = (
            self.table.batch(image.slots[rows], self.table.schema.key) if image.keys is None else image.keys.take(rows)
        )
        reasons = np.full(len(rows), RemoveReason.WINDOW, np.uint8)
        gone = np.flatnonzero(~owed.now)
        if len(gone):
            sequence = image.sequence[rows]
            at = np.searchsorted(owed.sequence[gone], sequence)
            at[at == len(gone)] = 0
            known = owed.sequence[gone][at] == sequence
            reasons[known] = owed.reasons[gone][at[known]]
        return group_removes(keys, reasons)


def _owed_of(delta: Delta, sequence_of: NDArray[np.int64]) -> _Owed:
    slots = np.concatenate((delta.inserted, delta.removed, delta.updated))
    counts = (len(delta.inserted), len(delta.removed), len(delta.updated))
    sequence = sequence_of[slots]
    order = np.argsort(sequence)
    return _Owed(
        sequence[order],
        slots[order],
        np.repeat((False, True, True), counts)[order],
        np.repeat((True, False, True), counts)[order],
        np.concatenate((np.zeros(counts[0] + counts[1], np.uint64), delta.changed))[order],
        np.concatenate((np.zeros(counts[0], np.uint8), delta.reasons, np.zeros(counts[2], np.uint8)))[order],
        None,
    )


def _changed_of(sequence: NDArray[np.int64], owed: _Owed) -> NDArray[np.uint64]:
    """The masks of rows, 0 for those of which nothing is owed."""
    at = np.searchsorted(owed.sequence, sequence)
    at[at == len(owed.sequence)] = 0
    known = (owed.sequence[at] == sequence) & owed.was[at] & owed.now[at]
    return np.where(known, owed.changed[at], np.uint64(0))
