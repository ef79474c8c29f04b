"""One watch of one client: when something is said.

A stream is in exactly one state (`state.py`), and it is woken by commits that touched what it watches, by the hub's
beat when it was silent for long, by the end of its `min_interval`, by a client that wants to hear from it, and by its
end. Being woken twice is the same as being woken once. What is said is its story's affair (`Teller`, `Cut`).

A reader **lags** when it does not take what it is given:

* where changes are merged (NET): a response after the snapshot was not taken for `lag_after` seconds, and two or more
  commits that concern the reader have happened meanwhile;
* where every commit is told: commits that it has not been told have left the history.

Then `on_lag` decides: it is told Lagged and the net change, begins anew, or the stream ends. Merging that the reader
has asked for (`min_interval`), or that happens because several commits came before the server could write, is no lag. A
response that is not taken for `slow_reader_timeout` ends the stream in any case. gRPC takes a response when the
connection's buffers have room for it, so a reader is noticed as slow some megabytes after it stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.debug.record import Level
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.streams.state import State, Step, after
from tesseract_grpc.server.streams.teller import Anew, Frame, Telling
from tesseract_grpc.server.streams.waves import Waves


class OnLag(Enum):
    """What is done for a reader that lags."""

    CONFLATE = "conflate"
    RESET = "reset"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reader asked for, and what the server bears. Times in seconds."""

    min_interval: float = 0.0
    on_lag: OnLag = OnLag.CONFLATE
    every_commit: bool = False
    lag_after: float = 1.0
    slow_reader_timeout: float = 60.0


class Story(Protocol):
    """What a stream tells."""

    @property
    def pending(self) -> bool:
        """Whether `owed` may have something to tell."""

    @property
    def lag(self) -> int:
        """How many commits the reader has not been told."""

    @property
    def fallen(self) -> bool:
        """Whether commits that the reader asked for one by one have been forgotten."""

    @property
    def closed(self) -> Reason | None:
        """Why there is nothing left to tell."""

    def opening(self) -> Telling:
        """What comes first."""

    def owed(self, slow: bool) -> Telling | None:
        """What the reader is owed; a `slow` one hears how many commits that skips."""

    def anew(self, why: Anew) -> Telling:
        """A Reset and a new beginning, in the place of what is owed."""

    def progress(self) -> Iterator[bytes]:
        """Says how far the reader has been told everything."""

    def close(self) -> None:
        """Ends it."""


_LAGGED = Anew(
    twin.change.RESET_REASON_LAGGED,
    "the reader did not keep up with the changes, and asked for a snapshot in this case",
)

SOON = 1.0
"""Seconds of silence before a stream says how far it is because history is forgotten soon: a token that grows old
faster is of no use to anybody who was disconnected."""


class Stream:
    """Tells one reader a story, in time."""

    def __init__(
        self,
        story: Story,
        frame: Frame,
        terms: Terms | None = None,
        *,
        peer: str = "",
        window: Window | None = None,
        cut_off: Callable[[Refusal], None] | None = None,
        naming: Callable[[Refusal, Hashable], Refusal] | None = None,
    ) -> None:
        """`cut_off` ends the call from outside while it waits for its client. `naming` says in the refusal that ends
        the stream which of the things that it watches has ended."""
        self.watch_id = frame.watch_id
        self.peer = peer
        self.window = window
        self.opened_at = frame.clock()
        self.state = State.CATCHING_UP
        self.sent_bytes = 0
        self.conflations = 0
        self.waves: Waves | None = None
        """What gives it turns, where there are other streams."""
        self.lag_bytes = 0
        """The size of the response that was handed over and not taken yet."""
        self._story = story
        self._frame = frame
        self._terms = terms or Terms()
        self._cut_off = cut_off
        self._naming = naming
        self._event = asyncio.Event()
        self._ending: Refusal | None = None
        self._telling = False  # whether somebody hears it
        self._turn = True
        self._silent = False
        self._due = False
        self._demanded = False
        self._slow = False
        self._given_at = 0.0  # when the response on its way was handed over, or the last one was
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def lag_versions(self) -> int:
        """How many commits that concern it the reader has not been told. O(lag), bounded by history."""
        return self._story.lag

    # What happens to it

    def wake(self) -> bool:
        """Something may have to be told, and it is the stream's turn. Returns whether it will tell `waves` that it has
        used it; not while its reader has not taken what was said before. O(1)."""
        self._turn = True
        self._event.set()
        if not self.lag_bytes:
            return self._telling
        if self.state is State.LIVE and self._story.pending:
            self._turn_to(Step.FELL_BEHIND)
        return False

    def beat(self) -> None:
        """Called twice in every progress interval: a stream that said nothing since the last beat has to say Progress.
        O(1)."""
        if self._silent and not self.lag_bytes:
            self._due = True
            self._event.set()
        self._silent = True

    def demand(self) -> None:
        """The client wants to hear Progress now, and whatever is held back before it. O(1)."""
        self._due = self._demanded = self._turn = True
        self._event.set()

    def remind(self) -> None:
        """History is forgotten soon: who was told nothing for a while is told how far it is, so that what it holds can
        still be resumed from. O(1)."""
        if not self.lag_bytes and time.monotonic() - self._given_at >= SOON:
            self._due = True
            self._event.set()

    def end(self, refusal: Refusal, subject: Hashable = None) -> None:
        """Ends the stream at its next consistent point, because `subject` is no more or for all streams."""
        if self._ending is None:
            self._ending = refusal if self._naming is None else self._naming(refusal, subject)
        self._event.set()

    def patrol(self, now: float) -> None:
        """Ends the stream at once when its reader has not read for too long. O(1) for all others."""
        if not self.lag_bytes or self._cut_off is None:
            return
        terms, waited = self._terms, now - self._given_at
        if waited >= terms.slow_reader_timeout:
            self._cut(f"the client has not taken a response for {terms.slow_reader_timeout:g} s")
        elif terms.on_lag is OnLag.CANCEL and self.state is State.CONFLATING and self._lags(waited):
            self._cut(self._lag_message())

    def overflow(self, message: str) -> None:
        """Ends the stream at once: what waits for its reader is more than there is room for."""
        self._cut(message)

    def _turn_to(self, step: Step) -> None:
        self.state = after(self.state, step)
        debug = self._frame.debug
        if debug is not None and (recorder := debug.recorder) is not None and recorder.wants(Level.DEBUG):
            recorder.watch_turned(self.watch_id, self.state.value, self.lag_versions)

    def _cut(self, message: str) -> None:
        if self._cut_off is not None:
            cut_off, self._cut_off = self._cut_off, None
            cut_off(self._too_slow(message))

    # What it says

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """The responses, until the call or the watched thing ends; then raises the Refusal that says why."""
        self._telling = True
        try:
            telling: Telling | None = self._story.opening()
            while True:
                if telling is not None:
                    for number, response in enumerate(telling.parts):
                        if number:
                            await asyncio.sleep(0)  # others run between two pieces
                            if self._ending is not None and self.state is State.CATCHING_UP:
                                raise self._ending  # nothing has been shown yet, so this too is a consistent point
                        self._hand_over(response)
                        yield response
                        self._took()
                    self._told(telling)
                self._event.clear()
                telling = self._next()
                if telling is not None:
                    continue
                if self._ending is not None:
                    raise self._ending
                if self._story.closed is not None:
                    raise Refusal(self._story.closed, "what was watched is no more: it could not be followed")
                self._spoke()
                await self._event.wait()
        finally:
            self._telling = False
            self._spoke()
            if self._timer is not None:
                self._timer.cancel()
            self._story.close()

    def _hand_over(self, response: bytes) -> None:
        self._silent = False
        self.lag_bytes = len(response)
        self._given_at = time.monotonic()
        self._spoke()

    def _spoke(self) -> None:
        if self.waves is not None:
            self.waves.spoke(self)

    def _took(self) -> None:
        """The response has been taken."""
        self.sent_bytes += self.lag_bytes
        self._frame.tally.sent_bytes += self.lag_bytes
        self.lag_bytes = 0
        if self.state is State.CONFLATING:
            self._turn_to(Step.TOOK)
            if time.monotonic() - self._given_at >= self._terms.lag_after:
                self._slow = True

    def _told(self, telling: Telling) -> None:
        """All of it has been taken."""
        if telling.commits > 1:
            self.conflations += 1
            self._frame.tally.conflations += 1
        if telling.anew:
            self._turn_to(Step.CAUGHT_UP)
        if telling.change and self._terms.min_interval:
            self._not_before = time.monotonic() + self._terms.min_interval

    def _next(self) -> Telling | None:
        """What is to be said now, if anything is. Raises Refusal when a reader lags that wants to be told so."""
        story = self._story
        if story.pending and story.closed is None and self._may_change():
            telling = self._changes()
            # Whoever is told commit by commit, or what an edit left, goes on to the last of what there is now.
            self._turn = self._story.pending
            if self._turn and telling is None:
                self._event.set()
            if telling is not None:
                if not self._demanded:
                    self._due = False  # a change says as much as Progress
                return telling
        if not self._due or story.closed is not None:
            return None
        self._due = self._demanded = False
        return Telling(story.progress())

    def _changes(self) -> Telling | None:
        story, on_lag = self._story, self._terms.on_lag
        lags = self._lags(self._terms.lag_after if self._slow else 0.0)
        self._slow = False
        if lags and on_lag is OnLag.CANCEL:
            raise self._too_slow(self._lag_message())
        if lags and on_lag is OnLag.RESET:
            telling: Telling | None = story.anew(_LAGGED)
        else:
            telling = story.owed(lags)
        if telling is not None and telling.anew:
            self._turn_to(Step.BEGAN_ANEW)
        return telling

    def _lags(self, waited: float) -> bool:
        """Whether the reader lags, when its last response was not taken for so long. See the head of this file."""
        behind = self._story.fallen if self._terms.every_commit else waited >= self._terms.lag_after
        return behind and self._story.lag > 1

    def _lag_message(self) -> str:
        if self._terms.every_commit:
            return "commits that the client has not been told have left the server's history"
        return f"the client has not taken a response for {self._terms.lag_after:g} s while commits went on"

    def _too_slow(self, message: str) -> Refusal:
        self._frame.tally.slow_readers += 1
        debug = self._frame.debug
        if debug is not None and debug.recorder is not None:
            debug.recorder.watch_slow(self.watch_id, self.peer)
        return Refusal(ServerReason.SLOW_READER, message, hint="read faster, watch less, or let changes be merged")

    def _may_change(self) -> bool:
        """Whether it is the stream's turn, and `min_interval` allows a change now; if not, it wakes when it does."""
        if not self._turn and self._ending is None:
            return False
        if not self._terms.min_interval or self._ending is not None or self._demanded:
            return True
        wait = self._not_before - time.monotonic()
        if wait <= 0:
            return True
        if self._timer is None or self._timer.cancelled() or self._timer.when() <= asyncio.get_running_loop().time():
            self._timer = asyncio.get_running_loop().call_later(wait, self.wake)
        return False
