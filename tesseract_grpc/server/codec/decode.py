"""Rows on their way in: RowBatch messages as engine batches.

The arrays of the result are views of the message's bytes, without a copy. What is checked here is the form of the
batch: lengths, bitmaps, dictionary codes, names given twice. Whether the columns exist and can hold the values is
the engine's business.

A packed field arrives as bytes. The protobuf specification lets a writer split it into pieces, leave it unpacked, or
write a truth value in more than one byte. No known library does, but a correct message must not be misread, so when
the bytes are not the array that they should be, the generated class reads the column again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from numpy.typing import NDArray

from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import STORAGE, Batch, Vector
from tesseract_grpc.server.codec import twin

_INT64 = np.dtype("<i8")
_FLOAT64 = np.dtype("<f8")
_CODE = np.dtype("<u4")
_BYTE = np.dtype("u1")

_NUMBERS: Mapping[str, tuple[DataType, np.dtype[Any], type[Any]]] = {
    "bools": (DataType.BOOL, _BYTE, value_pb2.BoolValues),
    "int64s": (DataType.INT64, _INT64, value_pb2.Int64Values),
    "float64s": (DataType.FLOAT64, _FLOAT64, value_pb2.Float64Values),
    "timestamps": (DataType.TIMESTAMP, _INT64, value_pb2.TimestampValues),
}


def decode_batch(message: twin.value.RowBatch, field: str, types: Mapping[str, DataType] | None = None) -> Batch:
    """The batch that a message holds. `types` gives the type of columns that are sent without values (all null).

    Raises InvalidRequest with MALFORMED_BATCH or DUPLICATE_COLUMN. O(cells).
    """
    count = message.row_count
    columns: dict[str, Vector] = {}
    for index, column in enumerate(message.columns):
        where = f"{field}.columns[{index}]"
        name = column.name
        if name in columns:
            raise InvalidRequest(Reason.DUPLICATE_COLUMN, f"column '{name[:140]}' is in the batch twice", field=where)
        columns[name] = _decode_vector(column, count, where, types or {})
    return Batch(count, columns)


def _decode_vector(message: twin.value.ColumnData, count: int, where: str, types: Mapping[str, DataType]) -> Vector:
    kind = message.WhichOneof("values")
    valid = _validity(message.validity, count, message.name, where)
    if kind is None:
        return _all_null(message, count, valid, where, types)
    if kind == "strings":
        return _inline(message, count, valid, where)
    if kind == "dictionary":
        return _dictionary(message, count, valid, where)
    data_type, dtype, typed = _NUMBERS[kind]
    values = _packed(getattr(message, kind), "values", dtype, count, typed, message.name, f"{where}.{kind}")
    return Vector(data_type, values.view(np.bool_) if data_type is DataType.BOOL else values, valid)


def _validity(bitmap: bytes, count: int, name: str, where: str) -> NDArray[np.bool_] | None:
    if not bitmap:
        return None
    wanted = (count + 7) // 8
    if len(bitmap) != wanted:
        raise _malformed(
            f"column '{name[:140]}': the validity bitmap has {len(bitmap)} bytes, {count} rows need {wanted}",
            f"{where}.validity",
        )
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count, bitorder="little")
    valid = bits.view(np.bool_)
    return None if valid.all() else valid


def _all_null(
    message: twin.value.ColumnData,
    count: int,
    valid: NDArray[np.bool_] | None,
    where: str,
    types: Mapping[str, DataType],
) -> Vector:
    if valid is not None and valid.any():
        raise _malformed(
            f"column '{message.name[:140]}' has no values, and its validity says that some are not null", where
        )
    data_type = types.get(message.name, DataType.STRING)
    texts: list[str] | None = [] if data_type.is_text else None
    return Vector(data_type, np.zeros(count, STORAGE[data_type]), np.zeros(count, np.bool_), texts)


def _inline(message: twin.value.ColumnData, count: int, valid: NDArray[np.bool_] | None, where: str) -> Vector:
    texts = list(message.strings.values)
    if len(texts) != count:
        raise _ragged(message.name, len(texts), count, f"{where}.strings")
    known: dict[str, int] = {}
    if valid is None:
        codes = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
    else:
        # The text of a null row has no meaning and must not enter any dictionary.
        pairs = zip(texts, valid.tolist(), strict=True)
        codes = np.array([known.setdefault(text, len(known)) if present else 0 for text, present in pairs], np.int32)
    return Vector(DataType.STRING, codes, valid, list(known))


def _dictionary(message: twin.value.ColumnData, count: int, valid: NDArray[np.bool_] | None, where: str) -> Vector:
    name = message.name
    texts = list(message.dictionary.dictionary)
    where = f"{where}.dictionary"
    codes = _packed(message.dictionary, "codes", _CODE, count, value_pb2.DictionaryValues, name, where)
    if valid is not None:
        codes = np.where(valid, codes, np.uint32(0))
    present = codes if valid is None else codes[valid]
    if len(present) and int(present.max()) >= len(texts):
        row = int(np.flatnonzero(codes >= len(texts))[0])
        raise _malformed(
            f"column '{name[:140]}', row {row}: code {int(codes[row])} is outside the dictionary of {len(texts)} texts",
            f"{where}.codes",
        )
    return Vector(DataType.STRING, codes.astype(np.int32), valid, texts)


def _packed(
    message: Any, field: str, dtype: np.dtype[Any], count: int, typed: type[Any], name: str, where: str
) -> NDArray[Any]:
    """The array in a packed field. O(1) where the bytes are the array, as every known writer sends them."""
    chunks = getattr(message, field)
    raw: bytes = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    values = np.frombuffer(raw, dtype) if len(raw) == count * dtype.itemsize else None
    if values is not None and (dtype is not _BYTE or not count or int(values.max()) <= 1):
        return values
    if raw and len(UnknownFieldSet(message)):
        raise _malformed(f"column '{name[:140]}' mixes packed and unpacked values", where)
    try:
        items = getattr(typed.FromString(message.SerializeToString()), field)
    except DecodeError:
        raise _malformed(
            f"column '{name[:140]}' has {len(raw)} bytes, {count} rows need another number", where
        ) from None
    if len(items) != count:
        raise _ragged(name, len(items), count, where)
    return np.array(items, dtype)


def _ragged(name: str, found: int, count: int, where: str) -> InvalidRequest:
    return _malformed(f"column '{name[:140]}' has {found} values, row_count is {count}", where)


def _malformed(message: str, where: str) -> InvalidRequest:
    return InvalidRequest(Reason.MALFORMED_BATCH, message, field=where)
