"""From names in a request to what they name, with errors that say which field and which resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tesseract_grpc.engine.data.errors import AlreadyExists, NotFound, PreconditionFailed
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.source import RowSource, SessionSource, TableSource
from tesseract_grpc.server.errors import of_engine
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.names import of_session, of_table, session_in, session_name, table_in, table_name


def find_table(hosts: Hosts, text: str, field: str) -> tuple[Host, Table]:
    """The table of a resource name, and its hub. Raises Refusal."""
    name = table_name(text, field)
    host = hosts.find(name.hub, field)
    with naming(of_table(name.hub, name.id), field):
        return host, host.table(name.id)


def find_session(hosts: Hosts, text: str, field: str) -> tuple[Host, Session]:
    """The session of a resource name, and its hub. Raises Refusal."""
    name = session_name(text, field)
    host = hosts.find(name.hub, field)
    with naming(of_session(name.hub, name.id), field):
        return host, host.session(name.id)


def existing_table(host: Host, text: str, field: str) -> str:
    """The id of a table that must exist in this hub. Raises Refusal."""
    table = table_in(text, host.name, field)
    with naming(of_table(host.name, table), field):
        host.table(table)
    return table


def existing_session(host: Host, text: str, field: str) -> str:
    """The id of a session that must exist in this hub. Raises Refusal."""
    session = session_in(text, host.name, field)
    with naming(of_session(host.name, session), field):
        host.session(session)
    return session


class QueryNames:
    """The names in the queries of one hub."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def table(self, name: str, field: str) -> str:
        """The id of a table that exists."""
        return existing_table(self._host, name, field)

    def session(self, name: str, field: str) -> str:
        """The id of a session that exists."""
        return existing_session(self._host, name, field)

    def key_of(self, source: RowSource) -> str:
        """The key column of a table or session; empty where it has several, or is not known before the query is."""
        match source:
            case TableSource(name):
                columns = self._host.table(name).schema.key_columns
            case SessionSource(name):
                columns = self._host.session(name).key_columns
            case _:
                return ""
        return columns[0].name if len(columns) == 1 else ""

    def of_table(self, id: str) -> str:
        """The resource name of a table."""
        return of_table(self._host.name, id)

    def of_session(self, id: str) -> str:
        """The resource name of a session."""
        return of_session(self._host.name, id)


@contextmanager
def naming(resource: str, field: str) -> Iterator[None]:
    """Says which resource and which field of the request an error inside is about."""
    try:
        yield
    except (AlreadyExists, NotFound, PreconditionFailed) as error:
        refusal = of_engine(error)
        refusal.resource, refusal.field = resource, field
        raise refusal from None
