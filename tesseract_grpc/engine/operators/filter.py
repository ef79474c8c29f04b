"""The rows of a table for which a predicate is true.

The operator holds no rows: whether a row was in the result is decided by evaluating the predicate on its
before-image. So ten thousand filters over a million rows cost ten thousand predicates and no memory a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tesseract_grpc.engine.data.delta import (
    ChangeKind,
    Delta,
    RemoveReason,
    RowChange,
    Slots,
    Stored,
    join_stored,
    stored_at,
    take_stored,
)
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.predicate import Predicate
from tesseract_grpc.engine.operators.routing_keys import RoutingKey
from tesseract_grpc.engine.operators.scan import scan


class FilterOperator:
    """Filters the rows of a table. `old_columns` are those whose old values the consumer wants of rows that leave."""

    def __init__(
        self, table: Table, predicate: Predicate, keys: Sequence[RoutingKey], old_columns: frozenset[int]
    ) -> None:
        self.table = table
        self.predicate = predicate
        self.keys = keys
        self.examined = 0  # rows looked at by the last hydration
        self._reads = frozenset(predicate.columns)
        self._old_columns = old_columns

    def hydrate(self) -> Slots:
        """The slots of the rows that match, ascending. O(n), or O(candidates) with an index that helps."""
        found = scan(self.table, self.predicate, self.keys)
        self.examined = found.examined
        return found.slots

    def apply(self, delta: Delta) -> Delta:
        """The change of the result. O(delta)."""
        columns = self.table.columns
        came = self._mask(delta.inserted, lambda p: stored_at(columns[p], delta.inserted))
        went = self._mask(delta.removed, lambda p: delta.old_removed(self.table, p))
        now = self._mask(delta.updated, lambda p: stored_at(columns[p], delta.updated))
        if self._reads.isdisjoint(delta.before):
            # Nothing that the predicate reads has changed: whoever matches now has matched before.
            return self._stayed(delta, came, went, now)
        was = self._mask(delta.updated, lambda p: delta.old_updated(self.table, p))
        entered, left, stayed = now & ~was, was & ~now, now & was
        result = self._stayed(delta, came, went, stayed)
        if entered.any():
            result.inserted = np.concatenate((result.inserted, delta.updated[entered]))
        if left.any():
            gone = np.flatnonzero(left)
            filtered = np.full(len(gone), RemoveReason.FILTERED, np.uint8)
            images = {
                p: join_stored(
                    take_stored(delta.old_removed(self.table, p), np.flatnonzero(went)),
                    take_stored(delta.old_updated(self.table, p), gone),
                )
                for p in self._old_columns
            }
            result.removed = np.concatenate((result.removed, delta.updated[gone]))
            result.reasons = np.concatenate((result.reasons, filtered))
            result.removed_before = images
        return result

    def _stayed(self, delta: Delta, came: BoolArray, went: BoolArray, stayed: BoolArray) -> Delta:
        if came.all() and went.all() and stayed.all():
            return Delta(
                delta.version,
                delta.inserted,
                delta.removed,
                delta.reasons,
                delta.updated,
                delta.changed,
                delta.before,
                delta.removed_before,
            )
        return delta.take(np.flatnonzero(came), np.flatnonzero(went), np.flatnonzero(stayed))

    def _mask(self, slots: Slots, read: Callable[[int], Stored]) -> BoolArray:
        if not len(slots):
            return np.zeros(0, np.bool_)
        return self.predicate.mask(read, len(slots))

    def apply_one(self, change: RowChange) -> ChangeKind | None:
        """What the change of one row is to the result: INSERTED, UPDATED, REMOVED, or None when it is nothing."""
        columns, slot = self.table.columns, change.slot

        def present(position: int) -> bool | int | float | str | None:
            return columns[position].stored(slot)

        if change.kind is not ChangeKind.UPDATED:
            return change.kind if self.predicate.test(present) else None
        before = change.before
        now = self.predicate.test(present)
        if self._reads.isdisjoint(before):
            return ChangeKind.UPDATED if now else None

        def former(position: int) -> bool | int | float | str | None:
            return before[position] if position in before else columns[position].stored(slot)

        if self.predicate.test(former):
            return ChangeKind.UPDATED if now else ChangeKind.REMOVED
        return ChangeKind.INSERTED if now else None
