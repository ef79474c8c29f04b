"""A hub from a snapshot, before it is served."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from tesseract_grpc.engine.data.commit_log import HubLog, LogDamaged, StoredSnapshot
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.live.image import Ending, KeptSession, KeptTable
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.snapshots.container import FORMAT, Kind, from_json, opened, unpack
from tesseract_grpc.server.snapshots.definitions import Definitions, KeptNote
from tesseract_grpc.server.snapshots.rows import PieceReader
from tesseract_grpc.server.snapshots.state import response_class

if TYPE_CHECKING:
    from tesseract_grpc.server.host import Host

_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, struct.error, DecodeError, EngineError, Refusal)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a hub was restored to."""

    position: int
    version: int
    extra: Mapping[str, bytes]


@dataclass(slots=True)
class _Gathered:
    """What comes before the end, and is made something of there."""

    tables: list[KeptTable] = field(default_factory=list)
    sessions: list[KeptSession] = field(default_factory=list)
    table_notes: dict[str, KeptNote] = field(default_factory=dict)
    session_notes: dict[str, KeptNote] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    extra: dict[str, bytes] = field(default_factory=dict)


def asked_from(host: Host, last: int) -> int:
    """The position from which records must follow a snapshot so that histories are as long as they were.

    A history is counted in commits, and there are records that change nothing: one of two may be.
    """
    return max(0, last - 2 * host.hub.limits.history.commits)


def restore_newest(host: Host, log: HubLog) -> Restored | None:
    """Brings an empty hub to the newest snapshot after which as many records follow as histories are made of.

    So the histories that resume tokens ask for are made again from the records. None when there is no snapshot of any
    use, and all records are there. Raises LogDamaged.
    """
    stored = log.load_snapshot(asked_from(host, log.last))
    passed_over = getattr(getattr(log, "snapshots", None), "passed_over", [])
    if passed_over:
        logger().error("snapshot.damaged", hub=host.name, positions=passed_over)
    if stored is None:
        if log.since:
            raise LogDamaged(f"the log of hub '{host.name}' begins after {log.since}, and there is no snapshot")
        return None
    return restore(host, stored)


def restore(host: Host, stored: StoredSnapshot) -> Restored:
    """Fills an empty hub from a snapshot. O(rows), and what it takes to open the sessions. Raises LogDamaged."""
    try:
        return _Restore(host, stored).run()
    except _UNREADABLE as error:
        raise LogDamaged(
            f"the snapshot of position {stored.position} of hub '{host.name}' cannot be restored: {error}"
        ) from error


class _Restore:
    def __init__(self, host: Host, stored: StoredSnapshot) -> None:
        self._host = host
        self._stored = stored
        self._restoration = host.hub.restoration()
        self._reader = PieceReader()
        self._definitions = Definitions(host.name)
        self._gathered = _Gathered()

    def run(self) -> Restored:
        """Reads all pieces. Raises ValueError and others where they are none of a snapshot of this hub."""
        pieces = iter(self._stored.pieces)
        kind, head = opened(next(pieces, b"\0"))
        if kind is not Kind.HEAD:
            raise ValueError("it has no head")
        self._check_head(from_json(head))
        for content in pieces:
            kind, body = opened(content)
            match kind:
                case Kind.TABLE | Kind.DERIVED | Kind.ROWS | Kind.GONE:
                    self._restoration.take(self._reader.read(kind, body))
                case Kind.END:
                    return self._finish(from_json(body))
                case _:
                    self._gather(kind, body)
        raise ValueError("it has no end")

    def _check_head(self, head: Mapping[str, object]) -> None:
        number = head["format"]
        if not isinstance(number, int) or number > FORMAT:
            raise ValueError(f"it has format {number}, and this program reads formats up to {FORMAT}: use a newer one")
        if head["hub"] != self._host.name:
            raise ValueError(f"it is one of hub '{head['hub']}'")

    def _gather(self, kind: Kind, body: memoryview) -> None:
        gathered = self._gathered
        match kind:
            case Kind.KEPT_TABLE:
                table, note = self._definitions.decode_table(body)
                gathered.tables.append(table)
                if note is not None:
                    gathered.table_notes[table.name] = note
            case Kind.SESSION:
                session, note = self._definitions.decode_session(body)
                gathered.sessions.append(session)
                if note is not None:
                    gathered.session_notes[session.name] = note
            case Kind.ANSWERS:
                gathered.answers.append(bytes(body))
            case Kind.EXTRA:
                parts = unpack(body)
                gathered.extra.update(zip(map(bytes.decode, parts[::2]), parts[1::2], strict=True))
            case _:
                raise ValueError(f"a piece of kind {kind.name} is at the wrong place")

    def _finish(self, end: Mapping[str, int]) -> Restored:
        host, gathered = self._host, self._gathered
        position, version = int(end["position"]), int(end["version"])
        if position != self._stored.position:
            raise ValueError(f"it is one of position {position}")
        ending = Ending(version, int(end["now"]), (), tuple(gathered.tables), tuple(gathered.sessions))
        self._restoration.finish(ending)
        for notes, kept in (
            (host.table_notes, gathered.table_notes),
            (host.session_notes, gathered.session_notes),
        ):
            for name, said in kept.items():
                note = host.note(said.description)
                note.create_time = said.create_time
                notes[name] = note
        for content in gathered.answers:
            parts = unpack(content)
            for request_id, digest, name, response in zip(*[iter(parts)] * 4, strict=True):
                host.memory.remember(request_id.decode(), digest, response_class(name.decode()).FromString(response))
        host.defined()
        return Restored(position, version, gathered.extra)
