"""A relation and those who follow it.

What a commit did to a relation goes from here to the results that it can touch, to the nodes that derive other
relations from it, and to the readers of the relation itself. What a node derives is a relation again, with a source
of its own: so whatever can be done with a table (filter, sort, window, group, join) can be done with what was
derived, and a change flows down in one direction.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.delta import Delta, RowChange
from tesseract_grpc.engine.data.filter_uses import FilterUses
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.reader import Folds
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.rewinds import NotResumable, Rewinds, too_old
from tesseract_grpc.engine.live.routing import Follower, Router
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.table_watch import TableWatch
from tesseract_grpc.engine.live.tape import CommitTableWatch
from tesseract_grpc.engine.live.wave import Wave

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.node import Node

MOST_PASSAGES = 8
"""So many passages of readers who come back to one relation are kept."""


class Source:
    """A relation, its router, the nodes derived from it and its readers."""

    def __init__(self, table: Relation, counters: Counters, wave: Wave, owner: Node | None = None) -> None:
        self.table = table
        self.counters = counters
        self.wave = wave
        self.owner = owner  # what derives the relation; None for a table of the hub
        self.router = Router(table)
        self.watches: set[TableWatch] = set()
        self.results: dict[Hashable, Result] = {}
        self.nodes: dict[Hashable, Node] = {}  # nodes of which this is the first source
        self.rewinds = Rewinds(table)
        self.aging = False  # whether it was said that part of the history is forgotten soon
        self._passages: dict[tuple[int, bool], Changes] = {}  # of readers of the relation, by version and old values
        self._altered = 0  # the version that made its columns what they are
        self.feeds = 0  # how many inputs of nodes read it
        self.holds = 0  # how often it is kept for another reason, for example by name
        if isinstance(table, Table) and owner is None and table.uses is None:
            table.uses = FilterUses(wave.stopwatch, table.row_count, table.next_sequence)

    @property
    def rank(self) -> int:
        """How many nodes with several inputs stand between a table and this relation, at most."""
        return 0 if self.owner is None else self.owner.rank

    @property
    def used(self) -> bool:
        """Whether anybody follows it."""
        return bool(self.results or self.feeds or self.holds or self.watches)

    def watch(
        self, line: VersionLine, *, old_values: bool, since: int | None, exact: bool, every_commit: bool = False
    ) -> TableWatch:
        """Opens a reader of the relation itself, which has what there was at `since` if that is given.

        O(1), or O(changes) for the first who comes back from there. Raises NotResumable.
        """
        passage = None
        if since is not None:
            passage = self._passage(line, old_values, since, exact or every_commit)
        if every_commit:
            watch: TableWatch = CommitTableWatch(self.table, line, self.watches, self.wave.tapes, old_values=old_values)
        else:
            watch = TableWatch(self.table, line, self.watches, old_values=old_values)
        if passage is not None:
            watch.take_up(passage)
        return watch

    def _passage(self, line: VersionLine, old_values: bool, since: int, exact: bool) -> Changes:
        """The change from an earlier version to the present one, or to one of late for all who come back from there."""
        changelog = self.table.changelog
        known = self._passages.get((since, old_values))
        if (
            known is not None
            and known.to_version >= changelog.since
            and (not exact or known.to_version == line.current)
        ):
            return known
        if since < changelog.since:
            raise too_old(since, changelog)
        if since < self._altered:
            raise NotResumable(f"the columns of version {since} are not those of now: the table has been altered since")
        watch = TableWatch(self.table, line, set(), old_values=old_values)
        watch.fall_back(since, self.rewinds.since(since, line.current))
        passage = watch.take()
        while len(self._passages) >= MOST_PASSAGES:
            del self._passages[next(iter(self._passages))]
        self._passages[since, old_values] = passage
        return passage

    def altered(self, version: int) -> None:
        """The columns of the relation are others from this version on."""
        self._altered = version
        self._passages.clear()

    def let_go(self) -> None:
        """Ends the node that derives the relation, when nobody follows it any more."""
        if self.owner is not None and not self.used:
            self.owner.detach()

    def hold(self) -> Callable[[], None]:
        """Keeps the relation maintained until the function that is returned is called; it may be called again."""
        self.holds += 1
        held = [self]

        def release() -> None:
            if held:
                held.pop().holds -= 1
                self.let_go()

        return release

    def follow(self, follower: Follower) -> None:
        """A follower joins: it hears of commits, and of time where it matters."""
        self.router.add(follower)
        if follower.timely:
            self.wave.timely[follower] = None

    def unfollow(self, follower: Follower) -> None:
        """A follower leaves."""
        self.router.remove(follower)
        self.wave.timely.pop(follower, None)

    def add(self, result: Result) -> None:
        """A result over this relation joins."""
        self.results[result.fingerprint] = result
        self.follow(result)

    def remove(self, result: Result) -> None:
        """A result over this relation leaves; a relation that nobody follows any more ends."""
        del self.results[result.fingerprint]
        self.unfollow(result)
        self.let_go()

    def publish(self, delta: Delta) -> list[Result]:
        """Records a delta of the relation and carries it on; returns the results that changed."""
        counters = self.counters
        if self.table.uses is not None and len(delta.inserted):
            self.table.uses.insertions += 1
        self._record(delta)
        changed: list[Result] = []
        for follower, part, by_key in self.router.route(delta):
            counters.sessions_routed += 1
            counters.rows_routed += len(part)
            changed.extend(follower.apply(part, by_key))
        self._trim()
        return changed

    def publish_one(self, change: RowChange) -> list[Result]:
        """The same for a change of one row."""
        counters = self.counters
        self._record(change)
        changed: list[Result] = []
        routed = self.router.route_one(change)
        unrouted = self.router.unrouted()
        counters.sessions_routed += len(routed) + len(unrouted)
        counters.rows_routed += len(routed) + len(unrouted)
        for followers, by_key in ((routed, True), (unrouted, False)):
            for follower in followers:
                changed.extend(follower.apply_one(change, by_key))
        change.words.clear()  # history keeps the change, and nobody asks for them any more
        self._trim()
        return changed

    def _record(self, change: Delta | RowChange) -> None:
        self.table.update_version = change.version
        self.table.changelog.append(change)
        if self.owner is None:
            self.counters.rows_written += len(change)
        elif self.watches:
            self.wave.watched.append(self.table)

    def sessions(self) -> list[Session]:
        """All sessions over this relation and over what is derived from it."""
        found = [session for result in self.results.values() for session in result.sessions.values()]
        for node in self.router.nodes():
            found.extend(node.source.sessions())
        return list(dict.fromkeys(found))

    def _trim(self) -> None:
        """Trims the history of the relation when it has outgrown its limits, once the commit is through.

        Not now: readers who settle are told everything up to the present version, which nodes may still have to reach.
        """
        if self.table.changelog.overfull:
            self.wave.overfull[self] = None
        elif not self.aging and self.table.changelog.full:
            self.aging = True
            self.wave.aging.append(self)

    def trim(self) -> None:
        """Brings the history of the relation back within its limits."""
        self.aging = False
        self.forget(self.table.changelog.trimmed_since())

    def forget(self, since: int) -> None:
        """Forgets what happened up to a version. Whoever stands in it is told first; then slots are free again."""
        for result in self.results.values():
            result.forget(since)
        folds: Folds = {}
        for watch in self.watches:
            if watch.settled < since:
                watch.settle(folds)
        for node in self.nodes.values():
            if node.shares_slots:
                node.source.forget(since)
        self.table.changelog.forget(since)
        self.rewinds.clear()
        self._passages.clear()
        self.table.release()

    def check(self) -> int:
        """Proves the invariants of everything here; returns how many structures there are."""
        self.table.check()
        self.router.check()
        checked = 2
        for result in self.results.values():
            result.check()
            assert result.sessions, "a result without sessions is maintained"
            checked += 1
        for node in self.nodes.values():
            checked += node.check()
        return checked
