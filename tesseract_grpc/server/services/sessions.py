"""SessionService: creating, finding and deleting sessions."""

from __future__ import annotations

import asyncio
import secrets
import time

from tesseract_grpc.engine.data.schema import check_name
from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.engine.query.filter_tree import Filter
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes import sessions as changes
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_duration
from tesseract_grpc.server.describe import encode_session
from tesseract_grpc.server.errors import fields_under, invalid, limit_exceeded
from tesseract_grpc.server.host import ANONYMOUS_PREFIX, Host, Hosts
from tesseract_grpc.server.lookup import find_session
from tesseract_grpc.server.names import hub_id, session_name
from tesseract_grpc.server.paging import page
from tesseract_grpc.server.tokens import Role
from tesseract_grpc.server.tracing import SORT

pb = twin.session_service


class Sessions:
    """The definitions of sessions."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def create_session(self, request: pb.CreateSessionRequest, call: Call) -> pb.CreateSessionResponse:
        """Creates a session, named or anonymous."""
        if request.session_id:
            call.require(Role.WRITE)
        host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
        idle_timeout = self._idle_timeout(request)
        if request.validate_only:
            name = request.session_id or ANONYMOUS_PREFIX + secrets.token_hex(8)
            return changes.check_session(host, request, name, host.journal.moment())
        memory = host.memory if request.session_id else host.local_memory
        known: pb.CreateSessionResponse | None = memory.recall(request)
        if known is not None:
            return known
        hydration = await self._hydrate(host, request)
        try:
            self._room_for(host, request.session_id)
            if not request.session_id:
                return await self._create_anonymous(host, request, idle_timeout, hydration)
            response: pb.CreateSessionResponse = await host.journal.propose(request, aside=hydration, moves_clock=True)
            return response
        finally:
            if hydration is not None:
                hydration.release()

    async def _create_anonymous(
        self, host: Host, request: pb.CreateSessionRequest, idle_timeout: float, hydration: Hydration | None
    ) -> pb.CreateSessionResponse:
        """A session of this process, which no log keeps."""
        name = ANONYMOUS_PREFIX + secrets.token_hex(8)

        def create() -> pb.CreateSessionResponse:
            response = changes.open_session(host, request, name, host.journal.moment(), hydration)
            host.lifetimes.begin(name, idle_timeout)
            host.events.session_opened(host.session(name), request.request_id)
            response.session.CopyFrom(encode_session(host, host.session(name)))
            return response

        was_timely = host.hub.timely
        response = host.local_memory.once(request, create)
        if not was_timely and host.hub.timely:
            await host.tick()  # nothing depended on time before, so the clock may be far behind
            if name in host.hub.sessions:
                response.session.CopyFrom(encode_session(host, host.session(name)))
                response.version = host.hub.version
        return response

    def _room_for(self, host: Host, name: str) -> None:
        """Raises Refusal when the hub has as many sessions as it takes."""
        if name:
            check_name(name, "session", "session_id")
        most = self._hosts.config.max_sessions
        if name not in host.hub.sessions and len(host.hub.sessions) >= most:
            raise limit_exceeded(
                "max_sessions", most, f"the hub has {len(host.hub.sessions)} sessions", field="session"
            )

    async def _hydrate(self, host: Host, request: pb.CreateSessionRequest) -> Hydration | None:
        """Sorts the rows of a large new session in a worker thread, so that commits and other calls go on meanwhile.

        Whether the session may be created is judged afterwards; what is wrong with the query is said here already.
        """
        if request.session_id in host.hub.sessions:
            return None
        query, permanent = changes.decode_session(host, request.session)
        return await hydrate_aside(host, query, permanent)

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
        return pb.GetSessionResponse(session=encode_session(host, session, with_watchers=True))

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
        if host.lifetimes.idle_timeout(name.id) is not None:
            return changes.delete_session(host, request, host.journal.moment())
        call.require(Role.WRITE)
        response: pb.DeleteSessionResponse = await host.journal.propose(request)
        return response


async def hydrate_aside(host: Host, query: Query, permanent: Filter | None) -> Hydration | None:
    """Sorts the rows of a large session in a worker thread; None where there is little to sort. To be released."""
    begun = time.perf_counter()
    with fields_under("session"):
        hydration = host.hub.begin_session(query, permanent=permanent)
    if hydration is not None:
        try:
            with host.tracing.span(SORT, hub=host.name):
                await asyncio.to_thread(hydration.sorting.run)
            hydration.seconds = time.perf_counter() - begun
        except BaseException:
            hydration.release()
            raise
    return hydration
