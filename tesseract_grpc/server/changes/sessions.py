"""Definitions of sessions: opening, editing and closing them.

Sessions with an id are kept: they are in the log, and there again after a restart. Anonymous ones are not; they pass
through the same functions without a record, so nothing that is kept may depend on them.

An edit is made of the session's present definition and what the mask names of the new one, and is then judged as a
whole, as if the session were created so. What a mask does not name stays, and the permanent filter stays in any case.
Other sessions that the query reads from are taken as they are at the edit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import check_name
from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.filter_tree import Filter
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.filters import decode_filter
from tesseract_grpc.server.codec.queries import decode_query, encode_query
from tesseract_grpc.server.codec.schemas import check_description
from tesseract_grpc.server.codec.values import encode_time
from tesseract_grpc.server.describe import describe_query, encode_session
from tesseract_grpc.server.errors import Refusal, fields_under, invalid
from tesseract_grpc.server.host import ANONYMOUS_PREFIX, Host, Note
from tesseract_grpc.server.lookup import QueryNames, naming
from tesseract_grpc.server.names import of_session, session_name
from tesseract_grpc.server.records import Moment
from tesseract_grpc.server.tracing import HYDRATE

pb = twin.session_service

_PARTS = tuple(field.name for field in twin.query.Query.DESCRIPTOR.fields)
_PATHS = ("query", "description", *(f"query.{part}" for part in _PARTS))


def create_session(
    host: Host, request: pb.CreateSessionRequest, moment: Moment, aside: object = None
) -> pb.CreateSessionResponse:
    """Opens a session with an id."""
    name = request.session_id
    check_name(name, "session", "session_id")
    if name.startswith(ANONYMOUS_PREFIX):
        raise Refusal(
            Reason.SESSION_EXISTS,
            f"ids that begin with '{ANONYMOUS_PREFIX}' are those of anonymous sessions",
            field="session_id",
            resource=of_session(host.name, name),
        )
    known = name in host.hub.sessions
    response = open_session(host, request, name, moment, aside)
    if not known:
        host.events.session_opened(host.session(name), request.request_id)
    return response


def open_session(
    host: Host, request: pb.CreateSessionRequest, name: str, moment: Moment, aside: object = None
) -> pb.CreateSessionResponse:
    """Opens a session under a name. `aside` is its hydration where that has begun."""
    definition = request.session
    check_description(definition.description, "session.description")
    query, permanent = decode_session(host, definition)
    if request.session_id:
        host.refuse_anonymous(query, "session.query")
    resource = of_session(host.name, name)
    hydration = aside if isinstance(aside, Hydration) else None
    span = host.tracing.span(HYDRATE, hub=host.name, session=name)
    begun = time.perf_counter()
    with naming(resource, "session_id"), fields_under("session"), span:
        session = host.hub.open_session(query, name, permanent=permanent, hydration=hydration)
    _measured(host, session, begun, hydration)
    host.session_notes.setdefault(name, Note(definition.description, moment.seconds))
    if host.hub.depends_on_time(name):
        host.move_clock(moment)
    host.log.debug("session.created", hub=host.name, session=name)
    return pb.CreateSessionResponse(session=encode_session(host, session), version=host.hub.version)


def _measured(host: Host, session: Session, begun: float, hydration: Hydration | None) -> None:
    """Tells those who debug how long it took to evaluate a session. Nothing that is kept follows from that."""
    if host.debug.recorder is not None and not host.replaying:
        aside = 0.0 if hydration is None else hydration.seconds
        host.debug.hydrated(session, aside + time.perf_counter() - begun)


def check_session(host: Host, request: pb.CreateSessionRequest, name: str, moment: Moment) -> pb.CreateSessionResponse:
    """The session that would be opened; nothing is."""
    check_description(request.session.description, "session.description")
    query, permanent = decode_session(host, request.session)
    if request.session_id:
        host.refuse_anonymous(query, "session.query")
    with naming(of_session(host.name, name), "session_id"), fields_under("session"), host.hub.at(moment.time_us):
        session = host.hub.open_session(query, name, permanent=permanent, validate_only=True)
        if name in host.hub.sessions:
            return pb.CreateSessionResponse(session=encode_session(host, session))
        message = pb.Session(name=of_session(host.name, name), anonymous=not request.session_id, generation=1)
        message.description = request.session.description
        encode_time(moment.seconds, message.create_time)
        describe_query(host, message, query, permanent)
    return pb.CreateSessionResponse(session=message)


def decode_session(host: Host, definition: pb.Session) -> tuple[Query, Filter | None]:
    """The query and the permanent filter of a definition."""
    query = decode_query(definition.query, QueryNames(host), host.query_limits, "session.query")
    if not definition.HasField("permanent_filter"):
        return query, None
    return query, decode_filter(definition.permanent_filter, host.filter_limits, "session.permanent_filter")


def update_session(
    host: Host, request: pb.UpdateSessionRequest, moment: Moment, aside: object = None
) -> pb.UpdateSessionResponse:
    """Gives a session another definition, in place; with validate_only tells what would be."""
    id, paths = session_name(request.session.name, "session.name").id, checked_paths(request.update_mask.paths)
    with naming(of_session(host.name, id), "session.name"):
        session = host.session(id)
    check_description(request.session.description, "session.description")
    query = merged_query(host, session, request.session.query, paths)
    edited = query != session.query
    if edited and host.lifetimes.idle_timeout(id) is None:
        host.refuse_anonymous(query, "session.query")
    if request.validate_only:
        with host.hub.at(moment.time_us):
            return _checked_edit(host, request, session, query, paths)
    if edited:
        hydration = aside if isinstance(aside, Hydration) else None
        begun = time.perf_counter()
        with fields_under("session"):
            host.hub.edit_session(id, query, hydration=hydration)
        _measured(host, session, begun, hydration)
        if host.hub.depends_on_time(id):
            host.move_clock(moment)
        host.edited(session)
        host.log.debug("session.edited", hub=host.name, session=id, generation=session.generation)
    if "description" in paths:
        host.session_notes.setdefault(id, Note("", moment.seconds)).description = request.session.description
    if edited or "description" in paths:
        host.events.session_edited(session, request.request_id)
    return pb.UpdateSessionResponse(session=encode_session(host, session), version=host.hub.version)


def _checked_edit(
    host: Host, request: pb.UpdateSessionRequest, session: Session, query: Query, paths: Sequence[str]
) -> pb.UpdateSessionResponse:
    """The session as it would be."""
    message = encode_session(host, session)
    if query != session.query:
        with fields_under("session"):
            host.hub.edit_session(session.name, query, validate_only=True)
        del message.columns[:]
        message.query.Clear()
        describe_query(host, message, query, session.permanent)
        message.generation += 1
    if "description" in paths:
        message.description = request.session.description
    return pb.UpdateSessionResponse(session=message)


def merged_query(host: Host, session: Session, given: twin.query.Query, paths: Sequence[str]) -> Query:
    """The query of a session after an edit."""
    names = QueryNames(host)
    parts = _PARTS if "query" in paths else [path.removeprefix("query.") for path in paths if path != "description"]
    if not parts:
        return session.query
    message: Any = encode_query(session.query, names)
    # Rows come from a table or from a source: naming one of them takes the place of the other.
    for part in {*parts, *({"table", "source"} if {"table", "source"} & set(parts) else ())}:
        message.ClearField(part)
    wanted: Any = twin.query.Query()
    wanted.CopyFrom(given)
    for part in set(_PARTS) - set(parts):
        wanted.ClearField(part)
    message.MergeFrom(wanted)
    return decode_query(message, names, host.query_limits, "session.query")


def checked_paths(paths: Sequence[str]) -> list[str]:
    """The paths of a mask. Refuses what cannot be edited."""
    if not paths:
        raise invalid("update_mask is empty; name what to change, for example query.filter", "update_mask")
    for path in paths:
        if path == "permanent_filter":
            raise invalid("the permanent filter of a session cannot be edited", "update_mask", Reason.NOT_WRITABLE)
        if path not in _PATHS:
            raise invalid(f"'{path[:140]}' cannot be changed; {', '.join(_PATHS)} can", "update_mask")
    return list(paths)


def delete_session(
    host: Host, request: pb.DeleteSessionRequest, moment: Moment, aside: object = None
) -> pb.DeleteSessionResponse:
    """Closes a session; its watches end."""
    id = session_name(request.name, "name").id
    if request.allow_missing and id not in host.hub.sessions:
        return pb.DeleteSessionResponse()
    with naming(of_session(host.name, id), "name"):
        host.close_session(id)
    return pb.DeleteSessionResponse()
