"""SessionService: editing live sessions."""

from __future__ import annotations

from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes import sessions as changes
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.names import session_name
from tesseract_grpc.server.services.sessions import hydrate_aside

pb = twin.session_service


class SessionEdits:
    """Edits of sessions."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def update_session(self, request: pb.UpdateSessionRequest, call: Call) -> pb.UpdateSessionResponse:
        """Gives a session another definition, in place."""
        name = session_name(request.session.name, "session.name")
        host = self._hosts.find(name.hub, "session.name")
        if request.validate_only:
            return changes.update_session(host, request, host.journal.moment())
        anonymous = host.lifetimes.idle_timeout(name.id) is not None
        memory = host.local_memory if anonymous else host.memory
        known: pb.UpdateSessionResponse | None = memory.recall(request)
        if known is not None:
            return known
        hydration = await self._hydrate(host, name.id, request)
        try:
            response: pb.UpdateSessionResponse
            if anonymous:
                response = await self._edit_anonymous(host, request, hydration)
            else:
                response = await host.journal.propose(request, aside=hydration, moves_clock=True)
            return response
        finally:
            if hydration is not None:
                hydration.release()

    async def _edit_anonymous(
        self, host: Host, request: pb.UpdateSessionRequest, hydration: Hydration | None
    ) -> pb.UpdateSessionResponse:
        """Edits a session of this process; its version is one of the log all the same."""
        was_timely = host.hub.timely

        def edit() -> pb.UpdateSessionResponse:
            moment = host.journal.moment()
            return host.local_memory.once(request, lambda: changes.update_session(host, request, moment, hydration))

        response: pb.UpdateSessionResponse = await host.journal.apart(edit)
        if not was_timely and host.hub.timely:
            await host.tick()
        return response

    async def _hydrate(self, host: Host, id: str, request: pb.UpdateSessionRequest) -> Hydration | None:
        """Sorts a large new result aside. The session may be edited meanwhile; then this was in vain."""
        if id not in host.hub.sessions:
            return None
        session = host.session(id)
        paths = changes.checked_paths(request.update_mask.paths)
        query = changes.merged_query(host, session, request.session.query, paths)
        if query == session.query:
            return None
        return await hydrate_aside(host, query, session.permanent)
