"""The commit of a single row, without arrays.

NumPy costs about a microsecond a call, and the batch path makes some sixty; a commit that updates or deletes one row
of the plain kind takes this path instead, in Python values. Whatever is out of the ordinary (new rows, new texts,
conversions, conditions, nulls where none belong, bad input) returns NOT_PLAIN with nothing changed, and the batch
path decides. Both paths give the same rows, history and deltas; a differential test proves it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tesseract_grpc.engine.data.commit import Write, WriteCounts, WriteKind
from tesseract_grpc.engine.data.delta import ChangeKind, RowChange, column_bit
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import Vector


class NotPlain:
    """The answer to a write that the batch path must decide."""


NOT_PLAIN: Final = NotPlain()


def write_row(table: Table, write: Write, version: int) -> tuple[RowChange | None, WriteCounts] | NotPlain:
    """Applies a write of one row; None for the change when no value changed. O(columns of the row)."""
    rows = write.rows
    if rows is None or rows.length != 1 or write.condition is not None or write.filter is not None:
        return NOT_PLAIN
    if table.formulas is not None:
        return NOT_PLAIN
    if write.kind not in (WriteKind.UPDATE, WriteKind.UPSERT, WriteKind.DELETE):
        return NOT_PLAIN
    values: dict[int, Scalar] = {}
    known = table.schema.positions
    for name, vector in rows.columns.items():
        position = known.get(name)
        if position is None or len(vector.values) != 1:
            return NOT_PLAIN
        value = _stored(table, position, vector)
        if isinstance(value, NotPlain):
            return NOT_PLAIN
        values[position] = value
    words: list[int] = []
    for position in table.schema.key:
        value = values.pop(position, None)
        if value is None:
            return NOT_PLAIN
        words.append(int(value))
    slot = table.keys.find_one(words)
    if slot < 0:
        return NOT_PLAIN
    if write.kind is WriteKind.DELETE:
        return NOT_PLAIN if values else (_erase(table, slot, words, version), WriteCounts(deleted=1))
    return _update(table, slot, values, version), WriteCounts(updated=1)


def _stored(table: Table, position: int, vector: Vector) -> Scalar | NotPlain:
    column = table.columns[position]
    if vector.valid is not None and not vector.valid[0]:
        return None if column.schema.nullable else NOT_PLAIN
    if vector.type is not column.type:
        return NOT_PLAIN
    value: Scalar = vector.values.item(0)
    if column.dictionary is not None:
        assert vector.texts is not None and isinstance(value, int)
        code = column.dictionary.codes.get(vector.texts[value])
        return NOT_PLAIN if code is None else code
    if column.type is DataType.FLOAT64:
        assert isinstance(value, float)
        return math.nan if value != value else value + 0.0
    return value


def _erase(table: Table, slot: int, words: list[int], version: int) -> RowChange:
    table.keys.remove_one(words, slot)
    table.alive[slot] = False
    table.row_count -= 1
    table.retire(version, np.array([slot], np.int32))
    change = RowChange(version, ChangeKind.REMOVED, slot)
    change.words = {}
    return change


def _update(table: Table, slot: int, values: dict[int, Scalar], version: int) -> RowChange | None:
    before: dict[int, Scalar] = {}
    mask = 0
    for position, value in values.items():
        column = table.columns[position]
        old = column.stored(slot)
        if old == value or (old != old and value != value):  # NaN equals NaN
            continue
        before[position] = old
        mask |= column_bit(position)
        column.write_stored(slot, value)
    if not mask:
        return None
    table.row_version[slot] = version
    for index in table.indexes.values():
        if index.position in before:
            index.note_one(slot)
    if table.expiry is not None:
        table.expiry.note_one(before, slot)
    change = RowChange(version, ChangeKind.UPDATED, slot, mask, before)
    change.words = {}
    return change
