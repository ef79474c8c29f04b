"""SessionService: creating, finding and deleting sessions."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import check_name
from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.filter_tree import AllOf, Filter
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.filters import decode_filter, encode_filter
from tesseract_grpc.server.codec.queries import decode_query, encode_query
from tesseract_grpc.server.codec.schemas import check_description, encode_columns
from tesseract_grpc.server.codec.values import decode_duration, encode_duration, encode_time
from tesseract_grpc.server.errors import Refusal, fields_under, invalid, limit_exceeded
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.names import hub_id, of_session, session_name
from tesseract_grpc.server.paging import page
from tesseract_grpc.server.services.lookup import QueryNames, find_session, naming
from tesseract_grpc.server.tokens import Role

pb = twin.session_service

_ANONYMOUS_PREFIX = "anonymous-"


class Sessions:
    """The definitions of sessions."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create_session(self, request: pb.CreateSessionRequest, call: Call) -> pb.CreateSessionResponse:
        """Creates a session, named or anonymous."""
        if request.session_id:
            call.require(Role.WRITE)
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        hydration = await self._hydrate(host, request)
        try:
            return host.memory.once(request, lambda: self._create(host, request, hydration), dry=request.validate_only)
        finally:
            if hydration is not None:
                hydration.release()

    async def _hydrate(self, host: Host, request: pb.CreateSessionRequest) -> Hydration | None:
        """Sorts the rows of a large new session in a worker thread, so that commits and other calls go on meanwhile.

        Whether the session may be created is judged afterwards; what is wrong with the query is said here already.
        """
        if request.validate_only or request.session_id in host.hub.sessions:
            return None
        host.freshen()
        query, permanent = _decode(host, request.session)
        return await hydrate_aside(host, query, permanent)

    def _create(
        self, host: Host, request: pb.CreateSessionRequest, hydration: Hydration | None
    ) -> pb.CreateSessionResponse:
        definition = request.session
        idle_timeout = self._idle_timeout(request)
        check_description(definition.description, "session.description")
        query, permanent = _decode(host, definition)
        name = request.session_id or _ANONYMOUS_PREFIX + secrets.token_hex(8)
        check_name(name, "session", "session_id")
        note = host.note(definition.description)
        if request.validate_only:
            return self._checked(host, request, name, query, permanent)
        resource = of_session(host.name, name)
        if request.session_id and host.lifetimes.idle_timeout(name) is not None:
            raise Refusal(
                Reason.SESSION_EXISTS, f"'{name}' is an anonymous session", field="session_id", resource=resource
            )
        with naming(resource, "session_id"), fields_under("session"):
            session = host.hub.open_session(query, name, permanent=permanent, hydration=hydration)
        host.session_notes.setdefault(name, note)
        if not request.session_id:
            host.lifetimes.begin(name, idle_timeout)
        logger().debug("session.created", hub=host.name, session=name)
        return pb.CreateSessionResponse(session=encode_session(host, session), version=host.hub.version)

    def _checked(
        self, host: Host, request: pb.CreateSessionRequest, name: str, query: Query, permanent: Filter | None
    ) -> pb.CreateSessionResponse:
        """The session that would be created; nothing is."""
        with naming(of_session(host.name, name), "session_id"), fields_under("session"):
            session = host.hub.open_session(query, name, permanent=permanent, validate_only=True)
        if name in host.hub.sessions:
            return pb.CreateSessionResponse(session=encode_session(host, session))
        message = pb.Session(name=of_session(host.name, name), anonymous=not request.session_id, generation=1)
        message.description = request.session.description
        encode_time(host.clock(), message.create_time)
        describe(host, message, query, permanent)
        return pb.CreateSessionResponse(session=message)

    def _idle_timeout(self, request: pb.CreateSessionRequest) -> float:
        most = self._hosts.config.idle_timeout
        if not request.session.HasField("idle_timeout"):
            return most
        field = "session.idle_timeout"
        if request.session_id:
            raise invalid("a session with an id lives until it is deleted; idle_timeout is for anonymous ones", field)
        asked = decode_duration(request.session.idle_timeout, field)
        if asked > most:
            raise limit_exceeded("idle_timeout", round(most), f"idle_timeout is {asked:g} s", field=field)
        if asked <= 0:
            raise invalid("idle_timeout must be more than 0", field)
        return asked

    async def get_session(self, request: pb.GetSessionRequest, call: Call) -> pb.GetSessionResponse:
        """Returns one session."""
        host, session = find_session(self._hosts, request.name, "name")
        return pb.GetSessionResponse(session=encode_session(host, session))

    async def list_sessions(self, request: pb.ListSessionsRequest, call: Call) -> pb.ListSessionsResponse:
        """Returns a page of sessions."""
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        ids, token = page(host.hub.sessions, request.page_size, request.page_token)
        return pb.ListSessionsResponse(
            sessions=[encode_session(host, host.session(each)) for each in ids], next_page_token=token
        )

    async def delete_session(self, request: pb.DeleteSessionRequest, call: Call) -> pb.DeleteSessionResponse:
        """Deletes a session."""
        name = session_name(request.name, "name")
        host = self._hosts.find(name.hub, "name")
        if host.lifetimes.idle_timeout(name.id) is None:
            call.require(Role.WRITE)
        if request.allow_missing and name.id not in host.hub.sessions:
            return pb.DeleteSessionResponse()
        with naming(of_session(name.hub, name.id), "name"):
            host.close_session(name.id)
        return pb.DeleteSessionResponse()


async def hydrate_aside(host: Host, query: Query, permanent: Filter | None) -> Hydration | None:
    """Sorts the rows of a large session in a worker thread; None where there is little to sort. To be released."""
    with fields_under("session"):
        hydration = host.hub.begin_session(query, permanent=permanent)
    if hydration is not None:
        try:
            await asyncio.to_thread(hydration.sorting.run)
        except BaseException:
            hydration.release()
            raise
    return hydration


def _decode(host: Host, definition: pb.Session) -> tuple[Query, Filter | None]:
    """The query and the permanent filter of a definition."""
    query = decode_query(definition.query, QueryNames(host), host.query_limits, "session.query")
    if not definition.HasField("permanent_filter"):
        return query, None
    return query, decode_filter(definition.permanent_filter, host.filter_limits, "session.permanent_filter")


def describe(host: Host, message: pb.Session, query: Query, permanent: Filter | None) -> None:
    """Writes into `message` what a session of this query would show; there is none."""
    conditions = tuple(each for each in (permanent, query.filter) if each is not None)
    result = host.hub.query(replace(query, filter=AllOf(conditions)), Window(0, 0))
    message.query.CopyFrom(encode_query(query, QueryNames(host)))
    if permanent is not None:
        encode_filter(permanent, message.permanent_filter)
    message.columns.extend(encode_columns(result.columns))
    message.total_count = result.total_count


def encode_session(host: Host, session: Session) -> pb.Session:
    """A session as a message."""
    note = host.session_notes.setdefault(session.name, host.note())
    idle_timeout = host.lifetimes.idle_timeout(session.name)
    message = pb.Session(
        name=of_session(host.name, session.name),
        query=encode_query(session.query, QueryNames(host)),
        anonymous=idle_timeout is not None,
        columns=encode_columns(session.columns),
        generation=session.generation,
        total_count=session.total_count,
        watcher_count=host.audience.of(session),
        description=note.description,
    )
    if idle_timeout is not None:
        encode_duration(idle_timeout, message.idle_timeout)
    if session.permanent is not None:
        encode_filter(session.permanent, message.permanent_filter)
    encode_time(note.create_time, message.create_time)
    return message
