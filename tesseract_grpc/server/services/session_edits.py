"""SessionService: editing live sessions.

An edit is made of the session's present definition and what the mask names of the new one, and is then judged as a
whole, as if the session were created so. What a mask does not name stays, and the permanent filter stays in any case.
Other sessions that the query reads from are taken as they are at the edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.queries import decode_query, encode_query
from tesseract_grpc.server.codec.schemas import check_description
from tesseract_grpc.server.errors import fields_under, invalid
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.names import of_session, session_name
from tesseract_grpc.server.services.lookup import QueryNames, naming
from tesseract_grpc.server.services.sessions import describe, encode_session, hydrate_aside

pb = twin.session_service

_PARTS = tuple(field.name for field in twin.query.Query.DESCRIPTOR.fields)
_PATHS = ("query", "description", *(f"query.{part}" for part in _PARTS))


class SessionEdits:
    """Edits of sessions."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def update_session(self, request: pb.UpdateSessionRequest, call: Call) -> pb.UpdateSessionResponse:
        """Gives a session another definition, in place."""
        name = session_name(request.session.name, "session.name")
        host = self._hosts.find(name.hub, "session.name")
        hydration = await self._hydrate(host, name.id, request)
        try:
            return host.memory.once(
                request, lambda: self._update(host, name.id, request, hydration), dry=request.validate_only
            )
        finally:
            if hydration is not None:
                hydration.release()

    async def _hydrate(self, host: Host, id: str, request: pb.UpdateSessionRequest) -> Hydration | None:
        """Sorts a large new result aside. The session may be edited meanwhile; then this was in vain."""
        if request.validate_only or id not in host.hub.sessions:
            return None
        session = host.session(id)
        query = self._merged(host, session, request.session.query, _checked(request.update_mask.paths))
        if query == session.query:
            return None
        host.freshen()
        return await hydrate_aside(host, query, session.permanent)

    def _update(
        self, host: Host, id: str, request: pb.UpdateSessionRequest, hydration: Hydration | None
    ) -> pb.UpdateSessionResponse:
        paths = _checked(request.update_mask.paths)
        with naming(of_session(host.name, id), "session.name"):
            session = host.session(id)
        check_description(request.session.description, "session.description")
        query = self._merged(host, session, request.session.query, paths)
        edited = query != session.query
        if edited:
            host.freshen()
            with fields_under("session"):
                host.hub.edit_session(id, query, validate_only=request.validate_only, hydration=hydration)
        note = host.session_notes.setdefault(id, host.note())
        if request.validate_only:
            message = encode_session(host, session)
            if edited:
                del message.columns[:]
                message.query.Clear()
                describe(host, message, query, session.permanent)
                message.generation += 1
            if "description" in paths:
                message.description = request.session.description
            return pb.UpdateSessionResponse(session=message)
        if "description" in paths:
            note.description = request.session.description
        if edited:
            host.edited(session)
            logger().debug("session.edited", hub=host.name, session=id, generation=session.generation)
        return pb.UpdateSessionResponse(session=encode_session(host, session), version=host.hub.version)

    def _merged(self, host: Host, session: Session, given: twin.query.Query, paths: Sequence[str]) -> Query:
        """The query after the edit."""
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


def _checked(paths: Sequence[str]) -> list[str]:
    """The paths of a mask. Refuses what cannot be edited."""
    if not paths:
        raise invalid("update_mask is empty; name what to change, for example query.filter", "update_mask")
    for path in paths:
        if path == "permanent_filter":
            raise invalid("the permanent filter of a session cannot be edited", "update_mask", Reason.NOT_WRITABLE)
        if path not in _PATHS:
            raise invalid(f"'{path[:140]}' cannot be changed; {', '.join(_PATHS)} can", "update_mask")
    return list(paths)
