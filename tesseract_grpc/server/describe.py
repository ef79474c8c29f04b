"""Tables and sessions as messages: what they are, and what people say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.live.rebinding import Ended
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.filter_tree import AllOf, Filter
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.filters import encode_filter
from tesseract_grpc.server.codec.queries import encode_query
from tesseract_grpc.server.codec.retention import encode_memory_limit, encode_retention
from tesseract_grpc.server.codec.schemas import encode_columns, encode_indexes
from tesseract_grpc.server.codec.values import encode_duration, encode_time
from tesseract_grpc.server.host import ANONYMOUS_PREFIX, Host, Note
from tesseract_grpc.server.lookup import QueryNames
from tesseract_grpc.server.names import of_session, of_table
from tesseract_grpc.server.statistics import encode_statistics, encode_watchers

MOST_ENDED = 100
"""So many sessions that ended are told one by one."""


def encode_table(host: Host, table: Table, note: Note | None = None) -> twin.schema.Table:
    """A table as a message. `note` stands in for that of a table which is not created yet."""
    note = note or host.table_notes.setdefault(table.name, host.note())
    message = twin.schema.Table(
        name=of_table(host.name, table.name),
        columns=encode_columns(table.schema.visible),
        indexes=encode_indexes(index.schema for index in table.indexes.values()),
        row_count=table.row_count,
        memory_bytes=table.memory_bytes(),
        create_version=table.create_version,
        update_version=table.update_version,
        description=note.description,
    )
    encode_retention(table.retention, message)
    encode_memory_limit(table.memory_limit, message)
    query = host.hub.derived_tables.get(table.name)
    if query is not None:
        message.query.CopyFrom(encode_query(query, QueryNames(host)))
    encode_time(note.create_time, message.create_time)
    return message


def encode_ended(host: Host, ended: Sequence[Ended]) -> tuple[list[twin.table_service.EndedSession], int]:
    """The first hundred of the sessions with an id that were ended, and how many there are of them. Anonymous ones are
    known to one process alone, and answers are the same wherever they are given."""
    named = [each for each in ended if not each.session.name.startswith(ANONYMOUS_PREFIX)]
    make = twin.table_service.EndedSession
    told = [
        make(name=of_session(host.name, each.session.name), column=each.column, message=each.message)
        for each in named[:MOST_ENDED]
    ]
    return told, len(named)


def encode_session(host: Host, session: Session, *, with_watchers: bool = False) -> twin.session_service.Session:
    """A session as a message. O(its watches)."""
    note = host.session_notes.setdefault(session.name, host.note())
    idle_timeout = host.lifetimes.idle_timeout(session.name)
    message = twin.session_service.Session(
        name=of_session(host.name, session.name),
        query=encode_query(session.query, QueryNames(host)),
        anonymous=idle_timeout is not None,
        columns=encode_columns(session.columns),
        generation=session.generation,
        total_count=session.total_count,
        watcher_count=host.audience.of(session),
        description=note.description,
        statistics=encode_statistics(host, session),
    )
    if with_watchers:
        message.watchers.extend(encode_watchers(host, session))
    if idle_timeout is not None:
        encode_duration(idle_timeout, message.idle_timeout)
    if session.permanent is not None:
        encode_filter(session.permanent, message.permanent_filter)
    encode_time(note.create_time, message.create_time)
    return message


def describe_query(host: Host, message: twin.session_service.Session, query: Query, permanent: Filter | None) -> None:
    """Writes into `message` what a session of this query would show; there is none."""
    conditions = tuple(each for each in (permanent, query.filter) if each is not None)
    result = host.hub.query(replace(query, filter=AllOf(conditions)), Window(0, 0))
    message.query.CopyFrom(encode_query(query, QueryNames(host)))
    if permanent is not None:
        encode_filter(permanent, message.permanent_filter)
    message.columns.extend(encode_columns(result.columns))
    message.total_count = result.total_count
