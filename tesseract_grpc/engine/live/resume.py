"""Readers who come back: a watch that begins where an earlier one ended.

A reader that comes back at a version holds what the session showed then. What it is owed is the net change from there,
which is worked out once (`past.py`) and kept as a **passage**: the change to a version, and what a reader has who was
given it. Whoever comes back from the same version to the same window is given the same passage, at the cost of a
lookup, as long as the result's history tells what happened after it.

A session's rows at a version are a matter of its definition, of the version, and, where they depend on time, of the
hub's clock, which may move without a version while nothing depends on it. So a reader says all three: the definition
is for the caller to compare, the version and the clock are told here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import proxy

from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.live.changes import Changes
from tesseract_grpc.engine.live.past import Past
from tesseract_grpc.engine.live.rewinds import NotResumable, too_old
from tesseract_grpc.engine.live.watch import Watch, WindowImage
from tesseract_grpc.engine.query.query import Window

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.session import Session

MOST = 64
"""So many passages of one session are kept."""

TREE_ROWS = 100_000
"""A tree of more rows is not built once more to tell what a window of it showed: that would hold everybody up."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The way of a reader from an earlier version to a later one, and what it has and knows then."""

    changes: Changes
    version: int
    image: WindowImage | None
    total: int


class Passages:
    """The passages of one session as it is defined."""

    def __init__(self, session: Session) -> None:
        # Weak, for the session has this: one that ends is freed at once, with its rows, and waits for no collector.
        self._session: Session = proxy(session)
        self._known: dict[tuple[Window, int, int], Passage] = {}
        self._past: tuple[int, int, int, Past] | None = None  # by version, version since, and clock

    def find(self, window: Window, since: int, now_us: int, *, exact: bool) -> Passage:
        """The passage from a version on; with `exact`, to the present version. Raises NotResumable.

        O(1) where somebody has come back from there; else O(changes of the source x log n + window), O(n log n) for a
        tree.
        """
        session = self._session
        version = session.result.line.current
        known = self._known.get((window, since, now_us))
        if known is not None and (known.version == version if exact else known.version >= session.result.history.since):
            return known
        self._check(since, now_us)
        self._prune()
        passage = self._passage(window, since, now_us)
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[window, since, now_us] = passage
        return passage

    def forget(self) -> None:
        """The result's history is forgotten in part: lets go of what is of no use any more. O(passages)."""
        self._past = None
        self._prune()

    def _prune(self) -> None:
        """Lets go of passages from whose end the result's history no longer leads on."""
        since = self._session.result.history.since
        for key in [key for key, passage in self._known.items() if passage.version < since]:
            del self._known[key]

    def _check(self, since: int, now_us: int) -> None:
        session = self._session
        source, line = session.resolved.source, session.result.line
        assert since <= line.current, "a version that has not been reached has to be waited for"
        if since < source.table.changelog.since:
            raise too_old(since, source.table.changelog)
        owner = source.owner
        if isinstance(source.table, Table):
            _refuse_altered(session, source.table, since)
        if session.timely and (
            now_us > line.now or (owner is not None and since == owner.hydrate_version and now_us != owner.hydrate_now)
        ):
            raise NotResumable(f"what it read at version {since} was derived anew at another time")

    def _passage(self, window: Window, since: int, now_us: int) -> Passage:
        session = self._session
        version = session.result.line.current
        past, tree = self._at(since, now_us), session.result.tree
        if tree is not None and len(tree) > TREE_ROWS and len(past.change):
            raise NotResumable(f"a tree of more than {TREE_ROWS} rows is not worked out again as it was")
        watch = Watch(session, window)
        watch.fall_back(since, past.debt, past.image(window) if watch.imaged else None, past.total(window))
        changes = watch.compute() if len(past.debt) else Changes(since, version, total_count=past.total(window))
        changes.now_us = session.clock
        image = session.image(window) if watch.imaged else None
        return Passage(changes, version, image, changes.total_count)

    def _at(self, since: int, now_us: int) -> Past:
        """What the result was; the same for readers of all its windows."""
        session = self._session
        version = session.result.line.current
        if self._past is None or self._past[:3] != (version, since, now_us):
            delta = session.resolved.source.rewinds.since(since, version)
            self._past = (version, since, now_us, Past(session.result, delta, now_us))
        return self._past[3]


def _refuse_altered(session: Session, table: Table, since: int) -> None:
    """Raises NotResumable when a column that a session reads or shows was another one at a version."""
    if table.born:
        born = max(table.born.get(position, 0) for position in (*session.result.reads, *session.positions))
        if since < born:
            raise NotResumable(f"version {since} lies before version {born}, which altered the columns that it reads")
