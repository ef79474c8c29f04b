"""A table and those who follow it.

What a commit did to a table goes from here to the results that it can touch, to the groups that are derived from it,
and to the readers of the table itself. A group is a table again, with a source of its own: so whatever can be done with
a table (filter, sort, window, group) can be done with groups, and a change flows down in one direction.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.delta import Delta, RowChange
from tesseract_grpc.engine.data.errors import OutOfRange
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.reader import Folds
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.routing import Follower, Router
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.table_watch import TableWatch

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.group import Group


class Source:
    """A table, its router, its derived groups and its readers."""

    def __init__(self, table: Relation, counters: Counters) -> None:
        self.table = table
        self.router = Router(table)
        self.watches: set[TableWatch] = set()
        self.results: dict[Hashable, Result] = {}
        self.groups: dict[Hashable, Group] = {}
        self.failed: list[tuple[Follower, OutOfRange]] = []  # who could not follow the last commit
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
            try:
                changed.extend(follower.apply(part, by_key))
            except OutOfRange as error:
                self.failed.append((follower, error))
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
        for followers, by_key in ((routed, True), (unrouted, False)):
            for follower in followers:
                try:
                    changed.extend(follower.apply_one(change, by_key))
                except OutOfRange as error:
                    self.failed.append((follower, error))
        self._trim()
        return changed

    def end_failed(self) -> list[tuple[Session, OutOfRange]]:
        """Ends the groups that could not follow a commit, and all sessions that show them; says why."""
        ended: list[tuple[Session, OutOfRange]] = []
        for follower, error in self.failed:
            group = self.groups.pop(follower.fingerprint)
            self.router.remove(group)
            for session in group.source.sessions():
                session.end(error.reason)
                ended.append((session, error))
        self.failed.clear()
        return ended

    def sessions(self) -> list[Session]:
        """All sessions over this table and over groups of it."""
        found = [session for result in self.results.values() for session in result.sessions.values()]
        for group in self.groups.values():
            found.extend(group.source.sessions())
        return found

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
