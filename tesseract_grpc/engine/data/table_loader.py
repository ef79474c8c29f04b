"""A table from rows that come in pieces, as an image of it was taken.

Pieces come in any order, and a row may come several times: the last time counts, for it was written again while the
image was taken. Rows are named by their place in the order of insertion. What is stored is taken as it is: nothing is
checked, worked out or converted, for it was all done when the rows were written.

Pieces are stored as they come, so no more than one is held beside the table. At the end the rows are brought into the
order of insertion, where they are not in it yet, and the keys are indexed, all at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import STORAGE, AnyArray, Batch, Vector

_PIECE = 1 << 16
"""Keys that are indexed at once: what is worked out on the way stays in cache."""


class TableLoader:
    """Fills an empty table. Raises ValueError where a piece is none of this table."""

    def __init__(self, table: Table) -> None:
        assert not table.high_water, "only an empty table is filled"
        self.table = table
        self._gone: list[NDArray[np.int64]] = []

    def add(self, sequence: NDArray[np.int64], row_version: NDArray[np.int64], rows: Batch) -> None:
        """Takes rows with all columns, their places in the order of insertion and their versions. O(cells)."""
        table, count = self.table, len(rows)
        if not count:
            return
        if not len(sequence) == len(row_version) == count:
            raise ValueError(f"a piece of {count} rows has {len(sequence)} places and {len(row_version)} versions")
        stored = [_stored(column, rows) for column in table.columns]
        start = int(table.allocate(count)[0])
        where = slice(start, start + count)
        for column, (values, valid) in zip(table.columns, stored, strict=True):
            column.write(where, values, valid)
        table.sequence[where] = sequence
        table.row_version[where] = row_version

    def remove(self, sequence: NDArray[np.int64]) -> None:
        """These rows are no more, if they ever come. O(1)."""
        self._gone.append(sequence)

    def finish(self, next_sequence: int) -> Table:
        """The table with all its rows; `next_sequence` is the place of the next one. O(n log n), O(n) in order."""
        table = self.table
        slots = self._kept()
        count = len(slots)
        if count < table.high_water or not np.array_equal(slots, np.arange(count)):
            for column in table.columns:
                column.values[:count] = column.values[slots]
                if column.valid is not None:
                    column.valid[:count] = column.valid[slots]
            for array in (table.sequence, table.row_version):
                array[:count] = array[slots]
        table.high_water = table.row_count = count
        table.alive[:count] = True
        table.next_sequence = next_sequence
        if count and int(table.sequence[count - 1]) >= next_sequence:
            raise ValueError(f"a row of table '{table.name}' has come after the last")
        table.keys.reserve(count)
        for start in range(0, count, _PIECE):
            piece = np.arange(start, min(start + _PIECE, count), dtype=np.int32)
            table.keys.add(table.key_words_at(piece), piece)
        return table

    def _kept(self) -> NDArray[np.intp]:
        """The slots of the rows that are there in the end, in the order of insertion."""
        sequence = self.table.sequence[: self.table.high_water]
        if bool(np.all(sequence[1:] > sequence[:-1])):
            slots = np.arange(len(sequence))
        else:
            order = np.argsort(sequence, kind="stable")  # stable: of one row the last piece stays last
            ordered = sequence[order]
            slots = order[np.append(ordered[1:] != ordered[:-1], True)]
        if self._gone:
            slots = slots[~np.isin(sequence[slots], np.concatenate(self._gone))]
        return slots


def _stored(column: Column, rows: Batch) -> Stored:
    """What a column stores of a piece, texts by their codes in its dictionary."""
    name = column.schema.name
    vector = rows.columns.get(name)
    if vector is None or len(vector) != len(rows):
        raise ValueError(f"a piece lacks the column '{name}'")
    if column.dictionary is not None:
        return _codes(column, vector), vector.valid
    if vector.values.dtype != STORAGE[column.type]:
        raise ValueError(f"column '{name}' is {column.type.name}, and a piece has {vector.type.name}")
    return vector.values, vector.valid


def _codes(column: Column, vector: Vector) -> AnyArray:
    assert column.dictionary is not None
    if vector.texts is None:
        raise ValueError(f"column '{column.schema.name}' is {column.type.name}, and a piece has {vector.type.name}")
    if not len(vector.texts):
        return np.zeros(len(vector), np.int32)
    if column.dictionary.fixed:
        codes = column.dictionary.find_many(vector.texts)
        if int(codes.min()) < 0:
            raise ValueError(f"a piece has a text that is none of column '{column.schema.name}'")
    else:
        codes = column.dictionary.encode(vector.texts)
    stored = codes[vector.values]
    if vector.valid is not None:
        stored[~vector.valid] = 0
    return stored
