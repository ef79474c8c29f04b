"""The whole of a hub in a snapshot: what the engine tells, and what the server knows beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tesseract_grpc.engine.live.image import Ending
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.snapshots.container import FORMAT, Kind, pack, piece, to_json
from tesseract_grpc.server.snapshots.definitions import Definitions, Notes
from tesseract_grpc.server.snapshots.rows import encode_piece

_ANSWERS = 500
"""Answers in one piece."""


@dataclass(frozen=True, slots=True)
class LastStep:
    """What there is at the version of a snapshot, copied in one step; it is encoded later."""

    hub: str
    position: int
    ending: Ending
    table_notes: Notes
    session_notes: Notes
    answers: list[tuple[str, bytes, Any]]
    """Ids of requests, their digests, and what was answered."""
    extra: Mapping[str, bytes]


def encode_head(hub: str) -> bytes:
    """The first piece."""
    return piece(Kind.HEAD, to_json({"format": FORMAT, "hub": hub}))


def encode_last(last: LastStep) -> Iterator[bytes]:
    """The last pieces. O(everything but rows)."""
    ending, definitions = last.ending, Definitions(last.hub)
    for rows in ending.pieces:
        yield from encode_piece(rows)
    for table in ending.tables:
        yield definitions.encode_table(table, last.table_notes.get(table.name))
    for session in ending.sessions:
        yield definitions.encode_session(session, last.session_notes.get(session.name))
    for start in range(0, len(last.answers), _ANSWERS):
        parts: list[bytes] = []
        for request_id, digest, response in last.answers[start : start + _ANSWERS]:
            name = response.DESCRIPTOR.full_name
            parts.extend((request_id.encode(), digest, name.encode(), response.SerializeToString()))
        yield piece(Kind.ANSWERS, pack(parts))
    extra = [part for name, content in last.extra.items() for part in (name.encode(), content)]
    yield piece(Kind.EXTRA, pack(extra))
    end = {"position": last.position, "version": ending.version, "now": ending.now}
    yield piece(Kind.END, to_json(end))


def response_class(name: str) -> Any:
    """The class of a response. Raises KeyError when there is none of this name."""
    return twin.message_class(name)
