"""One maintained result: the rows of a plan in order, and its own recent history.

Sessions whose plans are equal share one result, whatever columns or windows of it they show: this is the query cache.
History is kept only while somebody watches.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.changelog import Changelog, HistoryLimits
from tesseract_grpc.engine.data.delta import ChangeKind, Delta, Placement, RemoveReason, RowChange, Slots
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.reader import Folds
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.order import OrderOperator
from tesseract_grpc.engine.operators.scan import scan
from tesseract_grpc.engine.operators.sort_words import Sorting
from tesseract_grpc.engine.operators.tree_order import TreeOrder, check_window
from tesseract_grpc.engine.query.query import Plan, Window

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.session import Session
    from tesseract_grpc.engine.live.watch import Watch

SAMPLED = 16
"""Of commits of one row, one in so many is timed."""


@dataclass(slots=True)
class Hydration:
    """A result on its way: its rows were found at `version`, and are being sorted, perhaps in a worker thread.

    What it reads stays maintained until it is released.
    """

    result: Result
    sorting: Sorting
    version: int
    release: Callable[[], None] = lambda: None
    """Gives it up, or does nothing when a session has taken it. May be called at any time, and again."""
    seconds: float = 0.0
    """How long it took so far, where whoever runs it measures that."""


class Result:
    """The maintained rows of one plan over one relation."""

    node: None = None  # no node derives anything from a result

    def __init__(self, table: Relation, plan: Plan, line: VersionLine, history: HistoryLimits) -> None:
        self.table = table
        self.fingerprint: Hashable = plan.fingerprint
        self.line = line
        self.left = False  # whether it is no longer maintained
        self.tree = None if plan.tree is None else TreeOrder(table, plan.sort, plan.tree)
        # Not `or`: a tree without rows is false.
        self.order: OrderOperator | TreeOrder = OrderOperator(table, plan.sort) if self.tree is None else self.tree
        self.filter = routed_filter(table, plan.filter, self.order.words.positions)
        self.filter.set_now(line.now)
        self.route = self.filter.key
        self.history = Changelog(history, line.current)
        self.sessions: dict[str, Session] = {}
        self.watches: set[Watch] = set()
        self.examined = 0  # rows that commits offered
        self.commits = 0  # commits that did
        self.hydrate_ns = 0
        self.apply_ns = 0

    def hydrate(self) -> int:
        """Evaluates the plan from scratch; returns the number of rows examined."""
        begun = self.line.stopwatch()
        self.order.hydrate(self.filter.hydrate())
        self.hydrate_ns = self.line.stopwatch() - begun
        self.history.since = self.line.current
        return self.filter.examined

    def prepare(self) -> Hydration:
        """Begins a hydration whose sorting runs elsewhere; `adopt` ends it. O(n)."""
        assert self.tree is None, "a tree is not sorted as a whole"
        slots = self.filter.hydrate()
        return Hydration(self, Sorting(self.order.words, slots), self.line.current)

    def adopt(self, hydration: Hydration) -> int:
        """Ends a hydration: takes the sorted rows and follows what was committed since. Returns the rows examined."""
        table, version = self.table, self.line.current
        if table.changelog.since > hydration.version or self.filter.predicate.now_us != self.line.now:
            self.filter.set_now(self.line.now)
            return self.hydrate()
        assert isinstance(self.order, OrderOperator), "only sorted rows are sorted elsewhere"
        self.order.adopt(hydration.sorting)
        if version > hydration.version:
            change = self.filter.apply(table.changelog.net(hydration.version, version, table))
            self.order.apply(change)
        self.history.since = version
        return self.filter.examined

    @property
    def reads(self) -> frozenset[int]:
        """The positions of the columns that decide which rows it has, and in which order."""
        tree = () if self.tree is None else self.tree.reads
        return frozenset((*self.filter.predicate.columns, *self.order.words.positions, *tree))

    @property
    def count(self) -> int:
        """The number of rows."""
        return len(self.order)

    def total(self, window: Window) -> int:
        """The number of rows of which a window shows a part: of a tree those that show."""
        return self.count if self.tree is None else self.tree.count(window)

    def page(self, window: Window) -> Slots:
        """The slots of the rows of a window, in order; perhaps a view, to be copied by whoever keeps it."""
        if self.tree is not None:
            return self.tree.page(window)
        start, stop = window.bounds(self.count)
        return self.order.slots[start:stop]

    def check_window(self, window: Window) -> None:
        """Raises InvalidRequest when the result has no such window."""
        check_window(window, self.tree)

    def apply(self, delta: Delta, routed: bool) -> Sequence[Result]:
        """Follows a commit; returns itself if the result changed.

        `delta` has at least the rows that matter; with `routed`, only rows that satisfied or satisfy the routing key.
        """
        stopwatch = self.line.stopwatch
        begun = stopwatch()
        self.examined += len(delta)
        self.commits += 1
        change = self.filter.apply(delta, routed)
        if len(change):
            self._record(change, self.order.apply(change))
        self.apply_ns += stopwatch() - begun
        return (self,) if len(change) else ()

    def apply_one(self, change: RowChange, routed: bool) -> Sequence[Result]:
        """The same for a commit of one row. One in `SAMPLED` is timed, for all: reading a clock twice would show."""
        self.examined += 1
        self.commits += 1
        if self.commits % SAMPLED:
            return self._apply_one(change, routed)
        begun = self.line.stopwatch()
        try:
            return self._apply_one(change, routed)
        finally:
            self.apply_ns += SAMPLED * (self.line.stopwatch() - begun)

    def _apply_one(self, change: RowChange, routed: bool) -> Sequence[Result]:
        kind = self.filter.apply_one(change, routed)
        if kind is None:
            return ()
        place = self.order.apply_one(kind, change)
        if not self.watches:
            self.history.forget(change.version)
            return (self,)
        reason = change.reason if change.kind is ChangeKind.REMOVED else RemoveReason.FILTERED
        self.history.append(RowChange(change.version, kind, change.slot, change.changed, None, reason, place))
        return (self,)

    @property
    def timely(self) -> bool:
        """Whether its rows change with time."""
        return self.filter.timely

    def tick(self, version: int) -> Sequence[Result]:
        """The hub's clock has advanced; returns itself if the result changed. O(n)."""
        change = self.filter.tick(self.line.now, version)
        if not len(change):
            return ()
        self._record(change, self.order.apply(change))
        return (self,)

    def _record(self, change: Delta, placement: Placement | None) -> None:
        if not self.watches:
            self.history.forget(change.version)
            return
        # Readers of a result need no before-images: they are told new values, and the keys of rows that left.
        entry = Delta(change.version, change.inserted, change.removed, change.reasons, change.updated, change.changed)
        entry.placement = placement
        self.history.append(entry)

    def remember_more(self) -> None:
        """Keeps as much history as the rows have that it reads, for readers who have to be told every commit."""
        self.history.limits = self.table.changelog.limits

    def trim(self) -> None:
        """Brings history back within its limits, once the commit is through.

        Not before: readers who settle are told everything up to the present version, of which a tick tells in parts.
        """
        if self.history.overfull:
            self.forget(self.history.trimmed_since())

    def forget(self, since: int) -> None:
        """Forgets history up to a version; readers that still stand before it take what they are owed with them."""
        if since <= self.history.since:
            return
        folds: Folds = {}
        for watch in self.watches:
            if watch.settled < since:
                watch.settle(folds)
        self.history.forget(since)
        for session in self.sessions.values():
            session.passages.forget()

    def check(self) -> None:
        """Proves that the result is what the plan gives from scratch, and that no watch stands outside history."""
        self.order.check()
        assert not self.timely or self.filter.predicate.now_us == self.line.now, "the result missed a tick"
        found = scan(self.table, self.filter.predicate, ())
        held = set(self.order.slots.tolist())
        assert held == set(found.slots.tolist()), "the result holds other rows than the plan gives from scratch"
        self.history.check()
        for watch in self.watches:
            assert watch.settled >= self.history.since, "a watch stands before the history of its result"
