"""SessionService: telling how sessions and queries are evaluated."""

from __future__ import annotations

from tesseract_grpc.server.call import Call
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.plans import encode_plan
from tesseract_grpc.server.codec.queries import decode_query
from tesseract_grpc.server.errors import invalid
from tesseract_grpc.server.host import Hosts
from tesseract_grpc.server.lookup import QueryNames, find_session
from tesseract_grpc.server.names import hub_id

pb = twin.session_service


class Plans:
    """Plans of sessions and queries."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def explain_session(self, request: pb.ExplainSessionRequest, call: Call) -> pb.ExplainSessionResponse:
        """Returns the plan of a session, or that which a query would have."""
        if request.name and request.HasField("query"):
            raise invalid("the request names a session and a query; give one", "query")
        if request.HasField("query"):
            host = self._hosts.find(hub_id(request.parent, "parent"), "parent")
            query = decode_query(request.query, QueryNames(host), host.query_limits)
            with host.hub.at(host.now_us()):
                plan = host.hub.explain(query)
        else:
            host, session = find_session(self._hosts, request.name, "name")
            plan = host.hub.explain(session.name)
        return pb.ExplainSessionResponse(text=plan.text(), plan=encode_plan(plan), version=host.hub.version)
