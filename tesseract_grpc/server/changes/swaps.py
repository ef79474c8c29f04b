"""Two tables exchange their names.

Which sessions end follows from the definitions of tables and sessions alone, and it is refused for the sake of those
that have an id only: anonymous ones are known to one process, and what is refused must be refused by every replay. So
the service looks for anonymous ones before it proposes the change.
"""

from __future__ import annotations

from collections.abc import Callable

from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.describe import encode_ended, encode_table
from tesseract_grpc.server.host import ANONYMOUS_PREFIX, Host
from tesseract_grpc.server.lookup import naming
from tesseract_grpc.server.names import of_table, table_in, table_name
from tesseract_grpc.server.records import Moment

pb = twin.table_service


def swap_tables(
    host: Host, request: pb.SwapTablesRequest, moment: Moment, aside: object = None
) -> pb.SwapTablesResponse:
    """Exchanges the names of two tables."""
    name, other = named(host, request)
    rebound = host.hub.swap_tables(name, other, keeps_named(request.keep_sessions))
    notes = host.table_notes
    mine, theirs = notes.pop(name, None), notes.pop(other, None)
    notes.update({key: note for key, note in ((name, theirs), (other, mine)) if note is not None})
    host.rebound(rebound, f"tables '{name}' and '{other}' were exchanged")
    host.events.tables_swapped(name, other, request.request_id)
    host.log.info("table.swapped", hub=host.name, table=name, other=other, ended=len(rebound.ended))
    sessions, count = encode_ended(host, rebound.ended)
    return pb.SwapTablesResponse(
        table=encode_table(host, host.table(name)),
        version=rebound.version,
        ended_sessions=sessions,
        ended_session_count=count,
    )


def named(host: Host, request: pb.SwapTablesRequest) -> tuple[str, str]:
    """The ids of both tables. Raises Refusal."""
    name, other = table_name(request.name, "name").id, table_in(request.other, host.name, "other")
    for id, field in ((name, "name"), (other, "other")):
        with naming(of_table(host.name, id), field):
            host.table(id)
    return name, other


def keeps_named(wanted: bool) -> Callable[[Session], bool]:
    """For which sessions a change is refused that would end them: those with an id, where that is `wanted`."""
    return lambda session: wanted and not session.name.startswith(ANONYMOUS_PREFIX)
