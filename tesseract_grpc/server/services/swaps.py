"""TableService: exchanging the names of two tables."""

from __future__ import annotations

from tesseract_grpc.engine.live.rebinding import refuse_ends
from tesseract_grpc.server.call import Call
from tesseract_grpc.server.changes.swaps import named
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.names import table_name

pb = twin.table_service


class Swaps:
    """Exchanges of tables."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def swap_tables(self, request: pb.SwapTablesRequest, call: Call) -> pb.SwapTablesResponse:
        """Exchanges the names of two tables."""
        host = self._hosts.find(table_name(request.name, "name").hub, "name")
        if request.keep_sessions and host.memory.recall(request) is None:
            _refuse_ends(host, request)
        response: pb.SwapTablesResponse = await host.journal.propose(request)
        return response


def _refuse_ends(host: Host, request: pb.SwapTablesRequest) -> None:
    """Raises PreconditionFailed when a session would end, also an anonymous one, of which the log knows nothing."""
    refuse_ends(host.hub.ending_in_swap(*named(host, request)))
