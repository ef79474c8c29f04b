"""Rows on their way out: engine batches as RowBatch messages.

Numbers are written as the bytes of their arrays. Texts are written one a row in batches of at most
`INLINE_TEXT_ROWS` rows, and each distinct text once in larger ones. A batch may share the dictionary of a whole table;
what is written holds only the texts that the batch uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.server.codec import twin

INLINE_TEXT_ROWS = 32
"""Up to this many rows texts are written one a row: for so few, a dictionary costs more than it saves."""

_INT64 = np.dtype("<i8")
_FLOAT64 = np.dtype("<f8")
_CODE = np.dtype("<u4")


def encode_batch(batch: Batch) -> twin.value.RowBatch:
    """The batch as a message. O(cells)."""
    message = twin.value.RowBatch(row_count=batch.length)
    for name, vector in batch.columns.items():
        encode_vector(vector, name, message.columns.add())
    return message


def encode_vector(vector: Vector, name: str, message: twin.value.ColumnData) -> None:
    """Writes one column into `message`. O(n)."""
    message.name = name
    valid = vector.valid
    if valid is not None and not valid.all():
        message.validity = np.packbits(valid, bitorder="little").tobytes()
    else:
        valid = None
    match vector.type:
        case DataType.BOOL:
            _put(message.bools, vector.values.astype(np.bool_, copy=False))
        case DataType.INT64:
            _put(message.int64s, vector.values.astype(_INT64, copy=False))
        case DataType.FLOAT64:
            _put(message.float64s, vector.values.astype(_FLOAT64, copy=False))
        case DataType.TIMESTAMP:
            _put(message.timestamps, vector.values.astype(_INT64, copy=False))
        case DataType.STRING | DataType.JSON | DataType.ENUM:
            _put_texts(message, vector, valid)


def _put(message: Any, values: NDArray[Any]) -> None:
    # Touching `values` selects the case of the oneof even when there is nothing to write.
    message.SetInParent()
    if len(values):
        message.values.append(values.tobytes())


def _put_texts(message: twin.value.ColumnData, vector: Vector, valid: NDArray[np.bool_] | None) -> None:
    texts = vector.texts
    assert texts is not None, "a vector of texts has its texts"
    codes = vector.values
    if len(codes) <= INLINE_TEXT_ROWS:
        message.strings.SetInParent()
        if valid is None:
            message.strings.values.extend([texts[code] for code in codes.tolist()])
        else:
            pairs = zip(codes.tolist(), valid.tolist(), strict=True)
            message.strings.values.extend([texts[code] if present else "" for code, present in pairs])
        return
    used, compact = _compact(codes, valid, len(texts))
    message.dictionary.dictionary.extend([texts[code] for code in used])
    twin_codes: Any = message.dictionary.codes  # bytes in the twin
    twin_codes.append(compact.astype(_CODE, copy=False).tobytes())


def _compact(codes: NDArray[Any], valid: NDArray[np.bool_] | None, size: int) -> tuple[Sequence[int], NDArray[Any]]:
    """The distinct codes in use by rising code, and each row's index among them (0 for null rows)."""
    present = codes if valid is None else codes[valid]
    if size <= 4 * len(codes) + 1_024:
        # A small dictionary: mark what is used. Cheaper than sorting the rows.
        marks = np.zeros(max(size, 1), np.bool_)
        marks[present] = True
        places = np.cumsum(marks, dtype=np.uint32) - np.uint32(1)
        used = np.flatnonzero(marks).tolist()
        compact = places[present]
    else:
        distinct, compact = np.unique(present, return_inverse=True)
        used = distinct.tolist()
    if valid is None:
        return used, compact
    scattered = np.zeros(len(codes), np.uint32)
    scattered[valid] = compact
    return used, scattered
