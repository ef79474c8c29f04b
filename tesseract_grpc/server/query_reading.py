"""What the answer of a query follows from, as it was, so that it can be compared with what there is.

An answer follows from

* the tables that the query names, and their rows: the same table must stand under the same name, with the same columns,
  and no commit may have touched it (`update_version`);
* the sessions that it reads from: the same sessions, not edited since, and the tables that these name;
* the hub's clock, where the rows depend on time.

Which tables are read is told by their names, not by the steps of a plan: one that is named and not needed counts, too.
Tables and sessions are known by weak references, so that nothing here keeps the rows of a table that was deleted.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.reads import tables_read
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.lookup import QueryNames


class RecordedNames(QueryNames):
    """The names in the queries of a hub, and which of them were used."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.tables: set[str] = set()
        self.sessions: set[str] = set()

    def table(self, name: str, field: str) -> str:
        """The id of a table that exists."""
        found = super().table(name, field)
        self.tables.add(found)
        return found

    def session(self, name: str, field: str) -> str:
        """The id of a session that exists."""
        found = super().session(name, field)
        self.sessions.add(found)
        return found


@dataclass(frozen=True, slots=True)
class _TableRead:
    """A table as it was."""

    name: str
    table: weakref.ref[Table]
    schema: TableSchema
    version: int


@dataclass(frozen=True, slots=True)
class _SessionRead:
    """The definition of a session as it was."""

    name: str
    session: weakref.ref[Session]
    generation: int


class Reading:
    """What a query has read, as it was when it was evaluated."""

    __slots__ = ("_clock", "_sessions", "_tables")

    def __init__(self, host: Host, names: RecordedNames) -> None:
        """As things are now: call it in the step in which the query is evaluated. O(tables and sessions named)."""
        hub = host.hub
        sessions = [hub.sessions[name] for name in names.sessions]
        tables = names.tables.union(*(tables_read(session.resolved.query) for session in sessions))
        self._tables = tuple(_table_read(name, hub.tables[name]) for name in tables)
        self._sessions = tuple(_SessionRead(each.name, weakref.ref(each), each.generation) for each in sessions)
        self._clock: int | None = hub.now

    def ageless(self) -> Reading:
        """The same for a query whose answer does not depend on time."""
        self._clock = None
        return self

    def holds(self, host: Host) -> bool:
        """Whether everything is still so. O(tables and sessions read)."""
        hub = host.hub
        for read in self._tables:
            table = hub.tables.get(read.name)
            if table is None or table is not read.table():
                return False
            if table.update_version != read.version or table.schema is not read.schema:
                return False
        for seen in self._sessions:
            session = hub.sessions.get(seen.name)
            if session is None or session is not seen.session() or session.generation != seen.generation:
                return False
        # Without anything that lives by it the clock stands, and a question is asked of its own moment.
        return self._clock is None or (hub.timely and hub.now == self._clock)


def _table_read(name: str, table: Table) -> _TableRead:
    return _TableRead(name, weakref.ref(table), table.schema, table.update_version)
