"""The rows of tables in a snapshot: pieces of an engine's image as bytes, and back.

Rows are a RowBatch with two columns more, whose names no column of a table can have. A batch of long texts is cut, so
that no piece is much larger than `PIECE_BYTES`, unless one row is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import numpy as np

from tesseract_grpc.engine.data.schema import DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.live.image import DerivedBegun, Piece, RowsCopied, RowsGone, TableBegun
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.decode import decode_batch
from tesseract_grpc.server.codec.encode import encode_batch
from tesseract_grpc.server.codec.schemas import decode_schema, encode_columns
from tesseract_grpc.server.snapshots.container import Kind, piece

PIECE_BYTES = 4_194_304
_NUMBER = struct.Struct("<I")
_INT64 = np.dtype("<i8")
_SEQUENCE, _ROW_VERSION = "__sequence", "__row_version"
_MANY = 1 << 31


def encode_piece(found: Piece) -> Iterator[bytes]:
    """A piece of an image. O(cells)."""
    match found:
        case TableBegun(number, schema):
            message = twin.schema.Table(columns=encode_columns(schema.columns))
            yield piece(Kind.TABLE, _NUMBER.pack(number) + message.SerializeToString())
        case DerivedBegun(number):
            yield piece(Kind.DERIVED, _NUMBER.pack(number))
        case RowsGone(number, sequence):
            yield piece(Kind.GONE, _NUMBER.pack(number) + sequence.astype(_INT64).tobytes())
        case RowsCopied(number, sequence, row_version, rows):
            columns = {_SEQUENCE: Vector(DataType.INT64, sequence), _ROW_VERSION: Vector(DataType.INT64, row_version)}
            yield from _rows(number, Batch(rows.length, {**rows.columns, **columns}))


def _rows(number: int, rows: Batch) -> Iterator[bytes]:
    if rows.length > 1 and _text_bytes(rows) > PIECE_BYTES:
        middle = rows.length // 2
        yield from _rows(number, rows.slice(0, middle))
        yield from _rows(number, rows.slice(middle, rows.length))
    else:
        yield piece(Kind.ROWS, _NUMBER.pack(number) + encode_batch(rows).SerializeToString())


def _text_bytes(rows: Batch) -> int:
    """About what the distinct texts of a batch take."""
    total = 0
    for vector in rows.columns.values():
        if vector.texts is not None:
            texts = vector.texts
            used = np.unique(vector.values if vector.valid is None else vector.values[vector.valid])
            total += sum(len(texts[code]) for code in used.tolist())
    return total


class PieceReader:
    """Reads the pieces of tables; each table's columns come before its rows."""

    def __init__(self) -> None:
        self._types: dict[int, Mapping[str, DataType]] = {}

    def read(self, kind: Kind, content: memoryview) -> Piece:
        """A piece of an image. Raises ValueError, DecodeError, InvalidRequest."""
        if len(content) < _NUMBER.size:
            raise ValueError("a piece of a table has no number")
        (number,) = _NUMBER.unpack_from(content)
        body = content[_NUMBER.size :]
        if kind is Kind.TABLE:
            schema = decode_schema(twin.schema.Table.FromString(bytes(body)).columns, "columns", _MANY)
            self._types[number] = _types(schema)
            return TableBegun(number, schema)
        if kind is Kind.DERIVED:
            self._types[number] = {}
            return DerivedBegun(number)
        if kind is Kind.GONE:
            return RowsGone(number, np.frombuffer(body, _INT64).astype(np.int64))
        types = self._types.get(number)
        if types is None:
            raise ValueError(f"the table {number} has not begun")
        batch = decode_batch(twin.value.RowBatch.FromString(bytes(body)), "rows", types)
        columns = dict(batch.columns)
        sequence, row_version = columns.pop(_SEQUENCE), columns.pop(_ROW_VERSION)
        return RowsCopied(number, sequence.values, row_version.values, Batch(batch.length, columns))


def _types(schema: TableSchema) -> Mapping[str, DataType]:
    return {column.name: column.type for column in schema.columns}
