"""The events of a session for the handlers of its users, from one mirror of the whole result in the background.

    data           all rows, at every consistent point with changes
    change         the Snapshot or the Delta
    filter_change  all rows and a FilterInfo, when the session was edited and has another filter, whoever did it

That a session was edited is told in the stream, but not how; so the server is asked for the definition then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import session_service_pb2

from ..core.errors import TesseractError
from ..core.events import Delta, FilterInfo, Snapshot
from ..core.filter_words import filter_words
from ..core.watch_state import WatchState
from .handlers import AsyncHandlers, Handler
from .mirror import AsyncMirror
from .rpc import AsyncRpc

logger = logging.getLogger("tesseract_grpc.client")

STREAM = ("state", "interrupted", "resumed", "lagged")
"""What happens to the stream, told to the handlers as a mirror tells it."""


class AsyncSessionEvents:
    """Opens a mirror when the first handler comes and ends it when the last one goes."""

    def __init__(self, rpc: AsyncRpc, name: Callable[[], str], make: Callable[[], AsyncMirror]) -> None:
        """`name` tells the resource name of the session, which is another one when an anonymous session had to be made
        again; `make` makes a mirror."""
        self._rpc, self._name, self._make = rpc, name, make
        self._handlers = AsyncHandlers("data", "change", "filter_change", *STREAM)
        self._mirror: AsyncMirror | None = None
        self._known: session_service_pb2.Session | None = None
        """The definition that `filter_change` was last told of."""

    async def on(self, event: str, handler: Handler, *, once: bool = False) -> Callable[[], None]:
        """Registers a handler and waits until nothing that happens from now on is missed."""
        remove = self._handlers.add(event, handler, takes=2 if event == "filter_change" else 1, once=once)

        def unsubscribe() -> None:
            remove()
            self._rest()

        try:
            await self._started(event)
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
        """Nobody listens any more: the mirror ends."""
        if not self._handlers.any and self._mirror is not None:
            self._mirror.cancel()

    async def _started(self, event: str) -> None:
        mirror = self._mirror
        if mirror is None or mirror.state is WatchState.ENDED:
            mirror = self._mirror = self._make()
            self._known = None
            mirror.on("change", partial(self._changed, mirror))
            for name in STREAM:
                mirror.on(name, partial(self._handlers.emit, name))
        await mirror.ready()
        if event == "filter_change" and self._known is None:
            self._known = await self._definition()

    async def _changed(self, mirror: AsyncMirror, event: Snapshot | Delta) -> None:
        await self._handlers.emit("change", event)
        if self._handlers.wants("data"):
            await self._handlers.emit("data", mirror.rows())
        edited = event.edited is not None if isinstance(event, Delta) else event.reason != "first"
        if edited and self._handlers.wants("filter_change"):
            await self._look(mirror, event)
        self._rest()

    async def _look(self, mirror: AsyncMirror, event: Snapshot | Delta) -> None:
        """Tells of another filter, where that is what has changed."""
        try:
            now = await self._definition()
        except TesseractError as error:  # it is gone already, or nobody answers: then the stream says so, too
            logger.warning("what %s was edited to is not known: %s", self._name(), error)
            return
        before, generation = self._known, 0
        if isinstance(event, Delta) and event.edited is not None:
            generation = event.edited.generation
        if generation and now.generation > generation:
            return  # it was edited again; that is told next, and the rows are those of the edit between
        self._known = now
        if before is None or before.query.filter == now.query.filter:
            return
        info = FilterInfo(
            filter_words(now.query.filter),
            filter_words(before.query.filter),
            event.version,
            now.generation,
            mirror.total_count,
        )
        await self._handlers.emit("filter_change", mirror.rows(), info)

    async def _definition(self) -> session_service_pb2.Session:
        request = session_service_pb2.GetSessionRequest(name=self._name())
        response: Any = await self._rpc.call(self._rpc.sessions.GetSession, request)
        found: session_service_pb2.Session = response.session
        return found
