"""One engine watch in the words of the wire.

A teller knows what its reader was told last and makes the responses that come next: the beginning with its snapshot,
what is owed, Progress, and a new beginning in the place of what is owed. It waits for nothing and decides nothing: when
it is asked, and whether the reader is slow, is the stream's affair.

Whatever it tells is taken from the engine at once, when it is asked for; what it returns is encoded piece by piece
while it is read, and does not change any more, whatever is committed meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from google.protobuf.message import Message

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.live.changes import Changes, SessionSchema, Snapshot
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.changes import change_bodies, snapshot_bodies
from tesseract_grpc.server.codec.schemas import encode_columns
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.debug.mode import DebugMode
from tesseract_grpc.server.streams.envelope import TABLE, Envelope
from tesseract_grpc.server.streams.pieces import Pieces
from tesseract_grpc.server.streams.tally import Tally


class Cursor(Protocol):
    """The engine's watch, of a session or of a table."""

    @property
    def columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of its rows."""

    @property
    def pending(self) -> bool:
        """Whether `take` may have something to tell."""

    @property
    def lag(self) -> int:
        """How many commits it has not been given yet."""

    @property
    def fallen(self) -> bool:
        """Whether it has to be told a net change although it asks for every commit."""

    @property
    def cursor(self) -> int:
        """The version up to which the reader has been given everything."""

    @property
    def closed(self) -> Reason | None:
        """Why there is nothing left to watch."""

    def snapshot(self) -> Snapshot:
        """Everything at one version."""

    def advance(self) -> None:
        """Everything up to now has been given."""

    def take(self) -> Changes:
        """The net change since the cursor, or the next commit of a reader that asks for each."""

    def close(self) -> None:
        """Ends the watch."""


class Tokens(Protocol):
    """Writes the resume tokens of one kind of reader."""

    def at(self, version: int, now_us: int) -> bytes:
        """The token of a version, when the rows were evaluated at a time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What all responses of one stream have in common."""

    epoch: str
    version: Callable[[], int]
    watch_id: str = ""
    progress_interval: float = 5.0
    piece_bytes: int = 1_048_576
    clock: Callable[[], float] = time.time
    tally: Tally = field(default_factory=Tally)
    debug: DebugMode | None = None


@dataclass(slots=True)
class Telling:
    """What is told next."""

    parts: Iterator[bytes]
    commits: int = 0  # how many it holds
    anew: bool = False  # whether it is a new beginning
    change: bool = False  # whether it is what `min_interval` is counted from


@dataclass(frozen=True, slots=True)
class Anew:
    """Why a reader must drop what it has."""

    reason: int
    message: str


_EDITED = Anew(
    twin.change.RESET_REASON_DEFINITION_CHANGED,
    "the session was edited: its rows are named by other columns, or an edit came before this reader knew of the last",
)


_REPLACED = Anew(
    twin.change.RESET_REASON_TABLE_CHANGED,
    "the table was altered, or is another one: its rows are named by other columns, or this reader did not know of the"
    " last time",
)


def edited(changes: Changes) -> Anew | None:
    """Why a change cannot be told to who has what was before; None when it can."""
    edit = changes.session_changed
    if edit is None or not edit.reset:
        return None
    return _REPLACED if edit.replaced else _EDITED


class Teller:
    """Makes the responses of one watch."""

    def __init__(
        self,
        watch: Cursor,
        envelope: Envelope,
        frame: Frame,
        *,
        generation: Callable[[], int] = lambda: 0,
        now_us: Callable[[], int] = lambda: 0,
        with_snapshot: bool = True,
        since: int | None = None,
        since_us: int = 0,
        reset: Anew | None = None,
        tokens: Callable[[], Tokens] | None = None,
        digest: Callable[[], bytes] | None = None,
    ) -> None:
        """`since` is the version that the reader has already: no snapshot is told then. `reset` says why what it has is
        of no use. `tokens` is asked whenever the definition of what is watched is another one."""
        self.watch = watch
        self.sent = 0  # the version up to which the reader was told everything
        self.now_us = 0  # the hub's clock then, as far as it matters
        self.generation = 0
        self.digest = digest
        self._envelope = envelope
        self._frame = frame
        self._generation_now = generation
        self._clock_now = now_us
        self._with_snapshot = with_snapshot
        self.since = since
        self._since_us = since_us
        self._reset = reset
        self._tokens_now = tokens
        self._tokens: Tokens | None = None

    # What a stream asks

    @property
    def pending(self) -> bool:
        """Whether there may be something to tell."""
        return self.watch.pending

    @property
    def lag(self) -> int:
        """How many commits the reader has not been told."""
        return self.watch.lag

    @property
    def fallen(self) -> bool:
        """Whether commits that the reader asked for one by one have been forgotten."""
        return self.watch.fallen

    @property
    def closed(self) -> Reason | None:
        """Why there is nothing left to tell."""
        return self.watch.closed

    def opening(self) -> Telling:
        """Begin, and the snapshot of who has nothing yet."""
        if self.since is not None:
            return Telling(chain((self.resume(token=None),), self._current()), anew=True)
        snapshot = self.look()
        return Telling(chain(self.refusal(continued=False), self.show(snapshot)), anew=True)

    def refusal(self, *, continued: bool = True) -> tuple[bytes, ...]:
        """Why what the reader has is of no use, if it came with something; a stream always starts with Begin."""
        if self._reset is None:
            return ()
        return (
            self._begin(continued=continued),
            self.say_reset(self._reset, self.sent, self.sent, continued=continued),
        )

    def _current(self) -> Iterator[bytes]:
        """Progress for a reader who was away and missed nothing, so that it knows that."""
        if not self.pending:
            yield from self.progress()

    def resume(self, *, cut: bool = False, token: bytes | None = None) -> bytes:
        """Begin of a reader that goes on from where it was. In a `cut` only a `token` that is given says that all have
        begun."""
        assert self.since is not None, "the reader was here before"
        self.sent, self.generation, self.now_us = self.since, self._generation_now(), self._since_us
        self._renew_tokens()
        self._frame.tally.resumes += 1
        last = self._token() if token is None and not cut else token
        return self._begin(resumed=True, continued=last is None, token=last or b"")

    def owed(self, slow: bool) -> Telling | None:
        """What the reader is owed, if it is; a `slow` one hears how many commits that skips."""
        changes = self.watch.take()
        skipped = self.skipped(changes, slow)
        if not changes and not skipped:
            return None
        if (why := edited(changes)) is not None:
            return self.anew(why)
        return Telling(self.tell(changes, skipped=skipped), changes.commits, change=True)

    def anew(self, why: Anew) -> Telling:
        """A Reset and a new beginning."""
        before = self.sent
        snapshot = self.look()
        reset = self.say_reset(why, before, before, continued=False)
        return Telling(chain((reset,), self.show(snapshot)), anew=True, change=True)

    def progress(self) -> Iterator[bytes]:
        """Says how far the reader has been told everything, though nothing has changed."""
        # While changes are held back, what was sent is exact up to the last response only. Where nothing is owed the
        # watch's cursor stays where it is: readers with one cursor share one encoding.
        held = self.pending
        yield self.say_progress(self.sent if held else self._frame.version(), held=held)

    def close(self) -> None:
        """Ends the watch."""
        self.watch.close()

    # What it is made of

    @property
    def present_us(self) -> int:
        """The hub's clock, as far as it matters to the rows."""
        return self._clock_now()

    @staticmethod
    def skipped(changes: Changes, slow: bool) -> int:
        """How many commits a change skips, for whoever has to be told that; 0 when it skips none."""
        found = changes.skipped or (changes.commits if slow else 0)
        return found if found > 1 else 0

    def look(self) -> Snapshot | None:
        """What the reader is shown: from here on it is at the present version."""
        self.generation = self._generation_now()
        self._renew_tokens()
        if not self._with_snapshot:
            self.watch.advance()
            self.sent, self.now_us = self.watch.cursor, self._clock_now()
            return None
        snapshot = self.watch.snapshot()
        self.sent, self.now_us = snapshot.version, snapshot.now_us
        return snapshot

    def show(self, snapshot: Snapshot | None, *, cut: bool = False, token: bytes | None = None) -> Iterator[bytes]:
        """Begin, and what `look` gave. In a `cut` only a `token` that is given says that all is told."""
        if snapshot is None:
            return iter((self._begin(continued=cut, token=self._token()),))
        begin = self._begin(continued=cut)
        if not isinstance(snapshot.encoded, Pieces):
            snapshot.encoded = Pieces(snapshot_bodies(snapshot.rows, self._frame.piece_bytes))
        last = self._token() if token is None and not cut else token
        return self._shown(begin, snapshot, snapshot.encoded, last)

    def _shown(self, begin: bytes, snapshot: Snapshot, pieces: Pieces, token: bytes | None) -> Iterator[bytes]:
        versions, generation = (snapshot.version, snapshot.version), self.generation
        yield begin
        index = 0
        while pieces.body(index) is not None:
            yield self._piece(pieces, "snapshot_rows", index, versions, generation, b"", continued=True)
            index += 1
        end = twin.change.SnapshotEnd(row_count=snapshot.rows.length, total_count=snapshot.total_count)
        yield self._seal("snapshot_end", end, versions, generation, token or b"", continued=token is None)

    def tell(
        self, changes: Changes, *, skipped: int = 0, cut: bool = False, token: bytes | None = None
    ) -> Iterator[bytes]:
        """A change in pieces, after Lagged where commits were skipped, and SessionChanged where there was an edit, or
        TableChanged where a table was altered.

        In a `cut` only a `token` that is given says that all is told.
        """
        before, self.sent, self.now_us = self.sent, changes.to_version, changes.now_us
        lead = [] if not skipped else [self.say_lagged(skipped, before)]
        versions = (before, changes.to_version)
        edit = changes.session_changed
        if edit is not None:
            self.generation = edit.generation
            self._renew_tokens()
            lead.append(self._say_changed(edit, versions))
        if not isinstance(changes.encoded, Pieces):
            changes.encoded = Pieces(change_bodies(changes, self._frame.piece_bytes))
        last = self._token() if token is None and not cut else token
        return self._told(lead, changes.encoded, versions, self.generation, last)

    def _say_changed(self, edit: SessionSchema, versions: tuple[int, int]) -> bytes:
        """Says which columns rows have from here on."""
        columns = encode_columns(edit.columns)
        if self._envelope is TABLE:
            return self._seal("table_changed", twin.change.TableChanged(columns=columns), versions, 0, continued=True)
        event = twin.change.SessionChanged(generation=edit.generation, columns=columns)
        return self._seal("session_changed", event, versions, edit.generation, continued=True)

    def _told(
        self, lead: list[bytes], pieces: Pieces, versions: tuple[int, int], generation: int, token: bytes | None
    ) -> Iterator[bytes]:
        yield from lead
        index, more = 0, True
        while more:
            more = pieces.body(index + 1) is not None
            continued = more or token is None
            said = b"" if continued else token or b""
            yield self._piece(pieces, "changes", index, versions, generation, said, continued=continued)
            index += 1

    def say_lagged(self, skipped: int, version: int) -> bytes:
        """Says that the change which follows skips commits. The reader is still where it was."""
        event = twin.change.Lagged(skipped_commits=skipped)
        return self._seal("lagged", event, (version, version), self.generation)

    def say_progress(self, version: int, *, held: bool, cut: bool = False, token: bytes | None = None) -> bytes:
        """Says that the reader has been told everything up to a version; with `held`, that there is more."""
        before, self.sent = self.sent, version
        if not held:
            self.now_us = self._clock_now()
        event = twin.change.Progress()
        encode_time(self._frame.clock(), event.server_time)
        if self.digest is not None and not held:
            event.digest = self.digest()
        last = self._token() if token is None and not cut else token
        versions = (before, version)
        return self._seal("progress", event, versions, self.generation, last or b"", continued=last is None)

    def say_reset(self, why: Anew, version: int, before: int, *, continued: bool = True) -> bytes:
        """Says that the reader must drop what it has."""
        event = twin.change.Reset(message=why.message)
        event.reason = why.reason  # type: ignore[assignment]
        name = twin.change.ResetReason.Name(event.reason)
        self._frame.tally.resets[name.removeprefix("RESET_REASON_")] += 1
        return self._seal("reset", event, (before, version), self.generation, continued=continued)

    def _begin(self, *, resumed: bool = False, continued: bool, token: bytes = b"") -> bytes:
        begin = twin.change.Begin(
            resumed=resumed,
            epoch=self._frame.epoch,
            columns=encode_columns(self.watch.columns),
            progress_interval_ms=round(self._frame.progress_interval * 1_000),
            watch_id=self._frame.watch_id,
        )
        return self._seal("begin", begin, (self.sent, self.sent), self.generation, token, continued=continued)

    def _renew_tokens(self) -> None:
        self._tokens = None if self._tokens_now is None else self._tokens_now()

    def _token(self) -> bytes:
        return b"" if self._tokens is None else self._tokens.at(self.sent, self.now_us)

    def _piece(
        self,
        pieces: Pieces,
        event: str,
        index: int,
        versions: tuple[int, int],
        generation: int,
        token: bytes,
        *,
        continued: bool,
    ) -> bytes:
        self._frame.tally.messages[event] += 1
        return pieces.response(self._envelope, event, index, versions, generation, continued, token)

    def _seal(
        self,
        event: str,
        message: Message,
        versions: tuple[int, int],
        generation: int,
        token: bytes = b"",
        *,
        continued: bool = False,
    ) -> bytes:
        self._frame.tally.messages[event] += 1
        body = message.SerializeToString()
        return self._envelope.seal(event, body, *versions, generation=generation, continued=continued, token=token)
