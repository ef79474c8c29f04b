"""The rows of a table for which a predicate is true.

The operator holds no rows: whether a row was in the result is decided by evaluating the predicate on its
before-image. So ten thousand filters over a million rows cost ten thousand predicates and no memory a row.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

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
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.predicate import Predicate, compile_predicate
from tesseract_grpc.engine.operators.routing_keys import RoutingKey, routing_keys, unrouted_part, usable
from tesseract_grpc.engine.operators.scan import scan
from tesseract_grpc.engine.operators.time_bounds import TimeBounds
from tesseract_grpc.engine.query.filter import Filter

_NONE: BoolArray = np.zeros(0, np.bool_)


class FilterOperator:
    """Filters the rows of a table. `old_columns` are those whose old values the consumer wants of rows that leave."""

    def __init__(
        self, table: Relation, predicate: Predicate, keys: Sequence[RoutingKey], old_columns: frozenset[int]
    ) -> None:
        self.table = table
        self.predicate = predicate
        self.keys = keys
        self.where: Filter | None = None  # what it was made of
        self.examined = 0  # rows looked at by the last hydration
        self.index: str | None = None  # the index that it used
        self.bounds: TimeBounds | None = None  # where only some rows need to be judged when time passes
        self.judged = 0  # rows looked at by the last tick
        self._reads = frozenset(predicate.columns)
        self._old_columns = old_columns
        self.key: RoutingKey | None = None
        self._route = -1
        self._rest = predicate

    def routed_by(self, key: RoutingKey, rest: Predicate) -> None:
        """Tells by which key commits are routed here, and what is left to be tested of rows that satisfy it."""
        self.key, self._route, self._rest = key, key.column, rest

    @property
    def timely(self) -> bool:
        """Whether what it keeps changes with time."""
        return self.predicate.timely

    def set_now(self, now_us: int) -> None:
        """Sets the present. Rows that were kept or not by another present are told by `tick` alone."""
        self.predicate.now_us = self._rest.now_us = now_us

    def tick(self, now_us: int, version: int) -> Delta:
        """The present has advanced: the rows that time has brought, and those that have expired.

        O(n), or O(candidates) where the rows that can be judged otherwise are found by an index.
        """
        before_us = self.predicate.now_us
        slots = None if self.bounds is None else self.bounds.candidates(self.table, before_us, now_us)
        if slots is None:
            slots = self.table.live_slots()
        columns, self.judged = self.table.columns, len(slots)
        was = self.predicate.mask(lambda p: stored_at(columns[p], slots), len(slots))
        self.set_now(now_us)
        now = self.predicate.mask(lambda p: stored_at(columns[p], slots), len(slots))
        expired = slots[was & ~now]
        return Delta(version, slots[now & ~was], expired, np.full(len(expired), RemoveReason.EXPIRED, np.uint8))

    def _predicate(self, routed: bool, before: Container[int]) -> Predicate:
        """What to test: routed rows satisfy the key, unless their old or their new value alone may have done so."""
        return self._rest if routed and self._route not in before else self.predicate

    def hydrate(self) -> Slots:
        """The slots of the rows that match, ascending. O(n), or O(candidates) with an index that helps."""
        found = scan(self.table, self.predicate, self.keys, self.where)
        self.examined, self.index = found.examined, found.index
        return found.slots

    def count(self) -> int:
        """How many rows match now. As costly as `hydrate`."""
        return len(scan(self.table, self.predicate, self.keys).slots)

    def apply(self, delta: Delta, routed: bool = False) -> Delta:
        """The change of the result. O(delta).

        With `routed`, every inserted row satisfies the routing key, every removed row did, and every updated row did or
        does.
        """
        columns = self.table.columns
        rest = self._predicate(routed, ())
        came = _mask(rest, delta.inserted, lambda p: stored_at(columns[p], delta.inserted))
        went = _mask(rest, delta.removed, lambda p: delta.old_removed(self.table, p))
        rest = self._predicate(routed, delta.before)
        now = _mask(rest, delta.updated, lambda p: stored_at(columns[p], delta.updated))
        if self._reads.isdisjoint(delta.before):
            # Nothing that the predicate reads has changed: whoever matches now has matched before.
            return _kept(delta, came, went, now)
        was = _mask(rest, delta.updated, lambda p: delta.old_updated(self.table, p))
        result = _kept(delta, came, went, now & was)
        entered, left = now & ~was, (was & ~now).nonzero()[0]
        if entered.any():
            result.inserted = np.concatenate((result.inserted, delta.updated[entered]))
        if len(left):
            self._leave(delta, result, went, left)
        return result

    def _leave(self, delta: Delta, result: Delta, went: BoolArray, left: NDArray[np.intp]) -> None:
        """Adds the updated rows that no longer match to the removed ones, with their old values."""
        gone = went.nonzero()[0]
        result.removed = np.concatenate((result.removed, delta.updated[left]))
        result.reasons = np.concatenate((result.reasons, np.full(len(left), RemoveReason.FILTERED, np.uint8)))
        result.removed_before = {
            p: join_stored(
                take_stored(delta.old_removed(self.table, p), gone), take_stored(delta.old_updated(self.table, p), left)
            )
            for p in self._old_columns
        }

    def apply_one(self, change: RowChange, routed: bool = False) -> ChangeKind | None:
        """What the change of one row is to the result: INSERTED, UPDATED, REMOVED, or None when it is nothing."""
        columns, slot = self.table.columns, change.slot

        def present(position: int) -> Scalar:
            column = columns[position]
            if column.valid is None or column.valid[slot]:
                value: Scalar = column.values.item(slot)
                return value
            return None

        before = change.before
        predicate = self._rest if routed and self._route not in before else self.predicate
        now = predicate.always or predicate.test(present)
        if change.kind is not ChangeKind.UPDATED:
            return change.kind if now else None
        if self._reads.isdisjoint(before):
            return ChangeKind.UPDATED if now else None

        def former(position: int) -> Scalar:
            return before[position] if position in before else present(position)

        if predicate.test(former):
            return ChangeKind.UPDATED if now else ChangeKind.REMOVED
        return ChangeKind.INSERTED if now else None


def as_delta(filter: FilterOperator, kind: ChangeKind, change: RowChange) -> Delta:
    """What `apply_one` of a filter said of one row, as `apply` would have said it."""
    if kind is change.kind:
        return change.to_delta(filter.table)
    slots = np.array([change.slot], np.int32)
    if kind is ChangeKind.INSERTED:
        return Delta(change.version, inserted=slots)
    before = change.to_delta(filter.table).before
    reasons = np.array([RemoveReason.FILTERED], np.uint8)
    return Delta(change.version, removed=slots, reasons=reasons, removed_before=before)


def routed_filter(table: Relation, where: Filter | None, old_columns: frozenset[int]) -> FilterOperator:
    """The operator of a checked filter, with its routing key when it has one."""
    predicate = compile_predicate(where, table.schema, table.columns, intern=True)
    keys = routing_keys(where, table.schema, table.columns, intern=True)
    operator = FilterOperator(table, predicate, keys, old_columns)
    operator.where = where
    if predicate.timely:
        operator.bounds = TimeBounds.of(where, table.schema, table.columns)
    if keys and usable(keys[0]):
        left = unrouted_part(where, keys[0], table.schema)
        rest = predicate if left is where else compile_predicate(left, table.schema, table.columns, intern=True)
        operator.routed_by(keys[0], rest)
    return operator


def _mask(predicate: Predicate, slots: Slots, read: Callable[[int], Stored]) -> BoolArray:
    return predicate.mask(read, len(slots)) if len(slots) else _NONE


def _kept(delta: Delta, came: BoolArray, went: BoolArray, stayed: BoolArray) -> Delta:
    """The part of a delta that concerns rows of the result, in a delta of its own."""
    if came.all() and went.all() and stayed.all():
        return replace(delta)
    return delta.take(came.nonzero()[0], went.nonzero()[0], stayed.nonzero()[0])
