"""What a result was at an earlier version: what has changed of it since, and what a window of it showed.

A result keeps no history for readers who are not there. What it was can be told all the same from the history of the
relation that it is over, which has the old values of everything that was written: a row that nothing was done to is
in the result now if it was then, and of all others the filter says on their before-images whether they were. A filter
that asks for the present is asked with the clock of then, and judges everybody whom time alone may have brought or
taken.

For a window, the rows that it showed are found in the order before the change (`order_before.py`). What shows of a
tree depends on all of it, so the tree is built once more over the relation as it was (`relation_before.py`).
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.delta import (
    NO_SLOTS,
    Delta,
    RemoveReason,
    Slots,
    Stored,
    join_stored,
    stored_at,
    take_stored,
)
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.watch import WindowImage
from tesseract_grpc.engine.operators.filter import FilterOperator
from tesseract_grpc.engine.operators.order import OrderOperator
from tesseract_grpc.engine.operators.order_before import OrderBefore
from tesseract_grpc.engine.operators.predicate import Predicate, Read
from tesseract_grpc.engine.operators.relation_before import RelationBefore
from tesseract_grpc.engine.operators.tree_order import TreeOrder
from tesseract_grpc.engine.query.query import Window


class Past:
    """A result as it was at a version that the history of its relation reaches back to. True at the present version."""

    def __init__(self, result: Result, since: Delta, now_us: int) -> None:
        """`since` is the net change of the relation, `now_us` the hub's clock then. O(changes), and O(n) where time
        alone may have changed the result."""
        self._result = result
        self._source = since
        self.change = _change_of(result.filter, since, now_us)
        self.debt = Debt.of(self.change, result.table, result.table.schema.key)
        self._order: OrderBefore | None = None
        self._tree: TreeOrder | None = None

    def total(self, window: Window) -> int:
        """The number of rows of which a window showed a part: of a tree those that showed."""
        result = self._result
        if result.tree is not None:
            return (self._as_tree() if len(self.change) else result.tree).count(window)
        return result.count - len(self.change.inserted) + len(self.change.removed)

    def image(self, window: Window) -> WindowImage:
        """Which rows a window showed, and their keys. O(changes x log n + window); of a tree O(n log n)."""
        result = self._result
        slots = self._page(window)
        return WindowImage(result.table.sequence[slots], slots, result.table.batch(slots, result.table.schema.key))

    def _page(self, window: Window) -> Slots:
        result = self._result
        if not len(self.change):
            return result.page(window).copy()
        if result.tree is not None:
            return self._as_tree().page(window).copy()
        if self._order is None:
            assert isinstance(result.order, OrderOperator)
            self._order = OrderBefore(result.order, self.change)
        return self._order.page(*window.bounds(self._order.count))

    def _as_tree(self) -> TreeOrder:
        result = self._result
        if self._tree is None:
            assert result.tree is not None
            stayed = result.tree.rows.slots
            if len(self.change.inserted):
                stayed = stayed[~np.isin(stayed, self.change.inserted)]
            table = result.table
            relation = RelationBefore(table, self._source, range(len(table.columns)))
            self._tree = result.tree.over(relation)
            self._tree.hydrate(np.concatenate((stayed, self.change.removed)))
        return self._tree


def _change_of(filter: FilterOperator, delta: Delta, then_us: int) -> Delta:
    """What a net change of a relation, and the time that has passed, did to the rows that a filter keeps. The filter
    stays as it is."""
    table, predicate = filter.table, filter.predicate
    columns, now_us = table.columns, predicate.now_us
    came = _mask(predicate, delta.inserted, lambda p: stored_at(columns[p], delta.inserted))
    now = _mask(predicate, delta.updated, lambda p: stored_at(columns[p], delta.updated))
    passed = NO_SLOTS, NO_SLOTS
    try:
        predicate.now_us = then_us
        went = _mask(predicate, delta.removed, lambda p: delta.old_removed(table, p))
        was = _mask(predicate, delta.updated, lambda p: delta.old_updated(table, p))
        if filter.timely and then_us != now_us:
            passed = _brought_by_time(filter, delta, then_us, now_us)
    finally:
        predicate.now_us = now_us
    left = (was & ~now).nonzero()[0]
    result = delta.take(came.nonzero()[0], went.nonzero()[0], (was & now).nonzero()[0])
    result.inserted = np.concatenate((result.inserted, delta.updated[now & ~was], passed[0]))
    return _with_removes(result, delta, table, went.nonzero()[0], left, passed[1])


def _mask(predicate: Predicate, slots: Slots, read: Read) -> BoolArray:
    return predicate.mask(read, len(slots)) if len(slots) else np.zeros(0, np.bool_)


def _brought_by_time(filter: FilterOperator, delta: Delta, then_us: int, now_us: int) -> tuple[Slots, Slots]:
    """The rows to which nothing was done that time alone has brought, and those that it has taken."""
    table, predicate = filter.table, filter.predicate
    columns = table.columns
    slots = None if filter.bounds is None else filter.bounds.candidates(table, then_us, now_us)
    if slots is None:
        slots = table.live_slots()
    touched = np.concatenate((delta.inserted, delta.updated))
    if len(touched):
        slots = slots[~np.isin(slots, touched)]
    masks: list[BoolArray] = []
    for moment in (then_us, now_us):
        predicate.now_us = moment
        masks.append(_mask(predicate, slots, lambda p: stored_at(columns[p], slots)))
    was, now = masks
    return slots[now & ~was], slots[was & ~now]


def _with_removes(
    result: Delta, delta: Delta, table: Relation, went: AnyArray, left: AnyArray, expired: Slots
) -> Delta:
    """Adds the rows that left the filter, and those that time took, to the removed ones, with their old values."""
    if not len(left) and not len(expired):
        return result
    images: dict[int, Stored] = {}
    for position in {*delta.removed_before, *delta.before}:
        gone = take_stored(delta.old_removed(table, position), went)
        stored = join_stored(gone, take_stored(delta.old_updated(table, position), left))
        images[position] = join_stored(stored, stored_at(table.columns[position], expired))
    result.removed = np.concatenate((result.removed, delta.updated[left], expired))
    reasons = ((len(left), RemoveReason.FILTERED), (len(expired), RemoveReason.EXPIRED))
    result.reasons = np.concatenate((result.reasons, *(np.full(n, reason, np.uint8) for n, reason in reasons)))
    result.removed_before = images
    return result
