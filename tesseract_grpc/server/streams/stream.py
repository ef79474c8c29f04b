"""One watch of one client.

A stream is in exactly one state:

* CATCHING_UP: the snapshot is on its way;
* LIVE: everything that happened has been handed over;
* CONFLATING: a message is being written and more has happened since; it will be told as one net change.

It is woken by commits that touched what it watches, by the hub's beat when it was silent for long, by the end of its
`min_interval`, and by its end. Being woken twice is the same as being woken once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from enum import Enum
from typing import Protocol

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.live.changes import Changes, SessionSchema, Snapshot
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.changes import change_bodies, snapshot_bodies
from tesseract_grpc.server.codec.schemas import encode_columns
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.streams.envelope import Envelope
from tesseract_grpc.server.streams.pieces import Pieces


class State(Enum):
    """What a stream is doing."""

    CATCHING_UP = "catching up"
    LIVE = "live"
    CONFLATING = "conflating"


class Cursor(Protocol):
    """The engine's watch, of a session or of a table."""

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows."""

    @property
    def pending(self) -> bool:
        """Whether `take` may have something to tell."""

    @property
    def cursor(self) -> int:
        """The version up to which the reader has been given everything."""

    @property
    def closed(self) -> Reason | None:
        """Why there is nothing left to watch."""

    def snapshot(self) -> Snapshot:
        """Everything at one version."""

    def take(self) -> Changes:
        """The net change since the cursor."""

    def close(self) -> None:
        """Ends the watch."""


class Stream:
    """Turns one engine watch into responses."""

    def __init__(
        self,
        watch: Cursor,
        envelope: Envelope,
        *,
        epoch: str,
        version: Callable[[], int],
        generation: Callable[[], int] = lambda: 0,
        with_snapshot: bool = True,
        min_interval: float = 0.0,
        progress_interval: float = 5.0,
        piece_bytes: int = 1_048_576,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._watch = watch
        self._envelope = envelope
        self._epoch = epoch
        self._hub_version = version
        self._generation_now = generation
        self._generation = 0
        self._with_snapshot = with_snapshot
        self._min_interval = min_interval
        self._progress_interval = progress_interval
        self._piece_bytes = piece_bytes
        self._clock = clock
        self._event = asyncio.Event()
        self._ending: Refusal | None = None
        self._sent = 0
        self._silent = False
        self._due = False
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._catching_up = True
        self._writing = False

    @property
    def state(self) -> State:
        """The present state."""
        if self._catching_up:
            return State.CATCHING_UP
        return State.CONFLATING if self._writing and self._watch.pending else State.LIVE

    def wake(self) -> None:
        """Says that something may have to be told. O(1)."""
        self._event.set()

    def beat(self) -> None:
        """Called twice in every progress interval: a stream that said nothing since the last beat has to say Progress.
        O(1)."""
        if self._silent and not self._writing:
            self._due = True
            self._event.set()
        self._silent = True

    def end(self, refusal: Refusal) -> None:
        """Ends the stream at its next consistent point."""
        if self._ending is None:
            self._ending = refusal
        self._event.set()

    async def responses(self) -> AsyncGenerator[bytes, None]:
        """The responses, until the call or the watched thing ends; then raises the Refusal that says why."""
        try:
            async for response in self._opening():
                yield self._out(response)
                self._writing = False
            while True:
                self._event.clear()
                changes = self._owed()
                if changes is not None:
                    edit = changes.session_changed
                    if edit is not None and edit.reset:
                        async for response in self._anew(edit):
                            yield self._out(response)
                            self._writing = False
                        continue
                    pieces, versions = self._encoded(changes), (self._sent, changes.to_version)
                    if edit is not None:
                        yield self._out(self._edited(edit, versions))
                        self._writing = False
                    index, more = 0, True
                    while more:
                        more = pieces.body(index + 1) is not None
                        yield self._out(self._piece(pieces, "changes", index, versions, continued=more))
                        self._writing = False
                        index += 1
                        if more:
                            await asyncio.sleep(0)
                    self._told(changes)
                    if self._watch.pending:  # around an edit there are two changes to tell
                        self._event.set()
                elif self._due:
                    yield self._out(self._progress())
                    self._writing = False
                if self._ending is not None:
                    raise self._ending
                if self._watch.closed is not None:
                    raise Refusal(self._watch.closed, "what was watched is no more: it could not be followed")
                await self._event.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._watch.close()

    def _out(self, response: bytes) -> bytes:
        self._writing, self._silent = True, False
        return response

    async def _opening(self) -> AsyncIterator[bytes]:
        self._catching_up, self._generation = True, self._generation_now()
        if not self._with_snapshot:
            self._sent = self._watch.cursor
            yield self._begin()
            self._catching_up = False
            return
        snapshot = self._watch.snapshot()
        self._sent = snapshot.version
        yield self._begin()
        if not isinstance(snapshot.encoded, Pieces):
            snapshot.encoded = Pieces(snapshot_bodies(snapshot.rows, self._piece_bytes))
        pieces = snapshot.encoded
        index = 0
        while pieces.body(index) is not None:
            if self._ending is not None:
                raise self._ending  # nothing has been shown yet, so this too is a consistent point
            yield self._piece(pieces, "snapshot_rows", index, (self._sent, self._sent), continued=True)
            index += 1
            await asyncio.sleep(0)
        end = twin.change.SnapshotEnd(row_count=snapshot.rows.length, total_count=snapshot.total_count)
        yield self._seal("snapshot_end", end.SerializeToString(), self._sent)
        self._catching_up = False

    async def _anew(self, edit: SessionSchema) -> AsyncIterator[bytes]:
        """A snapshot in the place of a change, for rows are named by other columns now."""
        message = "the session was edited and its rows are named by other columns"
        reset = twin.change.Reset(reason=twin.change.RESET_REASON_DEFINITION_CHANGED, message=message)
        self._generation = edit.generation
        yield self._seal("reset", reset.SerializeToString(), self._sent)
        async for response in self._opening():
            yield response

    def _edited(self, edit: SessionSchema, versions: tuple[int, int]) -> bytes:
        """Says that the session is another one from here on; the change that makes it so follows."""
        self._generation = edit.generation
        event = twin.change.SessionChanged(generation=edit.generation, columns=encode_columns(edit.columns))
        body = event.SerializeToString()
        return self._envelope.seal("session_changed", body, *versions, generation=edit.generation, continued=True)

    def _begin(self) -> bytes:
        begin = twin.change.Begin(
            resumed=False,
            epoch=self._epoch,
            columns=encode_columns(self._watch.columns),
            progress_interval_ms=round(self._progress_interval * 1_000),
        )
        return self._envelope.seal(
            "begin", begin.SerializeToString(), self._sent, self._sent, generation=self._generation
        )

    def _owed(self) -> Changes | None:
        """The net change that may be told now, if there is one."""
        watch = self._watch
        if not watch.pending or watch.closed is not None or not self._may_change():
            return None
        return watch.take() or None

    def _told(self, changes: Changes) -> None:
        self._sent = changes.to_version
        self._due = False
        if self._min_interval:
            self._not_before = time.monotonic() + self._min_interval

    def _progress(self) -> bytes:
        self._due = False
        progress = twin.change.Progress()
        encode_time(self._clock(), progress.server_time)
        # While a change is held back by min_interval, what was sent is exact up to the last response only. Where
        # nothing is owed the watch's cursor stays where it is: readers with one cursor share one encoding.
        version = self._sent if self._watch.pending else self._hub_version()
        return self._seal("progress", progress.SerializeToString(), version)

    def _may_change(self) -> bool:
        """Whether `min_interval` allows a change now; otherwise the stream wakes when it does."""
        if not self._min_interval or self._ending is not None:
            return True
        wait = self._not_before - time.monotonic()
        if wait <= 0:
            return True
        if self._timer is None or self._timer.cancelled() or self._timer.when() <= asyncio.get_running_loop().time():
            self._timer = asyncio.get_running_loop().call_later(wait, self._event.set)
        return False

    def _encoded(self, changes: Changes) -> Pieces:
        """The pieces of a change, the same for all streams that are given it."""
        if not isinstance(changes.encoded, Pieces):
            changes.encoded = Pieces(change_bodies(changes, self._piece_bytes))
        return changes.encoded

    def _piece(self, pieces: Pieces, event: str, index: int, versions: tuple[int, int], *, continued: bool) -> bytes:
        return pieces.response(self._envelope, event, index, versions, self._generation, continued)

    def _seal(self, event: str, body: bytes, version: int) -> bytes:
        response = self._envelope.seal(event, body, self._sent, version, generation=self._generation)
        self._sent = version
        return response
