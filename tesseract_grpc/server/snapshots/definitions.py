"""Tables and sessions in a snapshot: their definitions, and what people say about them.

A query is kept as it was given, for people, and as it stands on its own, which is what it means: the sessions that it
read may have been edited since, or be gone. That one is kept in parts, for queries of sessions of sessions are deeper
than messages may be. What its pivots were spread over is kept too, for the rows would tell something else now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.live.image import KeptQuery, KeptSession, KeptTable
from tesseract_grpc.engine.live.resolve_pivot import PivotValues
from tesseract_grpc.engine.query.closed import joined, parted
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import RowSource
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.filters import FilterLimits, decode_filter, encode_filter
from tesseract_grpc.server.codec.queries import QueryLimits, decode_query, encode_query
from tesseract_grpc.server.codec.retention import (
    decode_memory_limit,
    decode_retention,
    encode_memory_limit,
    encode_retention,
)
from tesseract_grpc.server.codec.schemas import decode_indexes, encode_indexes
from tesseract_grpc.server.codec.values import decode_literal, encode_scalar, encode_time
from tesseract_grpc.server.names import of_session, of_table, session_in, table_in
from tesseract_grpc.server.snapshots.container import Kind, from_json, pack, piece, to_json, unpack

_MANY = 1 << 31
_FILTERS = FilterLimits(_MANY, _MANY)
_QUERIES = QueryLimits(_FILTERS, _MANY, _MANY)
"""What a hub holds has been judged when it came."""


@dataclass(frozen=True, slots=True)
class KeptNote:
    """What is said about a table or session, and when it was created."""

    description: str
    create_time: float


class _Names:
    """Names of one hub, of what may not be there any more."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    def table(self, name: str, field: str) -> str:
        """The id of a table."""
        return table_in(name, self._hub, field)

    def session(self, name: str, field: str) -> str:
        """The id of a session."""
        return session_in(name, self._hub, field)

    def key_of(self, source: RowSource) -> str:
        """Nothing: keys were found when the query came."""
        del source
        return ""

    def of_table(self, id: str) -> str:
        """The resource name of a table."""
        return of_table(self._hub, id)

    def of_session(self, id: str) -> str:
        """The resource name of a session."""
        return of_session(self._hub, id)


class Definitions:
    """The definitions of one hub, as pieces and back."""

    def __init__(self, hub: str) -> None:
        self._names = _Names(hub)

    def encode_table(self, table: KeptTable, note: KeptNote | None) -> bytes:
        """A table."""
        values = {"number": table.number, "next": table.next_sequence}
        message = twin.schema.Table(
            name=table.name,
            indexes=encode_indexes(table.indexes),
            create_version=table.create_version,
            update_version=table.update_version,
        )
        encode_retention(table.retention, message)
        encode_memory_limit(table.memory_limit, message)
        if note is not None:
            message.description = note.description
            encode_time(note.create_time, message.create_time)
        query = b"" if table.query is None else self._encode_query(table.query)
        return piece(Kind.KEPT_TABLE, pack((to_json(values), message.SerializeToString(), query)))

    def decode_table(self, content: memoryview) -> tuple[KeptTable, KeptNote | None]:
        """A table. Raises ValueError, DecodeError, InvalidRequest, Refusal."""
        values, body, query = unpack(content)
        message, more = twin.schema.Table.FromString(body), from_json(values)
        kept = KeptTable(
            message.name,
            int(more["number"]),
            message.create_version,
            message.update_version,
            int(more["next"]),
            tuple(decode_indexes(message.indexes, "indexes")),
            self._decode_query(query) if query else None,
            decode_retention(message, "table"),
            decode_memory_limit(message, "table"),
        )
        return kept, _note(message)

    def encode_session(self, session: KeptSession, note: KeptNote | None) -> bytes:
        """A session."""
        message = twin.session_service.Session(name=session.name, generation=session.generation)
        if session.permanent is not None:
            encode_filter(session.permanent, message.permanent_filter)
        if note is not None:
            message.description = note.description
            encode_time(note.create_time, message.create_time)
        return piece(Kind.SESSION, pack((message.SerializeToString(), self._encode_query(session.query))))

    def decode_session(self, content: memoryview) -> tuple[KeptSession, KeptNote | None]:
        """A session. Raises ValueError, DecodeError, InvalidRequest, Refusal."""
        body, query = unpack(content)
        message = twin.session_service.Session.FromString(body)
        permanent = None
        if message.HasField("permanent_filter"):
            permanent = decode_filter(message.permanent_filter, _FILTERS, "permanent_filter")
        kept = KeptSession(message.name, self._decode_query(query), permanent, message.generation)
        return kept, _note(message)

    def _encode_query(self, query: KeptQuery) -> bytes:
        closed = () if query.closed == query.given else parted(query.closed)
        given = encode_query(query.given, self._names).SerializeToString()
        parts = pack(encode_query(part, self._names).SerializeToString() for part in closed)
        return pack((given, parts, pack(map(_encode_pivot, query.pivots))))

    def _decode_query(self, content: bytes) -> KeptQuery:
        given, parts, pivots = unpack(content)
        query = self._read(given)
        closed = [self._read(part) for part in unpack(parts)]
        return KeptQuery(query, joined(closed) if closed else query, tuple(map(_decode_pivot, unpack(pivots))))

    def _read(self, content: bytes) -> Query:
        return decode_query(twin.query.Query.FromString(content), self._names, _QUERIES)


def _note(message: twin.schema.Table | twin.session_service.Session) -> KeptNote | None:
    if not message.HasField("create_time"):
        return None
    return KeptNote(message.description, message.create_time.ToMicroseconds() / 1e6)


def _encode_pivot(pivot: PivotValues) -> bytes:
    values = (encode_scalar(value, pivot.type).SerializeToString() for value in pivot.values)
    return pack((pivot.column.encode(), bytes((pivot.type,)), *values))


def _decode_pivot(content: bytes) -> PivotValues:
    name, type, *values = unpack(content)
    return PivotValues(name.decode(), DataType(type[0]), tuple(map(_decode_value, values)))


def _decode_value(content: bytes) -> Scalar:
    value = decode_literal(twin.value.Value.FromString(content))
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


Notes = Mapping[str, KeptNote]
"""Notes by the name of what they are about."""
