"""What a watch of a hub tells: its beginning, what there is when that is asked for, and what happens from then on.

What happens is encoded once, when it happens, for all who watch, and waits in a queue for each of them. The queue is
bounded: a reader for whom it is too short has stopped reading, and its stream is ended. Nothing can be merged here, for
every event is one of its kind.

What there is is told one thing after the other, between which others run, so a hub with a hundred thousand sessions
holds nobody up. What happens meanwhile stands between them, at its version. A thing that was not told yet is told as it
is when its turn comes; what happened to it before is no news then, and is left out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from tesseract_grpc.engine.data.errors import NotFound, Reason
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.describe import encode_session, encode_table
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.hub_events import Happening
from tesseract_grpc.server.names import of_session, of_table
from tesseract_grpc.server.services.hubs import encode_hub
from tesseract_grpc.server.status import cut
from tesseract_grpc.server.streams.teller import Anew, Frame, Telling

pb = twin.hub_service

QUEUE = 10_000
"""So many events may wait for a reader that does not read."""
QUEUE_BYTES = 16_777_216
"""So many bytes of them."""

_TABLES, _SESSIONS = "tables", "sessions"


class HubStory:
    """Tells one reader what happens to a hub."""

    def __init__(self, host: Host, frame: Frame, *, existing: bool, patience: float = 1.0) -> None:
        """`patience`: seconds for which events may wait, however many they are."""
        self.on_overflow: Callable[[str], None] | None = None
        """Ends the stream of a reader that does not read."""
        self._host = host
        self._frame = frame
        self._queue: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._waiting_since = 0.0
        self._patience = patience
        self._untold: dict[tuple[str, str], None] = {}
        if existing:
            self._untold.update(((_TABLES, name), None) for name in host.hub.tables)
            self._untold.update(((_SESSIONS, name), None) for name in host.hub.sessions)
        self._existing = existing
        host.events.listen(self)

    # What a stream asks

    @property
    def pending(self) -> bool:
        """Whether something waits."""
        return bool(self._queue)

    @property
    def lag(self) -> int:
        """How many events wait."""
        return len(self._queue)

    @property
    def fallen(self) -> bool:
        """Never: what waits is kept until the stream ends."""
        return False

    @property
    def closed(self) -> Reason | None:
        """A hub does not end before its server."""
        return None

    def opening(self) -> Telling:
        """Begin, and what there is."""
        return Telling(self._opening(), anew=True)

    def owed(self, slow: bool) -> Telling | None:
        """What waits, all of it."""
        return Telling(self._drain(), change=True) if self._queue else None

    def anew(self, why: Anew) -> Telling:
        """Nobody can ask for that here."""
        raise AssertionError("a watch of a hub does not begin anew")

    def progress(self) -> Iterator[bytes]:
        """Says that nothing else has happened."""
        if not self._queue:
            yield self._say_progress()

    def close(self) -> None:
        """Ends it."""
        self._host.events.leave(self)
        self._queue.clear()

    # What a hub tells

    def hear(self, happening: Happening) -> None:
        """Keeps what happened until the reader takes it. O(1), beside encoding it once for all."""
        if self._untold and self._covers(happening):
            return
        if happening.encoded is None:
            happening.encoded = encode_happening(self._host, happening)
        if not self._queue:
            self._waiting_since = time.monotonic()
        self._queue.append((happening.kind, happening.encoded))
        self._bytes += len(happening.encoded)
        if len(self._queue) > QUEUE or self._bytes > QUEUE_BYTES:
            self._overflow()

    def _overflow(self) -> None:
        """Ends the stream of a reader who has had time to read. To delete a table is one step, and may close more
        sessions than the queue has room for."""
        if self.on_overflow is None or time.monotonic() - self._waiting_since < self._patience:
            return
        overflow, self.on_overflow = self.on_overflow, None
        self._host.events.leave(self)
        overflow(f"{len(self._queue)} events of the hub wait for the client, which does not read them")

    def _covers(self, happening: Happening) -> bool:
        """Whether what there is will tell of it: it happened to something that was not told yet."""
        name, other = happening.name, happening.other
        match happening.kind:
            case "table_created" | "table_altered":
                return (_TABLES, name) in self._untold
            case "table_deleted":
                return self._untold.pop((_TABLES, name), 0) is None
            case "table_renamed":
                if self._untold.pop((_TABLES, other), 0) is None:
                    self._untold[_TABLES, name] = None
                    return True
                return False
            case "tables_swapped":
                told = [each for each in (name, other) if (_TABLES, each) not in self._untold]
                for each in told[: len(told) % 2]:  # of two, one that was told is another one now
                    self.hear(Happening("table_altered", happening.version, each))
                return len(told) < 2
            case "session_edited":
                return (_SESSIONS, name) in self._untold
            case "session_closed":
                return self._untold.pop((_SESSIONS, name), 0) is None
        return False

    # How it is said

    def _opening(self) -> Iterator[bytes]:
        host, frame = self._host, self._frame
        begin = pb.WatchHubResponse(version=host.hub.version)
        begin.begin.hub.CopyFrom(encode_hub(host))
        begin.begin.progress_interval_ms = round(frame.progress_interval * 1_000)
        begin.begin.watch_id = frame.watch_id
        frame.tally.messages["begin"] += 1
        yield begin.SerializeToString()
        while self._untold:
            yield from self._drain()
            kind, name = next(iter(self._untold))
            del self._untold[kind, name]
            what = "table_created" if kind == _TABLES else "session_opened"
            yield self._counted(what, encode_happening(host, Happening(what, host.hub.version, name)))
        if self._existing:
            yield from self._drain()
            yield self._say_progress()

    def _drain(self) -> Iterator[bytes]:
        while self._queue:
            kind, encoded = self._queue.popleft()
            self._bytes -= len(encoded)
            yield self._counted(kind, encoded)

    def _counted(self, kind: str, encoded: bytes) -> bytes:
        self._frame.tally.messages[kind] += 1
        return encoded

    def _say_progress(self) -> bytes:
        message = pb.WatchHubResponse(version=self._host.hub.version)
        encode_time(self._frame.clock(), message.progress)
        return self._counted("progress", message.SerializeToString())


def encode_happening(host: Host, happening: Happening) -> bytes:
    """What happened as a response: tables and sessions as they are now. O(definition)."""
    message = pb.WatchHubResponse(version=happening.version)
    name, other = happening.name, happening.other
    match happening.kind:
        case "table_created" | "table_altered":
            _put_table(host, name, getattr(message, happening.kind))
        case "table_deleted":
            message.table_deleted = of_table(host.name, name)
        case "table_renamed":
            message.table_renamed.old_name = of_table(host.name, other)
            _put_table(host, name, message.table_renamed.table)
        case "tables_swapped":
            _put_table(host, name, message.tables_swapped.table)
            _put_table(host, other, message.tables_swapped.other)
        case "session_opened" | "session_edited":
            getattr(message, happening.kind).CopyFrom(encode_session(host, host.session(name)))
        case "session_closed":
            closed = message.session_closed
            closed.name = of_session(host.name, name)
            if happening.why is not None:
                closed.reason, closed.message = str(happening.why.reason), cut(happening.why.message)
        case "hub_state":
            message.hub_state.CopyFrom(encode_hub(host))
    return message.SerializeToString()


def _put_table(host: Host, name: str, message: twin.schema.Table) -> None:
    try:
        message.CopyFrom(encode_table(host, host.table(name)))
    except NotFound:  # it is gone again, which is told next
        message.name = of_table(host.name, name)
