# Generated from tesseract_grpc/client/aio/table_events.py by tools/generate_sync_client.py: edit that file and run it.
"""The events of a table (rows added, updated, removed) for the handlers of its users, over one stream.

A stream that broke is resumed where it was, so that nothing is missed. Where that cannot be (the server's history does
not reach back, or it is another incarnation), a Gap says from where to where events are lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from ..core.errors import Closed, DeadlineExceeded, TesseractError, invalid
from ..core.events import Delta, Event, Gap
from ..core.feed import Bookmark, Feed
from ..core.watch_state import WatchState
from .handlers import Handler, Handlers
from .rpc import Rpc
from .runtime import Background
from .watch import Watch

logger = logging.getLogger("tesseract_grpc.client")

STREAM = ("state", "interrupted", "resumed", "lagged")
"""What happens to the stream, told to the handlers as a watch tells it."""


class TableEvents:
    """Opens a stream when the first handler comes and ends it when the last one goes."""

    def __init__(self, rpc: Rpc, table: str) -> None:
        self._rpc, self._table = rpc, table
        self._handlers = Handlers("add", "update", "remove", "change", "gap", *STREAM)
        self._watch: Watch | None = None

    def on(self, event: str, handler: Handler, *, once: bool = False, old_values: bool = False) -> Callable[[], None]:
        """Registers a handler and waits until nothing that happens from now on is missed."""
        if old_values and event != "update":
            raise invalid("MALFORMED_REQUEST", "old_values goes with the event 'update'", "old_values")
        remove = self._handlers.add(event, handler, takes=2 if old_values else 1, once=once)

        def unsubscribe() -> None:
            remove()
            self._rest()

        try:
            self._started()
        except BaseException:
            unsubscribe()
            raise
        return unsubscribe

    def off(self, event: str, handler: Handler | None = None) -> int:
        """Takes a handler of an event away, or all; returns how many there were."""
        count = self._handlers.off(event, handler)
        self._rest()
        return count

    def _rest(self) -> None:
        """Nobody listens any more: the stream ends."""
        if not self._handlers.any and self._watch is not None:
            self._watch.cancel()

    def _started(self) -> None:
        watch = self._watch
        if watch is None or watch.state is WatchState.ENDED:
            watch = self._watch = self._open()
            Background(self._run, "tesseract-table-events")
        seconds = self._rpc.connection.timeout
        if not watch.gate.wait_for(lambda: watch.began or watch.state is WatchState.ENDED, seconds):
            raise DeadlineExceeded(f"the watch of {self._table} did not begin within {seconds} s: {watch.last_failure}")
        if not watch.began:
            raise watch.error or Closed("the hub was closed")

    def _open(self) -> Watch:
        request = table_service_pb2.WatchTableRequest(table=self._table, include_old_values=True)

        def start(bookmark: Bookmark) -> Any:
            request.resume_token = bookmark.token
            return self._rpc.start(self._rpc.tables.WatchTable, request)

        watch = Watch(self._rpc, self._table, start, feed=partial(Feed, snapshot=False))
        for event in STREAM:
            watch.on(event, partial(self._handlers.emit, event))
        return watch

    def _run(self) -> None:
        watch = self._watch
        assert watch is not None
        try:
            for event in watch:
                self._tell(event)
                self._rest()
        except TesseractError as error:
            logger.warning("the events of %s end: %s", self._table, error)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Gap):
            logger.warning(
                "events of %s from version %d to %d are lost", self._table, event.from_version, event.version
            )
            self._handlers.emit("gap", event)
        if not isinstance(event, Delta):
            return
        for removed in event.removed:
            last = removed.keys if removed.old is None else removed.old
            self._handlers.emit("remove", last.to_dicts())
        for updated in event.updated:
            rows = updated.rows.to_dicts()
            old = [{} for _ in rows] if updated.old is None else updated.old.to_dicts()
            self._handlers.emit("update", rows, old)
        for placed in event.inserted:
            self._handlers.emit("add", placed.rows.to_dicts())
        self._handlers.emit("change", event)
