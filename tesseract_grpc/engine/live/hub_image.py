"""A hub as it is at one version, copied piece by piece while commits go on.

A large table cannot be copied at once without holding up everybody. So its slots are copied in slices, and whoever
takes the slices lets commits run between them: what has been copied is then of many versions. A reader of the table
knows which rows were touched meanwhile; they are copied again, in a fraction of the time, in which fewer rows are
touched, and so on, until few are left. Those last ones, of all tables, are copied in one step together with all
definitions: this is the version of the image.

A row may thus be in the image several times, and the last time counts. Rows are named by their place in the order of
insertion, which is never given twice. A row that was removed after it was copied is told as gone. Rows that came after
their table was begun are not copied with its slots: the reader tells of those that stayed, and nobody would tell of
the others that they are gone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping

import numpy as np

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.derived import DerivedTables
from tesseract_grpc.engine.live.image import (
    DerivedBegun,
    Ending,
    KeptQuery,
    KeptSession,
    KeptTable,
    Piece,
    RowsCopied,
    RowsGone,
    Sequence64,
    TableBegun,
)
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.still import Still
from tesseract_grpc.engine.live.table_watch import TableWatch

CELLS = 200_000
"""So many values are copied in one step: about a millisecond."""
SMALLEST = 64
"""So many rows are copied in one step at least, however many columns they have."""
FEW = 2_000
"""From so few touched rows on, the last step is taken."""
MOST_ROUNDS = 20
"""After so many rounds the last step is taken, however many rows are touched between two of them."""


class _Tracked(TableWatch):
    """A table that is being copied, and the reader that knows which of its rows were touched since."""

    follows = False

    def __init__(self, number: int, table: Table, line: VersionLine, registry: set[TableWatch]) -> None:
        super().__init__(table, line, registry)
        self.number = number
        self.rows = table
        self.copied = table.schema.key if table.keyed_order else table.schema.shown
        """The columns that are copied: rows that are derived need only be known."""

    def touched(self) -> tuple[Slots, Sequence64, Sequence64]:
        """The rows that were touched since the last call: where those are that are there, who they are, who is gone."""
        owed = self.owed()
        debt = owed if isinstance(owed, Debt) else Debt.of(owed, self.rows, ())
        self.advance()
        return debt.slots[debt.now], debt.sequence[debt.now], debt.sequence[debt.was & ~debt.now]


class HubImage:
    """Takes one image of a hub."""

    def __init__(
        self,
        line: VersionLine,
        tables: Mapping[str, Table],
        sources: Mapping[str, Source],
        derived: DerivedTables,
        sessions: Mapping[str, Session],
    ) -> None:
        self._line = line
        self._tables = tables
        self._sources = sources
        self._derived = derived
        self._sessions = sessions
        self._tracked: dict[Table, _Tracked] = {}
        self._begun = 0  # how many copies of tables were; of one that was altered, more than one

    def pieces(self) -> Generator[Piece | Ending, None, None]:
        """The image in steps of about a millisecond each, between which commits may run; the ending comes last.

        Close the iterator when the rest is not wanted.
        """
        try:
            for _ in range(MOST_ROUNDS):
                yield from self._new_tables()
                left = 0
                for tracked in self._open():
                    if tracked.closed is None and tracked.pending:
                        slots, sequence, gone = tracked.touched()
                        left += len(slots) + len(gone)
                        yield from self._touched(tracked, slots, sequence, gone)
                if left <= FEW and not self._unknown():
                    break
            yield self._ending()
        finally:
            for tracked in self._tracked.values():
                tracked.close()

    def stills(self, names: Iterable[str]) -> dict[str, Still]:
        """Readers of stored tables as they are now, all at the present version. Close each of them. O(slots)."""
        return {name: Still(self._tables[name], self._line, self._sources[name].watches) for name in names}

    def derived_query(self, name: str) -> KeptQuery | None:
        """What a derived table asks; None when the table is stored."""
        derived = self._derived.by_name.get(name)
        return None if derived is None else KeptQuery(derived.query, derived.resolved.query, derived.resolved.pivots)

    def _unknown(self) -> list[tuple[str, Table]]:
        """Tables that have come since the image was begun, and those whose copy is of no use, for they were altered."""
        known = {table for table, tracked in self._tracked.items() if tracked.closed is not Reason.TABLE_CHANGED}
        return [(name, table) for name, table in self._tables.items() if table not in known]

    def _open(self) -> list[_Tracked]:
        """The tables that are still there."""
        return [tracked for tracked in self._tracked.values() if tracked.closed is None]

    def _new_tables(self) -> Iterator[Piece]:
        while unknown := self._unknown():
            for name, table in unknown:
                if self._tables.get(name) is table:  # it may have gone, or have another name, since
                    yield from self._table(self._track(name, table))

    def _track(self, name: str, table: Table) -> _Tracked:
        tracked = _Tracked(self._begun, table, self._line, self._sources[name].watches)
        self._begun += 1
        self._tracked[table] = tracked
        return tracked

    def _table(self, tracked: _Tracked) -> Iterator[Piece]:
        """All rows of a table that there are now, slice by slice; some may be touched, or gone, before their turn."""
        table, newest, stop = tracked.rows, tracked.rows.next_sequence, tracked.rows.high_water
        yield DerivedBegun(tracked.number) if table.keyed_order else TableBegun(tracked.number, table.schema.compact)
        stride = _stride(tracked)
        for start in range(0, stop, stride):
            if tracked.closed is not None:
                return
            slots = slice(start, min(start + stride, stop))
            there = table.alive[slots] & (table.sequence[slots] < newest)
            if there.all():
                yield _copied(tracked, slots)
            elif there.any():
                yield _copied(tracked, (np.flatnonzero(there) + start).astype(np.int32))

    def _touched(
        self, tracked: _Tracked, slots: Slots, sequence: Sequence64, gone: Sequence64
    ) -> Iterator[RowsCopied | RowsGone]:
        """Rows that were touched; some may be touched again, or gone, before their turn."""
        table = tracked.rows
        if len(gone):
            yield RowsGone(tracked.number, gone)
        stride = _stride(tracked)
        for start in range(0, len(slots), stride):
            if tracked.closed is not None:
                return
            some = slots[start : start + stride]
            there = table.alive[some] & (table.sequence[some] == sequence[start : start + stride])
            if there.any():
                yield _copied(tracked, some[there])

    def _ending(self) -> Ending:
        pieces: list[Piece] = []
        for name, table in self._unknown():  # only when rounds have run out
            pieces.extend(self._table(self._track(name, table)))
        for tracked in self._open():
            if tracked.pending:
                pieces.extend(self._touched(tracked, *tracked.touched()))
        tables = tuple(self._kept_table(name, table) for name, table in self._tables.items())
        sessions = tuple(
            KeptSession(session.name, kept_query(session), session.permanent, session.generation)
            for session in self._sessions.values()
        )
        return Ending(self._line.current, self._line.now, tuple(pieces), tables, sessions)

    def _kept_table(self, name: str, table: Table) -> KeptTable:
        return KeptTable(
            name,
            self._tracked[table].number,
            table.create_version,
            table.update_version,
            table.next_sequence,
            tuple(index.schema for index in table.indexes.values()),
            self.derived_query(name),
            table.retention,
            table.memory_limit,
        )


def kept_query(session: Session) -> KeptQuery:
    """What a session asks."""
    return KeptQuery(session.query, session.resolved.query, session.resolved.pivots)


def _stride(tracked: _Tracked) -> int:
    return max(SMALLEST, CELLS // (len(tracked.copied) + 2))


def _copied(tracked: _Tracked, slots: Slots | slice) -> RowsCopied:
    """Copies of rows: their arrays may move, and are written to, before anybody looks at them."""
    table = tracked.rows
    columns: dict[str, Vector] = {}
    for column in (table.columns[position] for position in tracked.copied):
        found = column.read(slots)
        if isinstance(slots, slice):
            valid = None if found.valid is None else found.valid.copy()
            found = Vector(found.type, found.values.copy(), valid, found.texts)
        columns[column.schema.name] = found
    sequence, row_version = table.sequence[slots].copy(), table.row_version[slots].copy()
    return RowsCopied(tracked.number, sequence, row_version, Batch(len(sequence), columns))
