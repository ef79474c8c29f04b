"""The tables of a hub: how they are created, derived, renamed, indexed and dropped.

A table stands here under its name, beside its source: the relation and those who follow it. Definitions are commits
too: whatever changes here takes a version, and a check (`validate_only`) takes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tesseract_grpc.engine.data.alteration import Alteration
from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.errors import AlreadyExists, InvalidRequest, LimitExceeded, OutOfRange, Reason
from tesseract_grpc.engine.data.retention import MemoryLimit, Retention, check_memory_limit, check_retention
from tesseract_grpc.engine.data.schema import IndexSchema, TableSchema, check_name, missing_table
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.altering import Altered, Altering
from tesseract_grpc.engine.live.counters import Counters
from tesseract_grpc.engine.live.derived import DerivedTables, derive
from tesseract_grpc.engine.live.rebinding import Ended, Rebinding, Rebound
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.sessions import Sessions
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.wave import Wave
from tesseract_grpc.engine.operators.stored_columns import StoredColumns, resolve_schema
from tesseract_grpc.engine.query.query import Query


class Catalogue:
    """The tables of one hub, by name, and the sources over them."""

    def __init__(
        self,
        sources: dict[str, Source],
        sessions: Sessions,
        line: VersionLine,
        wave: Wave,
        counters: Counters,
        history: HistoryLimits,
        most_tables: int,
        most_columns: int,
    ) -> None:
        """`sources` is what queries read, and filled here; the limits are of tables, and of columns of one of them."""
        self.tables: dict[str, Table] = {}
        self.sources = sources
        self.derived = DerivedTables()
        self._sessions = sessions
        self._line = line
        self._wave = wave
        self._counters = counters
        self._history = history
        self._most_tables = most_tables
        self._most_columns = most_columns

    def set_limits(self, most_tables: int, most_columns: int) -> None:
        """Other limits hold from now on; what there is stays."""
        self._most_tables = most_tables
        self._most_columns = most_columns

    def find(self, name: str) -> Table:
        """A table. Raises NotFound."""
        table = self.tables.get(name)
        if table is None:
            raise missing_table(name)
        return table

    def source(self, table: Table) -> Source:
        """A relation that commits write, and those who will follow it."""
        return Source(table, self._counters, self._wave)

    def create(
        self,
        name: str,
        schema: TableSchema,
        indexes: Sequence[IndexSchema],
        retention: Retention | None = None,
        memory_limit: MemoryLimit | None = None,
        *,
        validate_only: bool,
    ) -> Table:
        """Creates a table. O(columns). Raises AlreadyExists, InvalidRequest, LimitExceeded."""
        self._check_new(name, len(schema.columns))
        schema = resolve_schema(schema)
        resolved = resolve_indexes(indexes, schema)
        table = Table(name, schema, self._line.current + 1, self._history)
        if any(column.expression or column.default_expression for column in schema.columns):
            table.formulas = StoredColumns(schema, table.columns, self._line)
        for index in resolved:
            table.set_index(index)
        table.set_retention(check_retention(retention, schema), check_memory_limit(memory_limit))
        if validate_only:
            return table
        self._line.advance()
        self.tables[name] = table
        self.sources[name] = self.source(table)
        return table

    def _check_new(self, name: str, columns: int) -> None:
        check_name(name, "table", "table_id")
        if name in self.tables:
            raise AlreadyExists(Reason.TABLE_EXISTS, f"a table '{name}' exists", field="table_id")
        if len(self.tables) >= self._most_tables:
            raise _limit("max_tables", self._most_tables, "tables in this hub")
        self.check_columns(columns)

    def check_columns(self, columns: int) -> None:
        """Raises LimitExceeded when a table may not have so many columns."""
        if columns > self._most_columns:
            raise _limit("max_columns", self._most_columns, "columns in a table")

    def derive(self, name: str, query: Query, *, validate_only: bool) -> Table:
        """Creates a table whose rows are those of a query, kept up to date. O(n) to evaluate the query.

        Raises AlreadyExists, NotFound, InvalidRequest, LimitExceeded, OutOfRange.
        """
        self._check_new(name, 0)
        derived = derive(self._sessions.planner(), name, query)
        self._check_new(name, len(derived.table.columns))
        if validate_only:
            return derived.table
        self._counters.rows_examined += self.derived.add(name, derived, self._line.current + 1)
        self._line.advance()
        self.tables[name] = derived.table
        self.sources[name] = derived.source
        return derived.table

    @property
    def queries(self) -> Mapping[str, Query]:
        """The queries of the derived tables, by name."""
        return self.derived.queries

    def drop(self, name: str) -> tuple[Session, ...]:
        """Drops a table and its rows; returns the sessions on it, which ended. O(sessions).

        Raises NotFound, and PreconditionFailed when derived tables read it.
        """
        self.find(name)
        self.derived.refuse_drop(name, self.sources[name])
        self._line.advance()
        return self.forget(name)

    def forget(self, name: str) -> tuple[Session, ...]:
        """A table is no more; ends the sessions and readers on it."""
        source = self.sources.pop(name)
        ended = tuple(source.sessions())
        for session in ended:
            self._sessions.end(session, Reason.TABLE_DELETED)
        for watch in tuple(source.watches):
            watch.end(Reason.TABLE_DELETED)
        del self.tables[name]
        if name in self.derived.by_name:
            self.derived.remove(name)
        return ended

    def end_failed(self) -> tuple[tuple[Session, OutOfRange], ...]:
        """Ends the nodes that could not follow a commit, and all sessions that show what they derive; says why."""
        ended: list[tuple[Session, OutOfRange]] = []
        for node, error in self._wave.failed:
            for session in node.source.sessions():
                self._sessions.end(session, error.reason)
                ended.append((session, error))
            for name in self.derived.reading(node.source):
                self.forget(name)  # it can follow no more
        self._wave.failed.clear()
        return tuple(ended)

    def rename(self, old: str, new: str) -> Table:
        """Renames a table; its sessions follow. O(sessions). Raises NotFound, AlreadyExists, InvalidRequest."""
        table = self.find(old)
        check_name(new, "table", "new_table_id")
        if new in self.tables:
            raise AlreadyExists(Reason.TABLE_EXISTS, f"a table '{new}' exists", field="new_table_id")
        self._line.advance()
        self.tables[new] = self.tables.pop(old)
        self.sources[new] = self.sources.pop(old)
        table.name = new
        self._sessions.rename_table(old, new)
        self.derived.rename(old, new)
        return table

    def swap(self, name: str, other: str, keeps: Callable[[Session], bool]) -> Rebound:
        """Exchanges the names of two tables in one version: whoever asks for a name goes on with the other table.

        `keeps` says of a session whether it is refused rather than that it ends. O(rows) for all that reads them.
        Raises NotFound, InvalidRequest, PreconditionFailed.
        """
        one, two = self.find(name), self.find(other)
        swapped = {name: self.sources[other], other: self.sources[name]}
        rebinding = self._swapping(name, other)
        rebinding.prepare(keeps)

        def install() -> None:
            self.tables[name], self.tables[other] = two, one
            self.sources.update(swapped)
            one.name, two.name = other, name

        return rebinding.apply(install)

    def _swapping(self, name: str, other: str) -> Rebinding:
        if name == other:
            raise InvalidRequest(Reason.MALFORMED_REQUEST, "a table is exchanged with another one", field="other")
        self.derived.refuse_write(name, "name")
        self.derived.refuse_write(other, "other")
        replaced = {name: self.sources[other], other: self.sources[name]}
        return Rebinding(self._sessions, self.derived, self._line, self.tables, self.sources, replaced)

    def ending_in_swap(self, name: str, other: str) -> list[Ended]:
        """The sessions that would end if two tables exchanged their names, by what they ask for. O(sessions).

        Raises NotFound, InvalidRequest.
        """
        self.find(name)
        self.find(other)
        return self._swapping(name, other).ending()

    def alter(
        self,
        name: str,
        alterations: Sequence[Alteration],
        keeps: Callable[[Session], bool],
        *,
        validate_only: bool,
        at: int,
    ) -> Altered:
        """Changes the columns, the key or the indexes of a table in one version, all of it or nothing. `keeps` says of
        a session whether it is refused rather than that it ends, `at` is the present for `now()`.

        O(rows) for each column that gets values, and for all who read such. Raises NotFound, InvalidRequest,
        BadExpression, AlterationRefused, LimitExceeded, PreconditionFailed.
        """
        self.find(name)
        self.derived.refuse_write(name, "name")
        if not alterations:
            raise InvalidRequest(Reason.MALFORMED_REQUEST, "name at least one alteration", field="alterations")
        self._line.written = max(at, self._line.now)
        altering = Altering(self._sessions, self.derived, self._line, self.tables, self.sources, name)
        return altering.run(alterations, self.check_columns, keeps, validate_only=validate_only)

    def set_indexes(self, name: str, indexes: Sequence[IndexSchema], *, validate_only: bool) -> Table:
        """Makes these the secondary indexes of a table: builds new ones, drops those not named. O(n log n) each."""
        table = self.find(name)
        wanted = {index.column: index for index in resolve_indexes(indexes, table.schema)}
        if validate_only:
            return table
        self._line.advance()
        for column in [c for c, index in table.indexes.items() if wanted.get(c) != index.schema]:
            del table.indexes[column]
        for column, index in wanted.items():
            if column not in table.indexes:
                table.set_index(index)
        return table

    def set_retention(
        self, name: str, retention: Retention | None, memory_limit: MemoryLimit | None, *, validate_only: bool
    ) -> Table:
        """Says which rows leave a table by themselves, and how much memory it may take. O(n log n).

        Takes a version. Raises NotFound, InvalidRequest.
        """
        table = self.find(name)
        if name in self.derived.by_name:
            raise InvalidRequest(
                Reason.NOT_WRITABLE,
                f"table '{name}' is derived; its rows follow from its query, and leave when those that it reads do",
                field="retention",
            )
        retention, memory_limit = check_retention(retention, table.schema), check_memory_limit(memory_limit)
        if not validate_only:
            self._line.advance()
            table.set_retention(retention, memory_limit)
        return table


def resolve_indexes(indexes: Sequence[IndexSchema], schema: TableSchema) -> list[IndexSchema]:
    """The indexes with their kinds chosen. Raises InvalidRequest when they are none of such a table."""
    resolved = [index.resolved(schema) for index in indexes]
    names = [index.column for index in resolved]
    if len(set(names)) != len(names):
        raise InvalidRequest(Reason.BAD_SCHEMA, "a column has two indexes", field="indexes")
    return resolved


def _limit(name: str, value: int, what: str) -> LimitExceeded:
    metadata = {"limit": name, "maximum": str(value)}
    return LimitExceeded(Reason.LIMIT_EXCEEDED, f"the limit of {value} {what} is reached", metadata=metadata)
