"""A hub from an image of it: the other way of `hub_image.py`.

Pieces are taken as they come. What a table is called, and whether it is still there, is known only at the end: then the
tables take their names, the derived ones are derived again in the order in which they were, and sessions are opened.
Nothing is decided anew: values that were worked out are as they were stored, what a session read from another is in
its closed query, and what a pivot was spread over is known.

History begins at the version of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tesseract_grpc.engine.data.changelog import Changelog, HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.table_loader import TableLoader
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.derived import DerivedTables, derive
from tesseract_grpc.engine.live.image import (
    DerivedBegun,
    Ending,
    KeptTable,
    Piece,
    RowsCopied,
    RowsGone,
    Sequence64,
    TableBegun,
)
from tesseract_grpc.engine.live.sessions import Sessions
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.operators.stored_columns import StoredColumns
from tesseract_grpc.engine.operators.writing import BY_SLOT

MakeSource = Callable[[Table], Source]


class Restoration:
    """Fills an empty hub. Raises ValueError where a piece does not fit what came before."""

    def __init__(
        self,
        line: VersionLine,
        tables: dict[str, Table],
        sources: dict[str, Source],
        derived: DerivedTables,
        sessions: Sessions,
        history: HistoryLimits,
        make_source: MakeSource,
    ) -> None:
        assert not line.current and not tables and not sessions.by_name, "only an empty hub is filled"
        self._line = line
        self._tables = tables
        self._sources = sources
        self._derived = derived
        self._sessions = sessions
        self._history = history
        self._make_source = make_source
        self._loaders: dict[int, TableLoader] = {}
        self._versions: dict[int, list[tuple[Batch, Sequence64]]] = {}
        """Of derived tables the keys of rows and their versions."""

    def take(self, piece: Piece) -> None:
        """Takes a piece. O(cells)."""
        match piece:
            case TableBegun(number, schema):
                self._begin(number, schema)
            case DerivedBegun(number):
                self._refuse_again(number)
                self._versions[number] = []
            case RowsCopied(number, sequence, row_version, rows):
                if number in self._versions:
                    self._versions[number].append((rows, row_version))
                else:
                    self._loader(number).add(sequence, row_version, rows)
            case RowsGone(number, sequence):
                if number not in self._versions:  # else it is not derived again
                    self._loader(number).remove(sequence)

    def _refuse_again(self, number: int) -> None:
        if number in self._loaders or number in self._versions:
            raise ValueError(f"the table {number} begins twice")

    def _begin(self, number: int, schema: TableSchema) -> None:
        self._refuse_again(number)
        table = Table(f"table {number}", schema, 0, self._history)
        if any(column.expression or column.default_expression for column in schema.columns):
            table.formulas = StoredColumns(schema, table.columns, self._line)
        self._loaders[number] = TableLoader(table)

    def _loader(self, number: int) -> TableLoader:
        loader = self._loaders.get(number)
        if loader is None:
            raise ValueError(f"the table {number} has not begun")
        return loader

    def finish(self, ending: Ending) -> None:
        """Makes the hub what it was. O(rows log rows), and what it takes to open the sessions."""
        for piece in ending.pieces:
            self.take(piece)
        self._line.current, self._line.now = ending.version, ending.now
        # A table can be derived from any that are not, and from derived ones that are older.
        for kept in sorted(ending.tables, key=lambda table: (table.query is not None, table.create_version)):
            table, source = self._stored(kept) if kept.query is None else self._derive(kept)
            table.create_version, table.update_version = kept.create_version, kept.update_version
            for index in kept.indexes:
                table.set_index(index)
            table.set_retention(kept.retention, kept.memory_limit)
            self._tables[kept.name], self._sources[kept.name] = table, source
        self._reorder([kept.name for kept in ending.tables])
        for session in ending.sessions:
            query = session.query
            self._sessions.restore(session.name, query, session.permanent, session.generation)

    def _stored(self, kept: KeptTable) -> tuple[Table, Source]:
        loader = self._loader(kept.number)
        loader.table.name = kept.name
        table = loader.finish(kept.next_sequence)
        table.changelog = Changelog(self._history, self._line.current)
        return table, self._make_source(table)

    def _derive(self, kept: KeptTable) -> tuple[Table, Source]:
        assert kept.query is not None
        derived = derive(self._sessions.planner_again(kept.query.pivots), kept.name, kept.query.closed)
        self._derived.add(kept.name, replace(derived, query=kept.query.given), self._line.current)
        table = derived.table
        reader = Transaction(table, self._line.current, BY_SLOT, CommitLimits())
        for keys, row_version in self._versions.pop(kept.number, ()):  # the last time that a row is told counts
            slots = reader.find(keys)
            table.row_version[slots[slots >= 0]] = row_version[slots >= 0]
        return table, derived.source

    def _reorder(self, names: Iterable[str]) -> None:
        """Ticks go through the tables in the order in which the hub has them."""
        for name in names:
            self._tables[name] = self._tables.pop(name)
            self._sources[name] = self._sources.pop(name)
