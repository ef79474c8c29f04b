"""What happens to a hub, for the handlers of its users and as an iterator.

A stream that breaks is replaced by a new one. It cannot be resumed, so the client compares what it knew with what there
is now, and tells the difference as events (`HubEvent.missed`): nothing that lasts is missed, whatever the server did
meanwhile, and what came and went in between is not told.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2

from ..core.errors import Closed, DeadlineExceeded, TesseractError
from ..core.feed import Bookmark
from ..core.hub_events import HUB_EVENTS, HubEvent, HubNews, Known
from ..core.hub_feed import HubFeed
from ..core.names import hub_name
from ..core.watch_state import WatchState
from .handlers import AsyncHandlers, Handler
from .rpc import AsyncRpc
from .runtime import Background
from .watch import AsyncWatch

logger = logging.getLogger("tesseract_grpc.client")

STREAM = ("state", "interrupted")
"""What happens to the stream, told to the handlers as a watch tells it."""


class AsyncHubEvents:
    """An iterator of `HubEvent`s. Close it, or leave its `with` block, to end the stream."""

    def __init__(self, rpc: AsyncRpc, *, existing: bool = False) -> None:
        request = hub_service_pb2.WatchHubRequest(name=hub_name(rpc.connection.hub), include_existing=True)

        def start(_: Bookmark) -> Any:
            return rpc.start(rpc.hubs.WatchHub, request)

        self._watch = AsyncWatch(rpc, request.name, start, feed=partial(HubFeed, Known(), existing))
        self._news: deque[HubEvent] = deque()

    @property
    def watch(self) -> AsyncWatch:
        """The stream below it."""
        return self._watch

    @property
    def state(self) -> WatchState:
        """connecting, live, stale (something may have happened that is not told yet) or ended."""
        return self._watch.state

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` with what happens to the stream: "state" or "interrupted". Returns the function to stop
        it."""
        return self._watch.on(event, handler)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> HubEvent:
        while not self._news:
            news = await self._watch.__anext__()
            if isinstance(news, HubNews):
                self._news.extend(news.events)
        return self._news.popleft()

    async def close(self) -> None:
        """Ends the stream."""
        await self._watch.close()

    def cancel(self) -> None:
        """The same, from anywhere."""
        self._watch.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncHubHandlers:
    """The handlers of a hub's events: opens a stream when the first comes and ends it when the last one goes."""

    def __init__(self, rpc: AsyncRpc) -> None:
        self._rpc = rpc
        self._handlers = AsyncHandlers(*HUB_EVENTS, "any", *STREAM)
        self._events: AsyncHubEvents | None = None

    async def on(self, event: str, handler: Handler, *, once: bool = False) -> Callable[[], None]:
        """Registers a handler and waits until nothing that happens from now on is missed."""
        remove = self._handlers.add(event, handler, once=once)

        def unsubscribe() -> None:
            remove()
            self._rest()

        try:
            await self._started()
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
        if not self._handlers.any and self._events is not None:
            self._events.cancel()

    async def _started(self) -> None:
        events = self._events
        if events is None or events.state is WatchState.ENDED:
            events = self._events = AsyncHubEvents(self._rpc)
            for name in STREAM:
                events.on(name, partial(self._handlers.emit, name))
            Background(partial(self._run, events), "tesseract-hub-events")
        seconds, watch = self._rpc.connection.timeout, events.watch
        if not await watch.gate.wait_for(lambda: watch.began or watch.state is WatchState.ENDED, seconds):
            raise DeadlineExceeded(f"the watch of the hub did not begin within {seconds} s: {watch.last_failure}")
        if not watch.began:
            raise watch.error or Closed("the hub was closed")

    async def _run(self, events: AsyncHubEvents) -> None:
        try:
            async for event in events:
                await self._handlers.emit(event.kind, event)
                await self._handlers.emit("any", event)
                self._rest()
        except TesseractError as error:
            logger.warning("the events of the hub end: %s", error)
