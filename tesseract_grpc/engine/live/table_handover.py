"""Readers of a table go on with another one: what they were owed, then the difference of all rows, as one change.

Rows of a table have no places, so the difference is by key alone. Where rows are named by other columns nothing that a
reader has can be kept, and it begins anew. A reader that is there for this very relation, whatever it is called
(`TableWatch.follows` is false), stays with it.
"""

from __future__ import annotations

from tesseract_grpc.engine.data.delta import RemoveReason
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import project
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.changes import Changes, SessionSchema
from tesseract_grpc.engine.live.edit import View, difference, held
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.live.table_watch import TableWatch
from tesseract_grpc.engine.live.tape import Tape


class TableHandover:
    """The readers of one relation, on their way to another."""

    def __init__(self, before: Source, after: Source, line: VersionLine) -> None:
        self._before = before
        self._after = after
        self._line = line
        self._tapes: list[Tape] = []
        self._readers: list[TableWatch] = []
        self._view: View | None = None

    def depart(self) -> None:
        """Works out what readers are owed, and what they have then. O(what is owed)."""
        before = self._before
        self._tapes = list(before.wave.tapes.of(before.table))
        heads = {tape.head for tape in self._tapes}
        self._readers = [watch for watch in before.watches if watch.follows and watch not in heads]
        for watch in self._readers:
            watch.depart()
        self._view = view_of(before.table) if self._readers else None

    def arrive(self) -> None:
        """The version has been taken: readers go on with the other relation. O(rows of both), where there are any."""
        if self._view is None:
            return
        after, version = self._after, self._line.current
        view = view_of(after.table)
        schema = SessionSchema(0, tuple(after.table.schema.columns[p] for p in view.positions), replaced=True)
        change = table_difference(self._view, view, version, schema)
        for watch in self._readers:
            watch.arrive(after.table, after.watches, schema, change)
        for tape in self._tapes:
            self._hand_over(tape)

    def _hand_over(self, tape: Tape) -> None:
        """A tape goes on with the other relation, from its end."""
        head = tape.head
        assert isinstance(head, TableWatch), "a session's tape is recorded of a table"
        head.close()
        self._before.wave.tapes.remove(self._before.table, tape)
        tape.clear(TableWatch(self._after.table, self._line, self._after.watches, old_values=head.old_values))
        self._after.wave.tapes.add(self._after.table, tape)


def view_of(table: Relation) -> View:
    """All rows of a table, with the columns that its readers see."""
    return View(table, table.live_slots(), project(table.schema, ()), table.row_count)


def table_difference(before: View, after: View, version: int, schema: SessionSchema) -> Changes | None:
    """The change from the rows of one table to those of another; None when they are named by other columns."""
    everything = held(after.table, after.slots)
    return difference(before, after, everything, version, schema, RemoveReason.DELETED, placed=False)
