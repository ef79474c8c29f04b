"""What a mirror holds, to be written to a file and given back to another mirror: rows, version and resume token.

Its bytes are the stream that would have led there: `Begin`, the rows and `SnapshotEnd` with the token, each a
`WatchSessionResponse` with its length before it (the delimited form that protobuf libraries of every language read and
write). Giving it back is playing that stream to a feed, so that what is read from a file is checked as strictly as what
comes from a server, and a bookmark of one language serves in another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self

from google.protobuf.message import DecodeError
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed

from tesseract_grpc._proto.tesseract.v1 import change_pb2, schema_pb2, session_service_pb2

from .batch import Block, Types, encode
from .coerce import vector_of_list
from .datatype import JSON, STRING, DataType
from .errors import invalid
from .events import Snapshot
from .feed import Bookmark, Feed, StreamBroken
from .rows import Row
from .vector import Vector

PIECE_ROWS = 10_000
"""The rows of one message of a bookmark."""

Response = session_service_pb2.WatchSessionResponse


@dataclass(frozen=True, slots=True)
class MirrorBookmark:
    """The rows of a mirror at one consistent point, and where to go on from there. Made by `mirror.bookmark()` and
    taken by `session.mirror(resume=...)`; `to_bytes` and `from_bytes` are for files."""

    version: int
    """The version at which the rows are exact."""
    epoch: str
    """The line of versions that it is of."""
    token: bytes
    """Where the server goes on. Empty when it gave none for these rows: then a mirror begins with a snapshot."""
    rows: Sequence[Row]
    """The rows, in order."""
    total_count: int
    """The number of rows of the whole result."""
    types: Types
    """The types of the columns, in order."""
    key: tuple[str, ...]
    """The names of the key columns."""

    def to_bytes(self) -> bytes:
        """For a file. O(cells). JSON documents are written anew: equal ones, which need not have the same text."""
        written = BytesIO()
        for response in self._responses():
            serialize_length_prefixed(response, written)
        return written.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """From a file. Raises InvalidRequest (MALFORMED_REQUEST) when it is not whole, or not a bookmark."""
        try:
            place, snapshot = _play(_read(data))
        except (StreamBroken, DecodeError, ValueError) as error:
            raise invalid("MALFORMED_REQUEST", f"this is no bookmark of a mirror: {error}", "resume") from error
        rows, types = snapshot.rows.to_list(), dict(snapshot.rows.types)
        return cls(place.version, place.epoch, place.token, rows, snapshot.total_count, types, snapshot.key)

    def restore(self) -> tuple[Bookmark, Snapshot]:
        """Where a watch goes on, and the rows that its reader has."""
        place, snapshot = _play(self._responses())
        place.began = False  # no server has answered yet
        return place, snapshot

    def _responses(self) -> Iterator[Response]:
        at: dict[str, Any] = {"from_version": self.version, "to_version": self.version}
        columns = [schema_pb2.Column(name=n, type=t, primary_key=n in self.key) for n, t in self.types.items()]
        yield Response(**at, continued=True, begin=change_pb2.Begin(epoch=self.epoch, columns=columns))
        for start in range(0, len(self.rows), PIECE_ROWS):
            rows = encode(_block(self.rows[start : start + PIECE_ROWS], self.types))
            piece = change_pb2.SnapshotRows(rows=rows, start_index=start)
            yield Response(**at, continued=True, snapshot_rows=piece)
        end = change_pb2.SnapshotEnd(row_count=len(self.rows), total_count=self.total_count)
        yield Response(**at, resume_token=self.token, snapshot_end=end)


def _read(data: bytes) -> Iterator[Response]:
    file = BytesIO(data)
    while (response := parse_length_prefixed(Response, file)) is not None:
        yield response


def _play(responses: Iterator[Response]) -> tuple[Bookmark, Snapshot]:
    """What a feed makes of a recorded stream, which must end with its snapshot."""
    place, found = Bookmark(), None
    feed = Feed(place, dicts=True)
    for response in responses:
        if found is not None:
            raise StreamBroken("disorder", "something follows the snapshot")
        found = feed.receive(response)
    if not isinstance(found, Snapshot):
        raise StreamBroken("ended", "the snapshot is not whole")
    return place, found


def _block(rows: Sequence[Row], types: Types) -> Block:
    return Block(len(rows), {name: _vector(type, [row[name] for row in rows], name) for name, type in types.items()})


def _vector(type: DataType, values: list[Any], name: str) -> Vector:
    if type != JSON:
        return vector_of_list(type, values, name)
    # A number that JSON can write and a double cannot hold ("1e400") is Infinity to this, and to who reads it.
    texts = [None if v is None else json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in values]
    written = vector_of_list(STRING, texts, name)
    return Vector(JSON, written.values, written.valid, written.texts)
