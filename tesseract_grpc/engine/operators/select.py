"""One-shot queries: the rows of a window of a filtered, sorted table, without maintaining anything.

When only the first rows of an order are wanted, they are selected and not sorted out of everything: a partition by
the first order word leaves the wanted rows and those that tie with the last of them, and only these are sorted (Hoare
1961, by way of NumPy's introselect). O(n + k log k).
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.delta import Slots, stored_at
from tesseract_grpc.engine.data.extended_table import root
from tesseract_grpc.engine.data.frozen import read_rows
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import Batch, BoolArray
from tesseract_grpc.engine.operators.predicate import compile_predicate
from tesseract_grpc.engine.operators.routing_keys import routing_keys
from tesseract_grpc.engine.operators.scan import ScanResult, scan
from tesseract_grpc.engine.operators.sort_words import Sorting, SortWords
from tesseract_grpc.engine.operators.tree_order import TreeOrder, check_window
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.query import Plan, Window


class BigSelection:
    """A whole sorted result that is large: its rows are copied, and `run` puts them in order in a worker thread."""

    __slots__ = ("_rows", "_sorting", "_window", "scan", "total")

    def __init__(self, table: Relation, plan: Plan, window: Window, found: ScanResult) -> None:
        self.scan = found
        self.total = len(found.slots)
        self._rows = read_rows(table, found.slots, plan.positions)
        self._sorting = Sorting(SortWords(table, plan.sort), found.slots)
        self._window = window

    def run(self) -> Batch:
        """The rows of the window in order. O(n log n)."""
        self._sorting.run()
        assert self._sorting.order is not None
        start, stop = self._window.bounds(self.total)
        return self._rows.take(self._sorting.order[start:stop])


class Selection:
    """The slots of a window in order, the size of the whole result, and how it was found."""

    __slots__ = ("scan", "slots", "total")

    def __init__(self, slots: Slots, total: int, scan: ScanResult) -> None:
        self.slots = slots
        self.total = total
        self.scan = scan


def select(
    table: Relation, plan: Plan, window: Window, big: int | None = None, now_us: int = 0
) -> Selection | BigSelection:
    """Evaluates a plan once, at the present `now_us`. O(candidates + window log window).

    With `big`, a window of so many rows or more that needs sorting is returned unsorted, as a BigSelection.
    """
    predicate = compile_predicate(plan.filter, table.schema, table.columns, intern=False, now_us=now_us)
    keys = routing_keys(plan.filter, table.schema, table.columns, intern=False)
    found = scan(table, predicate, keys, plan.filter)
    found.timely = predicate.timely
    slots, total = found.slots, len(found.slots)
    if window.limit is None and window.expansion is None and (uses := root(table).uses) is not None:
        uses.note_whole(total)
    if plan.tree is not None:
        tree = TreeOrder(table, plan.sort, plan.tree)
        check_window(window, tree)
        tree.hydrate(slots)
        return Selection(tree.page(window), tree.count(window), found)
    check_window(window, None)
    start, stop = window.bounds(total)
    if start >= stop:
        return Selection(slots[:0], total, found)
    words = SortWords(table, plan.sort)
    if words.by_insertion and table.in_order:
        return Selection(slots[start:stop], total, found)
    if big is not None and stop - start >= big:
        return BigSelection(table, plan, window, found)
    first = words.first_now(slots)
    if stop < total // 2:
        limit = np.partition(first, stop - 1)[stop - 1]
        near = np.flatnonzero(first <= limit)
        slots, first = slots[near], first[near]
    order = words.sorted(slots, first)
    return Selection(slots[order[start:stop]], total, found)


class TableSelector:
    """Finds the rows of a table by filters, for deletes and conditions of writes. Filters are checked already."""

    def __init__(self, table: Relation, now_us: int) -> None:
        self._table = table
        self._now_us = now_us

    def rows(self, filter: Filter) -> Slots:
        """The slots of all rows for which the filter is true, ascending."""
        table = self._table
        predicate = compile_predicate(filter, table.schema, table.columns, intern=False, now_us=self._now_us)
        return scan(table, predicate, routing_keys(filter, table.schema, table.columns, intern=False), filter).slots

    def matching(self, filter: Filter, slots: Slots) -> BoolArray:
        """For which of the rows at `slots` the filter is true."""
        table = self._table
        predicate = compile_predicate(filter, table.schema, table.columns, intern=False, now_us=self._now_us)
        return predicate.mask(lambda p: stored_at(table.columns[p], slots), len(slots))
