"""One reader's place in a history: what it has been given, and what it is owed.

A reader is in one of two states. LIVE: `cursor` lies within the history, which tells what is owed. CONFLATING:
history was forgotten under its feet, and what it was owed until `settled` is held as a debt. Taking what is owed
makes it LIVE again.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np

from tesseract_grpc.engine.data.changelog import Changelog
from tesseract_grpc.engine.data.delta import Delta, RemoveReason, Slots, column_bit
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, Batch
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.changes import Removes, Updates
from tesseract_grpc.engine.live.conflation import Debt


class WatchState(Enum):
    """Where a watch stands."""

    CATCHING_UP = "catching up"  # opened; its snapshot is not taken yet
    LIVE = "live"  # served from history
    CONFLATING = "conflating"  # lagged behind history; holds its net change itself


Folds = dict[tuple[int, int, tuple[int, ...]], Debt]
"""Debts made while one history is forgotten, by the debt before, the version settled, and the columns kept."""


class Reader:
    """The place of one reader in the history of a table or of a result."""

    def __init__(self, table: Relation, line: VersionLine, image: Sequence[int]) -> None:
        self.table = table
        self.line = line
        self.cursor = line.current
        self.settled = line.current
        self.state = WatchState.CATCHING_UP
        self.closed: Reason | None = None
        self.commits = 0  # commits that were folded into the debt
        self._debt: Debt | None = None
        self._image = tuple(image)

    @property
    def history(self) -> Changelog:
        """The history that this reader follows."""
        raise NotImplementedError

    @property
    def pending(self) -> bool:
        """Whether there may be something to take."""
        return self._debt is not None or self.history.last > self.settled

    @property
    def fallen(self) -> bool:
        """Whether it has to be told a net change although it asks for every commit (`tape.py`)."""
        return False

    @property
    def lag(self) -> int:
        """How many commits it has not been given yet. O(lag), bounded by history."""
        return self.commits + self.history.count_after(self.settled)

    def settle(self, folds: Folds | None = None) -> None:
        """Folds what is owed so far into the debt, before history is forgotten.

        Readers of one history that settle together pass one `folds`: those who stand at one place share their debt.
        """
        if self.state is WatchState.CATCHING_UP:
            self.cursor = self.settled = self.line.current
            return
        if self._debt is None and self.history.last <= self.settled:
            self.settled = self.line.current  # nothing is owed
            return
        self.commits += self.history.count_after(self.settled)
        self._debt = self._folded(folds)
        self.settled = self.line.current
        self.state = WatchState.CONFLATING

    def _folded(self, folds: Folds | None) -> Debt:
        """The debt and what happened since; made once for all readers who owe the same."""
        key = (id(self._debt), self.settled, self._image)
        if folds is not None and key in folds:
            return folds[key]
        delta = self.history.net(self.settled, self.line.current, self.table)
        debt = Debt.of(delta, self.table, self._image)
        if self._debt is not None:
            debt = self._debt.then(debt)
        if folds is not None:
            folds[key] = debt
        return debt

    def advance(self) -> None:
        """Everything up to now has been given."""
        self.cursor = self.settled = self.line.current
        self._debt = None
        self.commits = 0
        self.state = WatchState.LIVE

    def owed(self) -> Delta | Debt:
        """What is owed: a delta while history reaches back, else a debt."""
        if self._debt is None:
            return self.history.net(self.settled, self.line.current, self.table)
        self.settle()
        assert self._debt is not None
        return self._debt


def group_updates(
    table: Relation, slots: Slots, changed: AnyArray, shown: Sequence[int], old: Batch | None = None
) -> tuple[Updates, ...]:
    """Rows that changed, grouped by which of the shown columns did. O(rows x distinct groups).

    `old` has the old values of all shown columns, row by row.
    """
    mask = 0
    for position in shown:
        if position not in table.schema.key:
            mask |= column_bit(position)
    visible = changed & np.uint64(mask)
    groups: list[Updates] = []
    if len(visible) and (visible == visible[0]).all():
        # The usual case by far: one kind of update.
        kinds, alike = [int(visible[0])], True
    else:
        kinds, alike = np.unique(visible).tolist(), False
    for bits in kinds:
        if not bits:
            continue
        rows = np.arange(len(visible)) if alike else (visible == np.uint64(bits)).nonzero()[0]
        columns = [p for p in shown if p not in table.schema.key and column_bit(p) & bits]
        old_values = None
        if old is not None:
            names = [table.columns[p].schema.name for p in columns]
            old_values = Batch(len(rows), {name: old.columns[name].take(rows) for name in names})
        groups.append(Updates(table.batch(slots if alike else slots[rows], (*table.schema.key, *columns)), old_values))
    return tuple(groups)


def group_removes(keys: Batch, reasons: AnyArray, old: Batch | None = None) -> tuple[Removes, ...]:
    """Rows that left, grouped by reason."""
    if not keys.length:
        return ()
    groups: list[Removes] = []
    for reason in np.unique(reasons).tolist():
        rows = (reasons == reason).nonzero()[0]
        every = len(rows) == keys.length
        groups.append(
            Removes(
                RemoveReason(reason),
                keys if every else keys.take(rows),
                old if old is None or every else old.take(rows),
            )
        )
    return tuple(groups)
