"""What a backup holds: which tables and sessions, in an order in which they can be made again.

Everything is put behind what it reads, tables and sessions alike, for each may read the other. A query is told as it
was given. It may name a session that has been edited since, or is no more: what it means is then something else than it
says, and it is told with the definition of then in the place of the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import Message

from tesseract_grpc.engine.data.errors import EngineError, NotFound, Reason
from tesseract_grpc.engine.live.hub_image import kept_query
from tesseract_grpc.engine.live.image import KeptQuery
from tesseract_grpc.engine.query.closed import closed
from tesseract_grpc.engine.query.filter_tree import AllOf
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.queries import decode_query, encode_query
from tesseract_grpc.server.describe import encode_session, encode_table
from tesseract_grpc.server.errors import Refusal, invalid
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.lookup import QueryNames, existing_table
from tesseract_grpc.server.names import session_name, table_name

Name = tuple[str, str]
"""A kind, "table" or "session", and an id."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a backup holds, each behind what it reads."""

    stored: tuple[str, ...]
    derived: tuple[twin.schema.Table, ...]
    sessions: tuple[twin.session_service.Session, ...]


def choose(host: Host, tables: list[str], *, with_sessions: bool) -> Chosen:
    """The tables that were asked for, or all, and the sessions all of whose sources are among them. O(definitions).

    Raises Refusal where there is no such table, and where a derived table is to go without what it reads.
    """
    asked = [existing_table(host, text, f"tables[{at}]") for at, text in enumerate(tables)]
    names = dict.fromkeys(asked or host.hub.tables)
    queries = _Queries(host)
    reads: dict[Name, set[Name]] = {}
    messages: dict[Name, Any] = {}
    kept = [name for name in host.hub.sessions if host.lifetimes.idle_timeout(name) is None]
    for name in kept:
        session = encode_session(host, host.hub.session(name))
        session.query.CopyFrom(queries.encode(kept_query(host.hub.session(name)), f"session '{name}'"))
        messages["session", name], reads["session", name] = session, set(names_in(session.query))
    image = host.hub.image()
    for name in names:
        reads["table", name] = set()
        query = image.derived_query(name)
        if query is not None:
            table = encode_table(host, host.table(name))
            table.query.CopyFrom(queries.encode(query, f"table '{name}'"))
            messages["table", name], reads["table", name] = table, set(names_in(table.query))
    wanted: list[Name] = [("table", name) for name in names]
    for _, table_id in wanted:
        _complete(table_id, reads, with_sessions=with_sessions)
    if with_sessions:
        wanted += [("session", name) for name in kept if _whole(("session", name), reads)]
    order = _behind_what_they_read(wanted, reads)
    return Chosen(
        tuple(id for kind, id in order if kind == "table" and (kind, id) not in messages),
        tuple(messages[name] for name in order if name[0] == "table" and name in messages),
        tuple(messages[name] for name in order if name[0] == "session"),
    )


def names_in(message: Message) -> Iterator[Name]:
    """The tables and sessions that a query reads. O(its parts)."""
    for field, value in message.ListFields():
        if field.message_type is None:
            if field.name == "table":
                yield "table", table_name(value, "query").id
            elif field.name == "session":
                yield "session", session_name(value, "query").id
        elif field.message_type.GetOptions().map_entry:
            for inner in value.values():
                yield from names_in(inner)
        else:
            for inner in value if field.is_repeated else (value,):
                yield from names_in(inner)


def _whole(name: Name, reads: dict[Name, set[Name]]) -> bool:
    """Whether all that something reads is part of the backup, however indirectly."""
    return name in reads and all(_whole(each, reads) for each in reads[name])


def _complete(table: str, reads: dict[Name, set[Name]], *, with_sessions: bool) -> None:
    for kind, id in sorted(reads["table", table]):
        if not _whole((kind, id), reads):
            message = f"the derived table '{table}' reads the {kind} '{id}', which is not part of the backup"
        elif kind == "session" and not with_sessions:
            message = f"the derived table '{table}' reads the session '{id}', and sessions are not part of the backup"
        else:
            continue
        raise invalid(f"{message}: name what it reads too, or leave the derived table out", "tables")


def _behind_what_they_read(wanted: list[Name], reads: dict[Name, set[Name]]) -> list[Name]:
    order: dict[Name, None] = {}

    def visit(name: Name) -> None:
        if name not in order:
            for each in sorted(reads[name]):
                visit(each)
            order[name] = None

    for name in wanted:
        visit(name)
    return list(order)


class _Queries:
    """The queries of one hub, as a client can give them again."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def encode(self, kept: KeptQuery, owner: str) -> twin.query.Query:
        """A query as it was given, or as what it stands for where that is something else by now. Raises Refusal."""
        names = QueryNames(self._host)
        if self._means_what_it_says(kept):
            return encode_query(kept.given, names)
        message = encode_query(kept.closed, names)
        try:
            decode_query(message, names, self._host.query_limits)
        except (Refusal, EngineError) as error:
            raise Refusal(
                Reason.LIMIT_EXCEEDED,
                f"the {owner} reads sessions that have been edited or deleted since, and what it stands for without"
                f" them could not be made again: {error}",
                hint="edit it so that it reads what there is now, or raise max_query_depth and max_query_parts",
            ) from None
        return message

    def _means_what_it_says(self, kept: KeptQuery) -> bool:
        if kept.given == kept.closed:
            return True
        try:
            return closed(kept.given, self._definition) == kept.closed
        except EngineError:
            return False

    def _definition(self, name: str, field: str) -> Query:
        """What a session shows now, as a query that stands on its own."""
        session = self._host.hub.sessions.get(name)
        if session is None or self._host.lifetimes.idle_timeout(name) is not None:
            raise NotFound(Reason.UNKNOWN_SESSION, f"there is no session '{name}'", field=field)
        query = session.resolved.query
        if session.permanent is None:
            return query
        filters = (session.permanent,) if query.filter is None else (session.permanent, query.filter)
        return replace(query, filter=AllOf(filters))
