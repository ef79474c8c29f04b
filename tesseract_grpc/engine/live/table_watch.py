"""One reader of a table: every row that was added, updated or removed, with the old values on request.

Rows have no positions here. The reader follows the table's own changelog.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.delta import Delta
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.frozen import read_rows
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.changes import Changes, Inserts, Snapshot
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.reader import Reader, WatchState, group_removes, group_updates
from tesseract_grpc.engine.live.rebirth import join_reborn


class TableWatch(Reader):
    """One reader of the changes of a table."""

    def __init__(
        self, table: Relation, line: VersionLine, registry: set[TableWatch], *, old_values: bool = False
    ) -> None:
        self._positions = tuple(range(len(table.columns)))
        super().__init__(table, line, self._positions if old_values else table.schema.key)
        self.old_values = old_values
        self.state = WatchState.LIVE
        self._first: list[Changes] = []  # what is to be taken before what is owed: a passage
        self._registry = registry
        registry.add(self)

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows."""
        return self.table.schema.columns

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
        if self._first:
            return self._first.pop(0)
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

    def close(self) -> None:
        """Ends the watch."""
        self._registry.discard(self)

    def end(self, reason: Reason) -> None:
        """The table is no more."""
        self.closed = reason
        self.close()
