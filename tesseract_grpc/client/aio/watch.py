"""A watch: the events of a session or table, over as many streams as it takes.

    connecting --snapshot--> live --silence, broken stream--> stale --snapshot--> live
    any --close(), an error that trying again cannot mend--> closed

A stream that ends, errs, goes silent or breaks the contract is replaced by a new one after a random pause, and the
next event is a fresh snapshot whose `reason` says why. Only errors that another attempt cannot mend are raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Self

import grpc

from ..core.connection import Backoff
from ..core.errors import (
    AlreadyExists,
    FeatureNotAvailable,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionFailed,
    TesseractError,
    Unauthenticated,
    error_of_call,
)
from ..core.events import Event, Progress
from ..core.feed import Bookmark, Feed, StreamBroken
from ..core.watchdog import MISSED_INTERVALS, Watchdog
from .rpc import AsyncRpc
from .runtime import CallCancelled, Gate, later, receive

logger = logging.getLogger("tesseract_grpc.client")

ConnectionState = Literal["connecting", "live", "stale", "closed"]

FINAL = (
    AlreadyExists,
    FeatureNotAvailable,
    InvalidRequest,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionFailed,
    Unauthenticated,
)
"""What another attempt cannot mend."""


class AsyncWatch:
    """An iterator of events. Close it, or leave its `with` block, to end the stream."""

    def __init__(
        self,
        rpc: AsyncRpc,
        what: str,
        open_call: Callable[[], Any],
        *,
        snapshot: bool = True,
        progress: bool = False,
        dicts: bool = False,
        revive: Callable[[TesseractError], Any] | None = None,
    ) -> None:
        self._rpc, self._what, self._open_call = rpc, what, open_call
        self._snapshot, self._progress, self._dicts, self._revive = snapshot, progress, dicts, revive
        self._bookmark = Bookmark()
        self._reason = "first"
        self._feed = self._new_feed()
        self._call: Any = None
        self._state: ConnectionState = "connecting"
        self._live_since = 0.0
        self._closed = False
        self._broken: StreamBroken | None = None
        self._gate = Gate()
        self._backoff = Backoff(rpc.connection.retry)
        self._watchdog = Watchdog(later, time.monotonic, self._silent)
        self._went_silent = False
        self.on_state: Callable[[ConnectionState], Awaitable[None]] | None = None
        """Awaited with every new state but the last, by whoever iterates."""
        self.last_failure = ""
        """Why the last stream was given up, for people."""
        rpc.owns(self)

    @property
    def state(self) -> ConnectionState:
        """connecting, live, stale (the rows may be old) or closed."""
        return "closed" if self._closed else self._state

    @property
    def began(self) -> bool:
        """Whether the server has answered: changes from here on are not missed."""
        return self._bookmark.began

    @property
    def epoch(self) -> str:
        """The identity of the line of versions."""
        return self._bookmark.epoch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._closed:
            try:
                event = await self._next()
            except (StreamBroken, CallCancelled, grpc.RpcError) as error:
                await self._failed(error)
            except TesseractError:
                self.cancel()
                raise
            else:
                if event is not None and (self._progress or not isinstance(event, Progress)):
                    return event
        raise StopAsyncIteration

    async def _next(self) -> Event | None:
        """One response."""
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken
        if self._call is None:
            self._went_silent = False
            self._feed = self._new_feed()
            self._call = self._open_call()
            if self._closed:  # in between: cancel() has not seen this call
                raise CallCancelled
        self._watchdog.wait(self._patience())
        response = await receive(self._call)
        self._watchdog.heard()
        if response is None:
            raise StreamBroken("ended", "the server ended the stream")
        event = self._feed.receive(response)
        if self._feed.state == "live" and self._state != "live":
            self._live_since = time.monotonic()
            await self._enter("live")
        elif self._feed.state != "live" and self._state == "live":  # a reset: what the reader has is not current
            logger.warning("watch of %s: the server resets the stream: %s", self._what, self._feed.reason)
            await self._enter("stale")
        return event

    def _new_feed(self) -> Feed:
        return Feed(self._bookmark, self._reason, self._snapshot, self._dicts)

    def _patience(self) -> float:
        """How long to wait for the next message. The first may take as long as any other answer."""
        if self._feed.state == "opening":
            return self._rpc.connection.timeout
        return self._feed.progress_seconds * MISSED_INTERVALS

    def _silent(self) -> None:
        """The watchdog's bark."""
        self._went_silent = True
        call = self._call
        if call is not None:
            call.cancel()

    async def _failed(self, error: Exception) -> None:
        """Gives this stream up and waits until it is time for the next; raises what cannot be mended."""
        self._watchdog.heard()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self._closed:
            return
        known = error_of_call(error) if isinstance(error, grpc.RpcError) else None
        if known is not None and self._is_final(known) and not await self._revived(known):
            self.cancel()
            raise known from error
        if self._state == "live":
            # What breaks as soon as it is live must not be tried again and again without a pause.
            if time.monotonic() - self._live_since > self._rpc.connection.retry.max_backoff:
                self._backoff.reset()
            await self._enter("stale")
        self._reason = error.reason if isinstance(error, StreamBroken) else "reconnected"
        if self._went_silent:
            self._reason, error = "silence", StreamBroken("silence", "no message for too long")
        pause = self._backoff.next(known.retry_after if known is not None else None)
        self.last_failure = str(known or error) or "cancelled"
        logger.warning("watch of %s: %s; watching again in %.2f s", self._what, self.last_failure, pause)
        await self._gate.wait_for(lambda: self._closed, pause)

    def _is_final(self, error: TesseractError) -> bool:
        """Whether another attempt is of no use. A limit may be one that only this request exceeds, as long as no
        attempt has succeeded; later it is one that others have reached in the meantime."""
        return isinstance(error, FINAL) or (isinstance(error, LimitExceeded) and not self.began)

    async def _revived(self, error: TesseractError) -> bool:
        """Whether what is watched was lost and could be made again."""
        if self._revive is None or not isinstance(error, NotFound) or not self.began:
            return False
        return bool(await self._revive(error))

    async def _enter(self, state: ConnectionState) -> None:
        self._state = state
        if self.on_state is not None:
            await self.on_state(state)

    def restart(self, broken: StreamBroken) -> None:
        """Gives the present stream up: its reader found out that it cannot be right."""
        self._broken = broken

    def cancel(self) -> None:
        """Ends the watch; whoever waits for its next event finds it ended. May be called from anywhere."""
        if self._closed:
            return
        self._closed = True
        self._watchdog.stop()
        call = self._call
        if call is not None:
            call.cancel()
        self._gate.notify()

    async def close(self) -> None:
        """Ends the watch."""
        self.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
