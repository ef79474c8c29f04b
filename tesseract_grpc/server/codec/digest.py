"""The digest of rows, by which a client sees that it holds what it must.

It is defined in docs/GUARANTEES.md and made of what every language has: SHA-256 over the rows column by column. A
reference that reads like the definition is `tesseract_grpc.testing.digest`; a test compares the two.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from itertools import repeat

import numpy as np

from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray, Vector

FORMAT = b"tesseract.digest.1\n"
_NAN = np.uint64(0x7FF8_0000_0000_0000)


def digest_of(columns: Sequence[ColumnSchema], rows: Batch) -> bytes:
    """The digest of rows in order; 32 bytes. O(cells)."""
    found = hashlib.sha256(FORMAT + struct.pack("<II", rows.length, len(columns)))
    for column in columns:
        name = column.name.encode()
        found.update(struct.pack("<I", len(name)) + name + bytes((int(column.type),)))
        vector = rows.columns[column.name]
        valid = vector.valid if vector.valid is not None else np.ones(rows.length, np.bool_)
        found.update(valid.astype(np.uint8).tobytes())
        for part in _values(vector, valid):
            found.update(part)
    return found.digest()


def _values(vector: Vector, valid: BoolArray) -> Sequence[bytes]:
    """The values of a column; null is 0, false or empty."""
    values = vector.values
    match vector.type:
        case DataType.BOOL:
            return (np.where(valid, values.astype(np.uint8), np.uint8(0)).astype(np.uint8).tobytes(),)
        case DataType.INT64 | DataType.TIMESTAMP:
            return (np.where(valid, values, 0).astype("<i8").tobytes(),)
        case DataType.FLOAT64:
            return (_doubles(np.where(valid, values, 0.0)),)
        case _:
            return _texts(vector, valid)


def _doubles(values: AnyArray) -> bytes:
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
    return np.where(np.isnan(values), _NAN, bits).astype("<u8").tobytes()


def _texts(vector: Vector, valid: BoolArray) -> Sequence[bytes]:
    """The lengths of all texts, then all texts; each distinct one is encoded once."""
    texts = vector.texts
    assert texts is not None, "a vector of texts has its texts"
    used, places = np.unique(vector.values[valid], return_inverse=True)
    encoded = [texts[code].encode() for code in used.tolist()]
    lengths = np.zeros(len(valid), "<u4")
    if len(used):
        lengths[valid] = np.fromiter(map(len, encoded), np.uint32, len(encoded))[places]
    return lengths.tobytes(), b"".join(map(list.__getitem__, repeat(encoded), places.tolist()))
