"""A live query that any number of readers may watch: a name over a shared result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

import numpy as np

from tesseract_grpc.engine.data.delta import RemoveReason, column_bit
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.frozen import read_rows
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.changes import Changes, SessionSchema, Snapshot
from tesseract_grpc.engine.live.edit import View, difference, held
from tesseract_grpc.engine.live.present import timely
from tesseract_grpc.engine.live.result import Result
from tesseract_grpc.engine.live.resume import Passages
from tesseract_grpc.engine.live.tape import CommitWatch, Tape, Tapes
from tesseract_grpc.engine.live.watch import Watch, WindowImage
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.query import WHOLE, Query, Window

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Resolved


Views = dict[Window, View]
"""What the readers of a session have, by window."""


class QueryResult:
    """The rows of a query at one version."""

    __slots__ = ("columns", "rows", "timely", "total_count", "version")

    def __init__(
        self, columns: tuple[ColumnSchema, ...], rows: Batch, total_count: int, version: int, *, timely: bool = False
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.total_count = total_count
        self.version = version
        self.timely = timely
        """Whether the same question would be answered otherwise at another time, though no row was written."""


class Session:
    """A named live query."""

    def __init__(
        self, name: str, query: Query, resolved: Resolved, result: Result, permanent: Filter | None = None
    ) -> None:
        self.name = name
        self.permanent = permanent  # holds beside the query's filter, whatever is edited
        self.generation = 0
        self.ended: Reason | None = None
        self.watches: set[Watch] = set()
        self.tapes: dict[Window, Tape] = {}
        self._define(query, resolved, result)

    def _define(self, query: Query, resolved: Resolved, result: Result) -> None:
        """What the session shows from here on."""
        plan = resolved.plan
        self.generation += 1
        self.resolved = resolved
        self.query = query
        self.plan = plan
        self.result = result
        self.positions = plan.positions
        self.values = tuple(p for p in plan.positions if p not in result.table.schema.key)  # what updates may carry
        mask = 0
        for key in plan.sort:
            mask |= column_bit(result.table.schema.position(key.column))
        self.sort_mask = np.uint64(mask)
        self._shown: dict[int, tuple[int, ...]] = {}
        self._snapshots: WeakValueDictionary[Window, Snapshot] = WeakValueDictionary()
        self._images: dict[Window, tuple[int, WindowImage]] = {}
        self._changes: dict[tuple[Window, int], Changes] = {}
        self._changes_version = -1
        self.passages = Passages(self)
        self.timely = timely(result, resolved.source)
        """Whether its rows depend on time."""

    @property
    def clock(self) -> int:
        """The hub's clock, as far as it matters to the rows; 0 where they do not depend on time."""
        return self.result.line.now if self.timely else 0

    def edit(self, query: Query, resolved: Resolved, result: Result, advance: Callable[[], int]) -> None:
        """Shows another query from here on; `advance` takes the version of the edit. O(n + windows log windows)."""
        views = self.depart()
        advance()
        self.arrive(views, query, resolved, result)

    def depart(self) -> Views:
        """Another result is about to take the place of this: works out what readers are owed, and what they have."""
        for watch in self.watches:
            watch.before_edit()
        return {watch.window: self._view(watch.window) for watch in self.watches}

    def arrive(
        self, before: Views, query: Query, resolved: Resolved, result: Result, *, replaced: bool = False
    ) -> None:
        """Shows another query from the present version on, which is the next after that of `depart`; its readers are
        told the difference. `replaced` says that it is not the query that is another one, but what it reads."""
        old, tapes, version = self.result, self._tapes, result.line.current
        self._define(query, resolved, result)
        schema = SessionSchema(self.generation, self.columns, replaced=replaced)
        everything = held(result.table, result.order.slots)
        gone = RemoveReason.DELETED if replaced else RemoveReason.FILTERED
        changes = {
            window: difference(view, self._view(window), everything, version, schema, gone)
            for window, view in before.items()
        }
        for change in changes.values():
            if change is not None:
                change.now_us = self.clock
        for watch in self.watches:
            old.watches.discard(watch)
            result.watches.add(watch)
            watch.after_edit(schema, changes[watch.window])
        for window, tape in self.tapes.items():
            old.watches.discard(cast(Watch, tape.head))
            tapes.remove(old, tape)
            tape.clear(self._head(window))
            self._tapes.add(result, tape)
            result.remember_more()

    def _view(self, window: Window) -> View:
        image = self.image(window)
        return View(self.result.table, image.slots, self.positions, self.result.total(window))

    def shown(self, changed: int) -> tuple[int, ...]:
        """The columns that an update of one row carries: the key and what changed; none when nothing shown did."""
        shown = self._shown.get(changed)
        if shown is None:
            values = tuple(p for p in self.values if column_bit(p) & changed)
            shown = self._shown[changed] = (*self.result.table.schema.key, *values) if values else ()
            if len(self._shown) > 1_000:
                self._shown = {}  # masks are few in practice; a client cannot make this grow
        return shown

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows, in order; key columns that were not asked for stand first."""
        return tuple(self.result.table.schema.columns[p] for p in self.positions)

    @property
    def key_columns(self) -> tuple[ColumnSchema, ...]:
        """The columns that name a row."""
        return self.result.table.schema.key_columns

    @property
    def total_count(self) -> int:
        """The number of rows of the whole result."""
        return self.result.count

    @property
    def watchers(self) -> set[Watch]:
        """Its open watches."""
        return self.watches

    def read(self, window: Window = WHOLE) -> QueryResult:
        """The rows of a window now. O(window). Raises InvalidRequest."""
        self.result.check_window(window)
        return self._read(window)

    def _read(self, window: Window) -> QueryResult:
        """The same for a window that was checked; after an edit it may name nodes of what is no tree any more."""
        result = self.result
        rows = read_rows(result.table, result.page(window), self.positions)
        return QueryResult(self.columns, rows, result.total(window), result.line.current)

    def watch(
        self,
        window: Window = WHOLE,
        since: int | None = None,
        *,
        now_us: int = 0,
        exact: bool = False,
        every_commit: bool = False,
        returning: bool = False,
    ) -> Watch:
        """Opens a reader; it takes a snapshot first. O(1). Raises InvalidRequest.

        A reader that is `returning`, or that says `since`, has asked for its window before the session was edited: what
        names nodes of a tree that is none any more is passed over, as it is while it watches.

        With `since`, the reader has what the session, defined as it is, showed at that version, with the clock at
        `now_us` (`Changes.now_us`): instead of a snapshot it takes the net change from there, with `exact` to the
        present version at once. For the cost see `Passages.find`. Raises NotResumable when that cannot be told.

        With `every_commit` it is given one commit after the other, as far as history goes back.
        """
        if since is None and not returning:
            self.result.check_window(window)
        passage = None if since is None else self.passages.find(window, since, now_us, exact=exact or every_commit)
        watch = CommitWatch(self, window) if every_commit else Watch(self, window)
        if passage is not None:
            watch.take_up(passage)
        self.watches.add(watch)
        self.result.watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """Closes a reader."""
        self.watches.discard(watch)
        self.result.watches.discard(watch)
        if not any(other.window == watch.window for other in self.watches):
            self._images.pop(watch.window, None)

    @property
    def _tapes(self) -> Tapes:
        return self.resolved.source.wave.tapes

    def tape(self, window: Window) -> Tape:
        """What the last commits changed in a window, one by one; recorded while somebody reads it."""
        tape = self.tapes.get(window)
        if tape is None:
            tape = self.tapes[window] = Tape(self._head(window))
            self._tapes.add(self.result, tape)
            self.result.remember_more()
        return tape

    def _head(self, window: Window) -> Watch:
        """A reader that is never behind, and that is nobody's."""
        head = Watch(self, window)
        self.result.watches.add(head)
        head.begin()
        return head

    def leave(self, tape: Tape, reader: CommitWatch) -> None:
        """A reader of a tape leaves, and the tape when it was the last."""
        tape.readers.discard(reader)
        if not tape.readers and self.tapes.get(reader.window) is tape:
            del self.tapes[reader.window]
            self._tapes.remove(self.result, tape)
            self.result.watches.discard(cast(Watch, tape.head))

    def end(self, reason: Reason) -> None:
        """The session is no more; its watches learn why."""
        self.ended = reason
        for watch in tuple(self.watches):
            watch.closed = reason
            watch.close()

    def snapshot(self, window: Window) -> Snapshot:
        """The rows of a window now; readers at the same version share the copy."""
        version = self.result.line.current
        snapshot = self._snapshots.get(window)
        if snapshot is None or snapshot.version != version:
            found = self._read(window)
            snapshot = Snapshot(version, found.rows, found.total_count, self.clock)
            self._snapshots[window] = snapshot
        return snapshot

    def image(self, window: Window) -> WindowImage:
        """Which rows a window shows now; made once a version."""
        version = self.result.line.current
        kept = self._images.get(window)
        if kept is None or kept[0] != version:
            slots = self.result.page(window).copy()
            kept = (version, WindowImage(self.result.table.sequence[slots], slots))
            self._images[window] = kept
        return kept[1]

    def shared_changes(self, watch: Watch) -> Changes:
        """The net change for a watch; the same object for all watches at the same place."""
        key = watch.sharing_key()
        if key is None or len(self.watches) == 1:
            return watch.compute()
        version = self.result.line.current
        if self._changes_version != version:
            self._changes.clear()
            self._changes_version = version
        changes = self._changes.get(key)
        if changes is None:
            changes = self._changes[key] = watch.compute()
        return changes
