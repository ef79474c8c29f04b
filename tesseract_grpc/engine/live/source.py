"""A table and those who follow it.

What a commit did to a table goes from here to the results that it can touch, to the groups that are derived from it,
and to the readers of the table itself. A group is a table again, with a source of its own: so whatever can be done with
a table (filter, sort, window, group) can be done with groups, and a change flows down in one direction.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.delta import Delta, RowChange
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.reader import Folds
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.routing import Router
from tesseract_grpc.engine.live.table_watch import TableWatch

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.group import Group


class Source:
    """A table, its router, its derived groups and its readers."""

    def __init__(self, table: Table, counters: Counters) -> None:
        self.table = table
        self.router = Router(table)
        self.watches: set[TableWatch] = set()
        self.results: dict[Hashable, Result] = {}
        self.groups: dict[Hashable, Group] = {}
        self._counters = counters

    def add(self, result: Result) -> None:
        """A result over this table joins."""
        self.results[result.fingerprint] = result
        self.router.add(result)

    def remove(self, result: Result) -> None:
        """A result over this table leaves."""
        del self.results[result.fingerprint]
        self.router.remove(result)

    def publish(self, delta: Delta) -> list[Result]:
        """Records a delta of the table and carries it on; returns the results that changed."""
        counters = self._counters
        self.table.update_version = delta.version
        counters.rows_written += len(delta)
        self.table.changelog.append(delta)
        changed: list[Result] = []
        for follower, part, by_key in self.router.route(delta):
            counters.sessions_routed += 1
            counters.rows_routed += len(part)
            changed.extend(follower.apply(part, by_key))
        self._trim()
        return changed

    def publish_one(self, change: RowChange) -> list[Result]:
        """The same for a change of one row."""
        counters = self._counters
        self.table.update_version = change.version
        counters.rows_written += 1
        self.table.changelog.append(change)
        changed: list[Result] = []
        routed = self.router.route_one(change)
        unrouted = self.router.unrouted()
        counters.sessions_routed += len(routed) + len(unrouted)
        counters.rows_routed += len(routed) + len(unrouted)
        for follower in routed:
            changed.extend(follower.apply_one(change, True))
        for follower in unrouted:
            changed.extend(follower.apply_one(change, False))
        self._trim()
        return changed

    def _trim(self) -> None:
        """Trims the table's history. Whoever stands in what is forgotten is told first; then its slots are free."""
        table = self.table
        if not table.changelog.overfull:
            return
        since = table.changelog.trimmed_since()
        for result in self.results.values():
            result.forget(since)
        folds: Folds = {}
        for watch in self.watches:
            if watch.settled < since:
                watch.settle(folds)
        table.changelog.forget(since)
        table.release()

    def check(self) -> int:
        """Proves the invariants of everything here; returns how many structures there are."""
        self.table.check()
        self.router.check()
        checked = 2
        for result in self.results.values():
            result.check()
            assert result.sessions, "a result without sessions is maintained"
            checked += 1
        for group in self.groups.values():
            checked += group.check()
        return checked
