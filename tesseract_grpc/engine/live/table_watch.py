"""One reader of a table: every row that was added, updated or removed, with the old values on request.

Rows have no positions here. The reader follows the table's own changelog.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.delta import Delta
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.frozen import read_rows
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.changes import Changes, Inserts, SessionSchema, Snapshot
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.reader import Reader, WatchState, group_removes, group_updates
from tesseract_grpc.engine.live.rebirth import join_reborn


class TableWatch(Reader):
    """One reader of the changes of a table."""

    follows = True
    """Whether it reads whatever has the table's name, and not this very relation."""

    def __init__(
        self, table: Relation, line: VersionLine, registry: set[TableWatch], *, old_values: bool = False
    ) -> None:
        super().__init__(table, line, ())
        self.old_values = old_values
        self._read_all()
        self.state = WatchState.LIVE
        self._first: list[Changes] = []  # what is to be taken before what is owed: a passage
        self._registry = registry
        registry.add(self)

    def _read_all(self) -> None:
        """It reads all columns of its table."""
        self._positions = self.table.schema.shown
        self._image = self._positions if self.old_values else tuple(self.table.schema.key)

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows."""
        return self.table.schema.visible

    @property
    def clock(self) -> int:
        """0: what is in a table is a matter of its version alone."""
        return 0

    @property
    def history(self) -> Changelog:
        """The changelog of the table."""
        return self.table.changelog

    @property
    def image(self) -> None:
        """A table has no windows: changes are told from history."""

    def snapshot(self) -> Snapshot:
        """All rows of the table in order of insertion; changes go on from here. O(n)."""
        self.advance()
        self._first.clear()
        table = self.table
        slots = table.live_slots()
        if not table.in_order:
            slots = slots[np.argsort(table.sequence[slots])]
        return Snapshot(self.line.current, read_rows(table, slots, self._positions), table.row_count)

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._first) or super().pending

    def take_up(self, passage: Changes) -> None:
        """It begins with a change from an earlier version, after which it is where that ends."""
        self.cursor = self.settled = passage.to_version
        if passage:
            self._first.append(passage)
        else:
            self.cursor = passage.from_version  # nothing was owed

    def fall_back(self, since: int, delta: Delta) -> None:
        """It has what there was at an earlier version, and owes the net change since."""
        self.cursor, self.settled = since, self.line.current
        self._debt = Debt.of(delta, self.table, self._image)

    def take(self) -> Changes:
        """The net change since the last take, False when there is none. O(changes)."""
        return self._first.pop(0) if self._first else self._take_owed()

    def _take_owed(self) -> Changes:
        changes = Changes(self.cursor, self.line.current, total_count=self.table.row_count)
        if self.pending:
            changes.commits = self.commits + self.history.count_after(self.settled)
            owed = self.owed()
            self._fill(changes, owed if isinstance(owed, Debt) else Debt.of(owed, self.table, self._image))
        self.advance()
        return changes

    def _fill(self, changes: Changes, debt: Debt) -> None:
        table = self.table
        gone = np.flatnonzero(debt.was & ~debt.now)
        stayed = np.flatnonzero(debt.was & debt.now)
        came = np.flatnonzero(debt.now & ~debt.was)
        image = debt.image.take(gone)
        keys = {c.schema.name: image.columns[c.schema.name] for c in table.key_columns}
        changes.removes = group_removes(
            type(image)(image.length, keys), debt.reasons[gone], image if self.old_values else None
        )
        old = debt.image.take(stayed) if self.old_values else None
        changes.updates = group_updates(table, debt.slots[stayed], debt.changed[stayed], self._positions, old)
        if len(came):
            changes.inserts = Inserts(table.batch(debt.slots[came], self._positions), None)
            join_reborn(changes, table, debt.slots[came])

    @property
    def _altered(self) -> bool:
        """Whether the table has become another one, and the reader has not heard of it."""
        return any(change.session_changed is not None for change in self._first)

    def depart(self) -> None:
        """Its table is about to become another one: works out what is owed of this one. O(changes)."""
        if self._altered:
            return
        since = self.cursor
        owed = self._take_owed()
        if owed:
            self._first.append(owed)
        else:
            self.cursor = since  # the difference leads on from what the reader was told last

    def arrive(self, table: Relation, registry: set[TableWatch], schema: SessionSchema, change: Changes | None) -> None:
        """Reads `table` from here on; `change` leads the reader there, if anything does."""
        since = self.cursor
        self._registry.discard(self)
        self._registry, self.table = registry, table
        registry.add(self)
        self._read_all()
        self._debt = None
        if change is None or self._altered:
            # Nothing that the reader has is of use, or it has not heard of the table before: it begins anew.
            since = self._first[0].from_version if self._first else since
            self._first = [Changes(since, self.line.current, session_changed=replace(schema, reset=True))]
        else:
            since = self._first[-1].to_version if self._first else since
            self._first.append(change if since == change.from_version else replace(change, from_version=since))
        self.advance()

    def close(self) -> None:
        """Ends the watch."""
        self._registry.discard(self)

    def end(self, reason: Reason) -> None:
        """The table is no more."""
        self.closed = reason
        self.close()
