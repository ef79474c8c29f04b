"""One reader of a session: a cursor, and how the net change since becomes what the reader is given.

A watch of the whole result turns the net change of the result directly into removes, updates, moves and inserts: rows
whose sort columns did not change keep their relative order, so only the others need positions.

A watch of a window keeps the rows that its reader has, in order (`WindowImage`), and compares them with the rows that
the window shows now. Positional edits of successive commits do not compose; the two sequences always tell what to do.
Again, only rows whose sort columns changed can have changed their order among those that stayed.

In a tree a row moves with all that hangs on it, and what shows depends on the nodes that are open. So a watch of a tree
always keeps an image, and which rows moved is told from the two sequences alone (`moved.py`).

Readers that stand at the same place get the same object, so that a change is computed and encoded once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.delta import ChangeKind, Delta, Placement, RemoveReason, RowChange, Slots
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.changes import Changes, Inserts, Moves, Removes, SessionSchema, Snapshot, Updates
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.moved import staying
from tesseract_grpc.engine.live.reader import Folds, Reader, WatchState, group_removes, group_updates
from tesseract_grpc.engine.live.rebirth import join_reborn
from tesseract_grpc.engine.operators.order import OrderOperator
from tesseract_grpc.engine.query.query import WHOLE, Window

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resume import Passage
    from tesseract_grpc.engine.live.session import Session


@dataclass(slots=True)
class WindowImage:
    """The rows that a window showed, in order. Shared between readers, never changed."""

    sequence: NDArray[np.int64]
    slots: Slots
    keys: Batch | None = None  # read when slots may soon mean other rows


class Watch(Reader):
    """One reader of a session, or of a window of it."""

    def __init__(self, session: Session, window: Window = WHOLE) -> None:
        super().__init__(session.result.table, session.result.line, session.result.table.schema.key)
        self.session = session
        self.window = window
        self.generation = session.generation
        """The definition of the session that the reader knows."""
        self._sent: WindowImage | None = None
        self.imaged = self._needs_image()
        """Whether changes are told from what the reader has."""
        self._total = -1
        self._first: list[Changes] = []
        """What is to be taken before what is owed: a passage, and what an edit left (what was owed, the difference)."""

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows."""
        return self.session.columns

    @property
    def clock(self) -> int:
        """The hub's clock, as far as it matters to the rows; 0 where they do not depend on time."""
        return self.session.clock

    @property
    def history(self) -> Changelog:
        """The history of the session's result."""
        return self.session.result.history

    def snapshot(self) -> Snapshot:
        """All rows of the window now; changes go on from here. O(window)."""
        self.begin()
        return self.session.snapshot(self.window)

    def begin(self) -> None:
        """Changes go on from the rows of the window now."""
        self.advance()
        self.generation = self.session.generation
        self._first.clear()
        self._total = self.session.result.total(self.window)
        self._see()

    @property
    def image(self) -> WindowImage | None:
        """The rows that the reader has, where changes are told from that."""
        return self._sent

    def _see(self) -> None:
        """Notes which rows the reader has now, where changes are told from that."""
        self._sent = self.session.image(self.window) if self.imaged else None

    def _needs_image(self) -> bool:
        """Whether changes are told from what the reader has: in a window, and in a tree."""
        return not self.window.whole or self.session.result.tree is not None

    def settle(self, folds: Folds | None = None) -> None:
        """Folds what is owed into the debt, and reads the keys of the rows that the reader has."""
        super().settle(folds)
        if self._sent is not None and self._sent.keys is None:
            self._sent.keys = self.table.batch(self._sent.slots, self.table.schema.key)

    def advance(self) -> None:
        """Everything up to now has been given; a history that nobody else follows is forgotten at once."""
        super().advance()
        result = self.session.result
        if len(result.watches) == 1 and len(result.history):
            result.history.forget(self.cursor)

    def take(self) -> Changes:
        """The net change since the last take, False when there is none. O(changes + window)."""
        if self._first:
            first = self._first.pop(0)
            if first.session_changed is not None:
                self.generation = first.session_changed.generation
            return first
        return self._take_owed()

    def _take_owed(self) -> Changes:
        assert self.state is not WatchState.CATCHING_UP, "take the snapshot first"
        session = self.session
        history = session.result.history
        if self._debt is not None or history.last > self.settled:
            changes = session.shared_changes(self)
        else:
            changes = Changes(self.cursor, self.line.current, total_count=session.result.total(self.window))
        changes.now_us = session.clock
        if self.imaged:
            self._see()
        self._total = changes.total_count
        self.advance()
        return changes

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._first) or super().pending

    def fall_back(self, since: int, debt: Debt, image: WindowImage | None, total: int) -> None:
        """It has what there was at an earlier version, and owes the net change since."""
        self.cursor, self.settled = since, self.line.current
        self.state = WatchState.CONFLATING
        self._debt, self._sent, self._total = debt, image, total

    def take_up(self, passage: Passage) -> None:
        """It begins with a passage, after which it is where the passage ends."""
        self.cursor = self.settled = passage.version
        if passage.changes:
            self._first.append(passage.changes)
        else:
            self.cursor = passage.changes.from_version  # nothing was owed
        self.state = WatchState.LIVE
        self._sent, self._total = passage.image, passage.total

    @property
    def _edited(self) -> bool:
        """Whether there is an edit that the reader has not heard of."""
        return any(change.session_changed is not None for change in self._first)

    def before_edit(self) -> None:
        """The session is about to be edited: works out what is owed under the definition that the reader knows."""
        if self.state is WatchState.CATCHING_UP or self._edited:
            return
        since = self.cursor
        owed = self._take_owed()
        if owed:
            self._first.append(owed)
        else:
            self.cursor = since  # the difference leads on from what the reader was told last

    def after_edit(self, schema: SessionSchema, change: Changes | None) -> None:
        """The session has been edited; `change` leads the reader here, if anything does."""
        session, since = self.session, self.cursor
        self.table = session.result.table
        self._image = tuple(self.table.schema.key)
        self.imaged = self._needs_image()
        self._debt = None
        if self.state is WatchState.CATCHING_UP and not self._first:
            self.advance()
            self.state = WatchState.CATCHING_UP
            return
        if change is None or self._edited:
            # Nothing that the reader has is of use, or it has not heard of the edit before: it begins anew.
            since = self._first[0].from_version if self._first else since
            reset = replace(schema, reset=True)
            self._first = [Changes(since, self.line.current, session_changed=reset)]
            self._sent = None
            self.cursor = self.settled = self.line.current
            self.state = WatchState.CATCHING_UP
            return
        since = self._first[-1].to_version if self._first else since
        if since != change.from_version:
            change = replace(change, from_version=since)
        self._first.append(change)
        self.advance()
        self._total = change.total_count
        self._see()

    def close(self) -> None:
        """Ends the watch."""
        self.session.unwatch(self)

    def compute(self) -> Changes:
        """The net change since the last take; moves nothing."""
        whole = self._sent is None
        if whole and self._debt is None:
            only = self.history.only_after(self.settled)
            if only is not None:
                return self._one_change(only)
        changes = Changes(self.cursor, self.line.current)
        changes.commits = self.commits + self.history.count_after(self.settled)
        owed = self.owed()
        if not whole:
            # Keys of rows that left come from what the window showed, so the debt need not hold any.
            self._fill_window(changes, owed if isinstance(owed, Debt) else Debt.of(owed, self.table, ()))
        elif isinstance(owed, Debt):
            self._fill_from_debt(changes, owed)
        else:
            self._fill_from_delta(changes, owed)
        changes.total_count = self.session.result.total(self.window)
        changes.total_changed = changes.total_count != self._total
        return changes

    def _one_change(self, change: RowChange) -> Changes:
        """The change of a single row, as a reader of the whole result sees it."""
        table, session, slot = self.table, self.session, change.slot
        count = session.result.count
        changes = Changes(self.cursor, self.line.current, (), (), None, None, count, count != self._total, 1)
        if change.kind is ChangeKind.UPDATED:
            shown = session.shown(change.changed)
            if shown:
                changes.updates = (Updates(table.batch_of_one(slot, shown)),)
            if change.place >= 0:
                changes.moves = Moves(table.batch_of_one(slot, table.schema.key), np.array((change.place,)))
        elif change.kind is ChangeKind.REMOVED:
            changes.removes = (Removes(change.reason, table.batch_of_one(slot, table.schema.key)),)
        else:
            changes.inserts = Inserts(table.batch_of_one(slot, session.positions), np.array((change.place,)))
        return changes

    def sharing_key(self) -> tuple[Window, int] | None:
        """What this watch's change can be shared by; None while it holds a debt of its own."""
        return None if self._debt is not None else (self.window, self.cursor)

    def _fill_from_delta(self, changes: Changes, delta: Delta) -> None:
        """The changes of the whole result, from history."""
        table = self.table
        if len(delta.removed):
            changes.removes = group_removes(table.batch(delta.removed, table.schema.key), delta.reasons)
        if len(delta.updated):
            changes.updates = group_updates(table, delta.updated, delta.changed, self.session.positions)
        placement = delta.placement
        if placement is None:
            moved = delta.updated[(delta.changed & self.session.sort_mask).nonzero()[0]]
            placement = self._placement(delta.inserted, moved)
        self._fill_places(changes, placement)

    def _fill_from_debt(self, changes: Changes, debt: Debt) -> None:
        """The changes of the whole result, from what was folded."""
        gone = (debt.was & ~debt.now).nonzero()[0]
        stayed = (debt.was & debt.now).nonzero()[0]
        came = (debt.now & ~debt.was).nonzero()[0]
        slots, changed = debt.slots[stayed], debt.changed[stayed]
        changes.removes = group_removes(debt.image.take(gone), debt.reasons[gone])
        changes.updates = group_updates(self.table, slots, changed, self.session.positions)
        moved = slots[(changed & self.session.sort_mask).nonzero()[0]]
        self._fill_places(changes, self._placement(debt.slots[came], moved))

    def _placement(self, came: Slots, moved: Slots) -> Placement:
        order = self.session.result.order
        assert isinstance(order, OrderOperator), "rows of a tree have no places of their own"
        return order.placement(came, moved)

    def _fill_places(self, changes: Changes, placement: Placement) -> None:
        table = self.table
        if len(placement.moved):
            changes.moves = Moves(table.batch(placement.moved, table.schema.key), placement.moved_places)
        if len(placement.came):
            changes.inserts = Inserts(table.batch(placement.came, self.session.positions), placement.came_places)
            join_reborn(changes, table, placement.came)

    def _fill_window(self, changes: Changes, owed: Debt) -> None:
        """The changes of a window: what it showed against what it shows."""
        table, session = self.table, self.session
        assert self._sent is not None
        before, after = self._sent, session.image(self.window)
        if np.array_equal(before.sequence, after.sequence):
            stayed_before = stayed_after = np.arange(len(after.sequence))
        else:
            stays = np.isin(before.sequence, after.sequence)
            known = np.isin(after.sequence, before.sequence)
            left, came = (~stays).nonzero()[0], (~known).nonzero()[0]
            stayed_before, stayed_after = stays.nonzero()[0], known.nonzero()[0]
            if len(left):
                changes.removes = self._left(before, left, owed)
            if len(came):
                changes.inserts = Inserts(table.batch(after.slots[came], session.positions), came)
        if not len(owed):
            return
        changed = _changed_of(after.sequence[stayed_after], owed)
        slots = after.slots[stayed_after]
        touched = changed.nonzero()[0]
        if len(touched):
            changes.updates = group_updates(table, slots[touched], changed[touched], session.positions)
        if not np.array_equal(before.sequence[stayed_before], after.sequence[stayed_after]):
            if session.result.tree is None:
                moved = (changed & session.sort_mask).nonzero()[0]
            else:
                moved = _moved(before.sequence[stayed_before], after.sequence[stayed_after])
            changes.moves = Moves(table.batch(slots[moved], table.schema.key), stayed_after[moved])
        if changes.inserts is not None:
            join_reborn(changes, table, after.slots[changes.inserts.indexes])

    def _left(self, image: WindowImage, rows: NDArray[np.intp], owed: Debt) -> tuple[Removes, ...]:
        """The removes of rows that the window showed: why they left the result, or that they only left the window."""
        key = self.table.schema.key
        keys = self.table.batch(image.slots[rows], key) if image.keys is None else image.keys.take(rows)
        reasons = np.full(len(rows), RemoveReason.WINDOW, np.uint8)
        gone = (~owed.now).nonzero()[0]
        if len(gone):
            sequence, departed = image.sequence[rows], owed.sequence[gone]
            at = departed.searchsorted(sequence)
            known = departed.take(at, mode="clip") == sequence
            reasons[known] = owed.reasons[gone][at[known]]
        return group_removes(keys, reasons)


def _moved(before: NDArray[np.int64], after: NDArray[np.int64]) -> NDArray[np.intp]:
    """Which of the same rows have to be moved to bring them from one order into the other."""
    order = np.argsort(before)
    ranks = order[before.searchsorted(after, sorter=order)]
    return (~staying(ranks.astype(np.int64))).nonzero()[0]


def _changed_of(sequence: NDArray[np.int64], owed: Debt) -> NDArray[np.uint64]:
    """The masks of rows, 0 for those of which nothing is owed."""
    at = np.minimum(owed.sequence.searchsorted(sequence), len(owed) - 1)
    known = (owed.sequence[at] == sequence) & owed.was[at] & owed.now[at]
    return np.where(known, owed.changed[at], np.uint64(0))
