# Generated from tesseract_grpc/client/aio/table_events.py by tools/generate_sync_client.py: edit that file and run it.
"""The events of a table (rows added, updated, removed) for the handlers of its users, over one stream."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

from ..core.errors import Closed, DeadlineExceeded, TesseractError
from ..core.events import Delta, Event, Gap
from .handlers import Handler, Handlers
from .rpc import Rpc
from .runtime import Background, Gate
from .watch import ConnectionState, Watch

logger = logging.getLogger("tesseract_grpc.client")


class TableEvents:
    """Opens a stream when the first handler comes and ends it when the last one goes."""

    def __init__(self, rpc: Rpc, table: str) -> None:
        self._rpc, self._table = rpc, table
        self._handlers = Handlers("add", "update", "remove", "gap")
        self._gate = Gate()
        self._watch: Watch | None = None
        self._error: TesseractError | None = None

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Registers a handler and waits until nothing that happens from now on is missed."""
        remove = self._handlers.add(event, handler)

        def unsubscribe() -> None:
            remove()
            if not self._handlers.any and self._watch is not None:
                self._watch.cancel()

        try:
            self._started()
        except BaseException:
            unsubscribe()
            raise
        return unsubscribe

    def _started(self) -> None:
        watch = self._watch
        if watch is None or watch.state == "closed":
            watch = self._watch = self._open()
            Background(self._run, "tesseract-table-events")
        seconds = self._rpc.connection.timeout
        if not self._gate.wait_for(lambda: watch.began or watch.state == "closed", seconds):
            raise DeadlineExceeded(f"the watch of {self._table} did not begin within {seconds} s: {watch.last_failure}")
        if not watch.began:
            raise self._error or Closed("the hub was closed")

    def _open(self) -> Watch:
        request = table_service_pb2.WatchTableRequest(table=self._table, include_old_values=True)
        call = self._rpc.tables.WatchTable
        return Watch(self._rpc, self._table, lambda: self._rpc.start(call, request), snapshot=False)

    def _run(self) -> None:
        watch = self._watch
        assert watch is not None
        watch.on_state = self._entered
        try:
            for event in watch:
                self._tell(event)
        except TesseractError as error:
            self._error = error
            logger.warning("the events of %s end: %s", self._table, error)
        finally:
            self._gate.notify()

    def _entered(self, _: ConnectionState) -> None:
        self._gate.notify()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Gap):
            logger.warning(
                "events of %s from version %d to %d are lost", self._table, event.from_version, event.version
            )
            self._handlers.emit("gap", event)
        if not isinstance(event, Delta):
            return
        for removed in event.removed:
            rows = removed.keys if removed.old is None else removed.old
            self._handlers.emit("remove", rows.to_dicts())
        for updated in event.updated:
            self._handlers.emit("update", updated.rows.to_dicts())
        for placed in event.inserted:
            self._handlers.emit("add", placed.rows.to_dicts())
