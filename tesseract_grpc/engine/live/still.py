"""The rows that a table had at one version, read piece by piece while commits go on.

What is remembered at that version is which slots held a row, and in which order they came. A piece is read from the
columns as they are now, and where a row has been written since, its old values are put in: history has them, as
before-images. Nobody must forget them before they are read. So whenever a piece is read, and whenever history is about
to be forgotten, what was written since the last time is looked through, and the rows among it that are still to be
read are kept as they were. What is kept is thus never more than the rows that were written behind the reader's back,
and is let go when they are read. The commit path does nothing for it.

Rows that came later stand in slots that were free, or that history has forgotten: their place in the order of
insertion tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import NO_SLOTS, Slots
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray, Vector
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.live.conflation import Debt
from tesseract_grpc.engine.live.table_watch import TableWatch

_SMALLEST = 256


class _KeptColumn:
    """The old values of one column, in the order in which they were kept."""

    def __init__(self, column: Column) -> None:
        self.values: AnyArray = np.zeros(0, column.values.dtype)
        self.valid: BoolArray | None = None
        self.texts: Sequence[str] | None = None
        self._codes: dict[str, int] | None = None  # once the column's own dictionary is another than the kept one

    def add(self, start: int, found: Vector) -> None:
        """Keeps values from `start` on."""
        stop = start + len(found)
        if stop > len(self.values):
            capacity = max(_SMALLEST, stop, len(self.values) * 2)
            self.values = np.resize(self.values, capacity)
            if self.valid is not None:
                self.valid = np.resize(self.valid, capacity)
        self.values[start:stop] = self._coded(found)
        if found.valid is not None and self.valid is None:
            self.valid = np.ones(len(self.values), np.bool_)
        if self.valid is not None:
            self.valid[start:stop] = True if found.valid is None else found.valid

    def _coded(self, found: Vector) -> AnyArray:
        """The values; codes of another dictionary than the kept one are given new numbers."""
        if found.texts is None or found.texts is self.texts:
            return found.values
        if self.texts is None:
            self.texts = found.texts
            return found.values
        if self._codes is None:
            self.texts = list(self.texts)
            self._codes = {text: code for code, text in enumerate(self.texts)}
        present = np.ones(len(found), np.bool_) if found.valid is None else found.valid
        used, places = np.unique(found.values[present], return_inverse=True)
        known, texts = self._codes, found.texts
        codes = np.array([known.setdefault(texts[code], len(known)) for code in used.tolist()], np.int32)
        self.texts = list(known)
        coded = np.zeros(len(found), np.int32)
        if len(used):
            coded[present] = codes[places]
        return coded

    def into(self, vector: Vector, rows: AnyArray, at: AnyArray) -> Vector:
        """The vector with the kept values `at` in the place of those of its `rows`; its arrays are written to."""
        texts, values, codes = vector.texts, vector.values, self.values[at]
        if texts is not None and self.texts is not None and texts is not self.texts:
            # Two dictionaries: what both need of their texts, one after the other.
            ours, codes = np.unique(codes, return_inverse=True)
            theirs, values = np.unique(values, return_inverse=True)
            kept = self.texts
            texts = [texts[code] for code in theirs.tolist()] + [kept[code] for code in ours.tolist()]
            values, codes = values.astype(np.int32), codes.astype(np.int32) + len(theirs)
        values[rows] = codes
        valid = vector.valid
        if self.valid is not None or valid is not None:
            valid = np.ones(len(vector), np.bool_) if valid is None else valid
            valid[rows] = True if self.valid is None else self.valid[at]
        return Vector(vector.type, values, valid, texts)

    @property
    def nbytes(self) -> int:
        """Its memory."""
        return self.values.nbytes + (0 if self.valid is None else self.valid.nbytes)


class _KeptRows:
    """Rows as they were, by slot."""

    def __init__(self, columns: Sequence[Column], slots: int) -> None:
        self._columns = tuple(columns)
        self._size = slots
        self._clear()

    def _clear(self) -> None:
        self._kept = [_KeptColumn(column) for column in self._columns]
        self._where: NDArray[np.int32] | None = None
        self._count = self._wanted = 0

    def add(self, slots: Slots, rows: Batch) -> None:
        """Keeps rows, all of them but those that are kept already. O(cells) amortised."""
        if self._where is None:
            self._where = np.full(self._size, -1, np.int32)
        new = np.flatnonzero(self._where[slots] < 0)
        if not len(new):
            return
        taken = rows.take(new)
        for kept, vector in zip(self._kept, taken.columns.values(), strict=True):
            kept.add(self._count, vector)
        self._where[slots[new]] = np.arange(self._count, self._count + len(new), dtype=np.int32)
        self._count += len(new)
        self._wanted += len(new)

    def into(self, slots: Slots, vectors: list[Vector]) -> list[Vector]:
        """Columns of the rows at `slots`, with the old values of those that are kept, which are then let go."""
        if self._where is None:
            return vectors
        at = self._where[slots]
        rows = np.flatnonzero(at >= 0)
        if not len(rows):
            return vectors
        found = [kept.into(vector, rows, at[rows]) for kept, vector in zip(self._kept, vectors, strict=True)]
        self._where[slots[rows]] = -1
        self._wanted -= len(rows)
        if not self._wanted:
            self._clear()
        return found

    @property
    def nbytes(self) -> int:
        """Their memory."""
        return sum(kept.nbytes for kept in self._kept) + (0 if self._where is None else self._where.nbytes)


class Still(TableWatch):
    """Reads the rows of a table as they are when this is made, in the order in which they came."""

    follows = False

    def __init__(self, table: Table, line: VersionLine, registry: set[TableWatch]) -> None:
        """O(slots), at the speed of copying: a byte for each, or nine where slots are not in the order of insertion."""
        super().__init__(table, line, registry, old_values=True)
        self.version = line.current
        self.row_count = table.row_count
        self.shown = tuple(table.schema.columns[position] for position in self._positions)
        """The columns of the rows."""
        self._columns = tuple(table.columns[position] for position in self._positions)
        slots = table.high_water
        self._waiting: BoolArray = table.alive[:slots].copy()
        self._sequence = None if table.in_order else table.sequence[:slots].copy()
        self._newest = table.next_sequence
        self._order = NO_SLOTS
        self._at = 0
        self._kept = _KeptRows(self._columns, slots)

    def arrange(self) -> None:
        """Puts the rows in order; once, before the first is read. It touches nothing of the table, so that it may be
        called in another thread. O(rows log rows)."""
        slots = np.flatnonzero(self._waiting).astype(np.int32)
        if self._sequence is not None:
            slots = slots[np.argsort(self._sequence[slots], kind="stable")]
            self._sequence = None
        self._order = slots

    @property
    def left(self) -> int:
        """How many rows are still to be read."""
        return self.row_count - self._at

    @property
    def kept_bytes(self) -> int:
        """The memory of old rows."""
        return self._kept.nbytes

    def read(self, most: int) -> Batch:
        """The next rows, at most so many; an empty batch at the end. O(cells), and O(rows written since).

        Not to be called when it was ended for another reason than that the table was deleted.
        """
        self.keep()
        slots = self._order[self._at : self._at + most]
        self._at += len(slots)
        self._waiting[slots] = False
        vectors = self._kept.into(slots, [column.read(slots) for column in self._columns])
        names = (column.name for column in self.shown)
        return Batch(len(slots), dict(zip(names, vectors, strict=True)))

    def keep(self) -> None:
        """Keeps the old values of rows that were written since the last time and are still to be read. O(written)."""
        if self.closed is not None or not self.pending:
            return
        owed = self.owed()
        debt = owed if isinstance(owed, Debt) else Debt.of(owed, self.table, self._image)
        self.advance()
        rows = np.flatnonzero(debt.was & (debt.sequence < self._newest))
        rows = rows[self._waiting[debt.slots[rows]]]
        if len(rows):
            self._kept.add(debt.slots[rows], debt.image.take(rows))

    def end(self, reason: Reason) -> None:
        """The table is no more: nobody writes it from now on, and its rows can still be read. Or it has other columns,
        and they cannot."""
        if reason is Reason.TABLE_DELETED:
            self.keep()
        super().end(reason)
