# Generated from tesseract_grpc/client/aio/watch.py by tools/generate_sync_client.py: edit that file and run it.
"""A watch: the events of a session or table, over as many streams as it takes.

A stream that ends, errs, goes silent or breaks the contract is replaced by a new one after a random pause. The new one
is given the resume token of the last consistent point and goes on there; without a valid token it begins with a fresh
snapshot, whose `reason` says why. What the reader has is `stale` in between (the states: `core/watch_state.py`). Only
errors that another attempt cannot mend are raised.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Self

import grpc

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2

from ..core.connection import Backoff
from ..core.digest import Verifier
from ..core.errors import (
    AlreadyExists,
    FeatureNotAvailable,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    OutOfRange,
    PermissionDenied,
    PreconditionFailed,
    ServerFailure,
    TesseractError,
    Unauthenticated,
    Unavailable,
    error_of_call,
)
from ..core.events import Event, Interrupted, Lagged, Progress, Resumed, Snapshot
from ..core.feed import Bookmark, Feed, StreamBroken
from ..core.hub_feed import HubFeed
from ..core.joint_feed import JointFeed
from ..core.names import hub_name
from ..core.watch_state import Turn, WatchState, state_after
from ..core.watchdog import MISSED_INTERVALS, Watchdog
from .handlers import Handler, Handlers
from .rpc import Rpc
from .runtime import CallCancelled, Gate, later, receive, send

logger = logging.getLogger("tesseract_grpc.client")

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

TOKEN_REASONS = frozenset({"BAD_RESUME_TOKEN", "FEATURE_NOT_AVAILABLE"})
"""Refusals that a stream without a token need not meet."""

TRUSTED_BREAKS = frozenset({"reconnected", "ended", "silence", "gap"})
"""Breaks that leave no doubt about the rows of the last consistent point, so that its token is good."""


class Watch:
    """An iterator of events. Close it, or leave its `with` block, to end the stream."""

    def __init__(
        self,
        rpc: Rpc,
        what: str,
        open_call: Callable[[Bookmark], Any],
        *,
        feed: Callable[..., Feed | JointFeed | HubFeed] = Feed,
        progress: bool = False,
        revive: Callable[[TesseractError], Any] | None = None,
        ends_on: frozenset[str] = frozenset(),
        verify: bool = False,
        resume: tuple[Bookmark, Snapshot] | None = None,
    ) -> None:
        """`feed` makes the state machine of one stream; `ends_on` are reasons that end the watch beside those that
        always do; `resume` is what the reader has already, and where to go on."""
        self._rpc, self._what, self._open_call = rpc, what, open_call
        self._make_feed, self._progress, self._revive = feed, progress, revive
        self._ends_on, self._verifier = ends_on, Verifier() if verify else None
        self._bookmark = resume[0] if resume else Bookmark()
        if self._verifier is not None and resume:
            self._verifier.take(resume[1])
        self._reason = "first"
        self._gap_at = -1
        self._failed_before = False
        """Whether it has been told that there is no stream."""
        self._feed = self._new_feed()
        self._call: Any = None
        self._channel = 0
        self._state = WatchState.STALE if resume else WatchState.CONNECTING
        self._told_end = False
        self._current_since = 0.0
        self._lost_since = time.monotonic()
        self._closed = False
        self._undelivered: Event | None = None
        self._backoff = Backoff(rpc.connection.retry)
        self._watchdog = Watchdog(later, time.monotonic, self._silent)
        self._went_silent = False
        self._handlers = Handlers("state", "interrupted", "resumed", "lagged")
        self.sink: Callable[[Event], None] | None = None
        """Takes every event before the reader does, and may find that it cannot be right (StreamBroken)."""
        self.gate = Gate()
        """Notified when the state is another one, and when the sink has taken something."""
        self.error: TesseractError | None = None
        """Why it ended, when it was not closed on this side."""
        self.last_failure = ""
        """Why the last stream was given up, for people."""
        rpc.owns(self)

    @property
    def state(self) -> WatchState:
        """connecting, live, stale (the rows may be old) or ended."""
        return WatchState.ENDED if self._closed else self._state

    @property
    def began(self) -> bool:
        """Whether the server has answered: changes from here on are not missed."""
        return self._bookmark.began

    @property
    def epoch(self) -> str:
        """The identity of the line of versions."""
        return self._bookmark.epoch

    @property
    def token(self) -> bytes:
        """Where to go on from the last consistent point; empty when the server gave no token for it."""
        return self._bookmark.token

    @property
    def watch_id(self) -> str:
        """The server's name for the present stream; empty when it gave none."""
        return self._bookmark.watch_id

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` with the new WatchState ("state"), or with an Interrupted, Resumed or Lagged of that name in
        lower case, from wherever the watch is read. Returns the function to stop it."""
        return self._handlers.add(event, handler)

    @property
    def has_handlers(self) -> bool:
        """Whether anybody listens."""
        return self._handlers.any

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while not self._closed:
            try:
                event = self._next()
            except (StreamBroken, CallCancelled, grpc.RpcError) as error:
                self._failed(error)
            except TesseractError as error:
                self._end_with(error)
                raise
            except Exception as error:  # another attempt would most likely meet it again
                failure = ServerFailure(f"the watch of {self._what} cannot go on: {type(error).__name__}: {error}")
                self._end_with(failure)
                raise failure from error
            else:
                if event is not None and (self._progress or not isinstance(event, Progress)):
                    return event
        self._tell_end()
        raise StopIteration

    def _next(self) -> Event | None:
        """One response. What it brought is kept until it is returned, for whoever reads may be cancelled meanwhile."""
        if self._undelivered is None:
            if self._call is None:
                self._open()
            self._watchdog.wait(self._patience())
            response = receive(self._call)
            self._watchdog.heard()
            if response is None:
                raise StreamBroken("ended", "the server ended the stream")
            exact = self._bookmark.version
            found = self._feed.receive(response)
            if isinstance(found, Interrupted | Resumed | Lagged):
                self._notice(found)
            elif found is not None:
                try:
                    self._take(found)
                except StreamBroken:
                    self._bookmark.version = exact  # the rows are those of before
                    raise
                self._undelivered = found
        if self._feed.state == "live" and self._state is not WatchState.LIVE:
            self._failed_before = False
            self._current_since = time.monotonic()
            self._turn(Turn.CURRENT)
        event, self._undelivered = self._undelivered, None
        return event

    def _take(self, event: Event) -> None:
        """Hands an event to whoever keeps rows. Raises StreamBroken when it cannot be right."""
        if self._verifier is not None:
            self._verifier.take(event)
        if self.sink is not None:
            self.sink(event)
            self.gate.notify()

    def _open(self) -> None:
        self._went_silent = False
        self._feed = self._new_feed()
        self._channel = self._rpc.channel_number
        self._call = self._open_call(self._bookmark)
        if self._closed:  # in between: cancel() has not seen this call
            raise CallCancelled

    def _new_feed(self) -> Feed | JointFeed | HubFeed:
        return self._make_feed(self._bookmark, self._reason, resuming=bool(self._bookmark.token))

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

    def _failed(self, error: Exception) -> None:
        """Gives this stream up and waits until it is time for the next; raises what cannot be mended."""
        self._watchdog.heard()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        if self._closed:
            return
        known = error_of_call(error) if isinstance(error, grpc.RpcError) else None
        if known is not None and self._feed.resuming and known.reason in TOKEN_REASONS:
            self._bookmark.forget()
            self._interrupted(StreamBroken("token_refused", str(known)))
            return  # at once, and this time without a token
        if known is not None and self._is_final(known) and not self._revived(known):
            self._end_with(known)
            raise known from error
        silent, self._went_silent = self._went_silent, False
        if silent:
            error = StreamBroken("silence", "no message for too long")
        elif not isinstance(error, StreamBroken):
            error = StreamBroken("reconnected", str(known or error) or "cancelled")
        self._judge(error)
        if self._feed.state == "opening" and self._failed_before:  # the server is still away, which has been told
            self.last_failure = str(error)
        else:
            self._interrupted(error)
        self._failed_before = True
        if silent:
            self._rpc.renew(self._channel)
        self._pause(known)

    def _judge(self, broken: StreamBroken) -> None:
        """Drops the token where the rows are in doubt, or where resuming did not help against the same gap."""
        again = broken.reason == "gap" and self._gap_at == self._bookmark.version
        if broken.reason not in TRUSTED_BREAKS or again:
            self._bookmark.forget()
        self._gap_at = self._bookmark.version if broken.reason == "gap" and not again else -1

    def _pause(self, known: TesseractError | None) -> None:
        """Waits before the next attempt. What breaks as soon as it is live must not be tried without a pause."""
        retry, now = self._rpc.connection.retry, time.monotonic()
        if self._current_since > self._lost_since:
            if now - self._current_since > retry.max_backoff:
                self._backoff.reset()
            self._lost_since = now
        if retry.give_up_after is not None and now - self._lost_since > retry.give_up_after:
            gone = f"no stream of {self._what} for {retry.give_up_after} s: {self.last_failure}"
            self._end_with(error := known or Unavailable(gone, code=grpc.StatusCode.UNAVAILABLE))
            raise error
        pause = self._backoff.next(known.retry_after if known is not None else None)
        logger.info("watch of %s: %s; watching again in %.2f s", self._what, self.last_failure, pause)
        self.gate.wait_for(lambda: self._closed, pause)

    def _interrupted(self, broken: StreamBroken) -> None:
        self._reason, self.last_failure = broken.reason, str(broken)
        resumes = bool(self._bookmark.token)
        self._notice(Interrupted(broken.reason, str(broken), self._bookmark.version, resumes))

    def _notice(self, notice: Interrupted | Resumed | Lagged) -> None:
        """Tells the log and the handlers what happens to the stream."""
        if isinstance(notice, Interrupted):
            how = "resuming" if notice.resumes else "with a new snapshot"
            logger.warning(
                "watch of %s: %s at version %d (%s); watching again, %s",
                self._what, notice.reason, notice.version, notice.message, how,
            )  # fmt: skip
            self._turn(Turn.LOST)
        elif isinstance(notice, Lagged):
            logger.info("watch of %s: %d commits are told as one change", self._what, notice.skipped_commits)
        self._handlers.emit(type(notice).__name__.lower(), notice)

    def ask_progress(self, version: int, seconds: float) -> Any:
        """Asks the server to have the present stream say Progress as soon as `version` is there. Whether it can makes
        no difference but that of time: the call is not waited for, and its failure is nobody's."""
        request = hub_service_pb2.RequestProgressRequest(
            parent=hub_name(self._rpc.connection.hub), watch_id=self.watch_id, min_version=version
        )
        metadata = self._rpc.connection.metadata
        return send(self._rpc.hubs.RequestProgress, request, timeout=seconds, metadata=metadata)

    def _is_final(self, error: TesseractError) -> bool:
        """Whether another attempt is of no use. A limit may be one that only this request exceeds, as long as no
        attempt has succeeded; later it is one that others have reached in the meantime."""
        if isinstance(error, FINAL) or error.reason in self._ends_on:
            return True
        return isinstance(error, LimitExceeded) and not self.began

    def _revived(self, error: TesseractError) -> bool:
        """Whether what is watched was lost and could be made again."""
        if self._revive is None or not isinstance(error, NotFound) or not self.began:
            return False
        return bool(self._revive(error))

    def _turn(self, turn: Turn) -> None:
        before, self._state = self._state, state_after(self._state, turn)
        if self._state is not before:
            self.gate.notify()
            self._handlers.emit("state", self._state)

    def _end_with(self, error: TesseractError) -> None:
        self.error = error
        self.cancel()
        self._tell_end()

    def _tell_end(self) -> None:
        if not self._told_end:
            self._told_end = True
            self._turn(Turn.ENDED)

    def cancel(self) -> None:
        """Ends the watch; whoever waits for its next event finds it ended. May be called from anywhere."""
        if self._closed:
            return
        self._closed = True
        self._watchdog.stop()
        call = self._call
        if call is not None:
            call.cancel()
        self.gate.notify()

    def close(self) -> None:
        """Ends the watch."""
        self.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
