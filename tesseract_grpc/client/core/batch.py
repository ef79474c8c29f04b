"""Rows as columns on the wire: `RowBatch` from vectors, and vectors from `RowBatch`.

A `Block` is the decoded form: some rows as named vectors of one length. Dicts are made from it only when somebody asks
for dicts, so a reader who wants Arrow or arrays never pays for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tesseract_grpc._proto.tesseract.v1 import value_pb2

from .datatype import BOOL, FLOAT64, INT64, STRING, TEXT_TYPES, TIMESTAMP, UNSPECIFIED, DataType
from .errors import invalid
from .twin import TwinBatch
from .vector import Array, Mask, Vector

NAN = "NaN"
"""What stands for NaN where keys are compared."""

DICTIONARY_FROM = 32
"""From this many rows on, texts travel as a dictionary; below, one by one."""

Types = Mapping[str, DataType]

_CASES: dict[DataType, str] = {BOOL: "bools", INT64: "int64s", FLOAT64: "float64s", TIMESTAMP: "timestamps"}
_TYPE_OF_CASE: dict[str, DataType] = {case: type for type, case in _CASES.items()}
_WIRE: dict[str, np.dtype[Any]] = {
    "bools": np.dtype(np.bool_),
    "int64s": np.dtype("<i8"),
    "float64s": np.dtype("<f8"),
    "timestamps": np.dtype("<i8"),
}


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows, column by column."""

    length: int
    columns: Mapping[str, Vector]

    def __len__(self) -> int:
        return self.length

    def slice(self, start: int, stop: int) -> Block:
        """The rows from `start` up to `stop`, without a copy."""
        stop = min(stop, self.length)
        return Block(max(stop - start, 0), {name: vector.slice(start, stop) for name, vector in self.columns.items()})

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict a row, with values for people."""
        names = tuple(self.columns)
        if not names:
            return [{} for _ in range(self.length)]
        values = [vector.to_list() for vector in self.columns.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]

    def to_raw_dicts(self) -> list[dict[str, Any]]:
        """One dict a row, with values as the wire has them."""
        names, raw = tuple(self.columns), [vector.raw() for vector in self.columns.values()]
        if not names:
            return [{} for _ in range(self.length)]
        return [dict(zip(names, row, strict=True)) for row in zip(*raw, strict=True)]

    def keys(self, names: tuple[str, ...]) -> list[Any]:
        """What names each row in a lookup: the raw key value, or a tuple of them."""
        values = [_lookup_values(self.columns[name]) for name in names]
        return values[0] if len(values) == 1 else list(zip(*values, strict=True))


def _lookup_values(vector: Vector) -> list[Any]:
    """The raw values, where NaN, which may name a group, equals itself."""
    values = vector.raw()
    if vector.type != FLOAT64:
        return values
    return [NAN if value != value else value for value in values]


def encode(block: Block) -> value_pb2.RowBatch:
    """The wire form of some rows."""
    twin = TwinBatch(row_count=block.length)
    for name, vector in block.columns.items():
        if len(vector) != block.length:
            message = f"column {name!r} has {len(vector)} values in a batch of {block.length} rows"
            raise invalid("ROW_COUNT_MISMATCH", message, name)
        try:
            _encode_column(twin.columns.add(name=name), vector)
        except UnicodeEncodeError as error:
            raise invalid("WRONG_TYPE", f"column {name!r} has a text that is not Unicode: {error}", name) from None
    return value_pb2.RowBatch.FromString(twin.SerializeToString())


def _encode_column(column: Any, vector: Vector) -> None:
    if vector.valid is not None and not vector.valid.all():
        column.validity = np.packbits(vector.valid, bitorder="little").tobytes()
        if vector.type == UNSPECIFIED or not vector.valid.any():
            return
    if vector.type not in TEXT_TYPES:
        case = _CASES[vector.type]
        getattr(column, case).values = vector.values.astype(_WIRE[case], copy=False).tobytes()
    elif len(vector) < DICTIONARY_FROM:
        column.strings.SetInParent()
        column.strings.values.extend(["" if text is None else text for text in vector.raw()])
    else:
        codes, texts = _compact(vector)
        column.dictionary.SetInParent()
        column.dictionary.dictionary.extend(texts)
        column.dictionary.codes = codes.astype("<u4", copy=False).tobytes()


def _compact(vector: Vector) -> tuple[Array, list[str]]:
    """Codes and the texts that they use, with 0 where a row is null; a slice of a large column does not carry the
    dictionary of the whole."""
    if vector.valid is None and len(vector.texts) <= len(vector):
        return vector.values, list(vector.texts)
    valid = slice(None) if vector.valid is None else vector.valid
    used, compacted = np.unique(vector.values[valid], return_inverse=True)
    codes = np.zeros(len(vector), np.uint32)
    codes[valid] = compacted
    return codes, [vector.texts[code] for code in used.tolist()]


def decode(batch: value_pb2.RowBatch, types: Types) -> Block:
    """The rows of a batch. `types` tells texts from JSON; a column that it does not know is read as what it holds."""
    count = batch.row_count
    return Block(
        count, {column.name: _decode_column(column, count, types.get(column.name)) for column in batch.columns}
    )


def _decode_column(column: value_pb2.ColumnData, count: int, type: DataType | None) -> Vector:
    case = column.WhichOneof("values")
    if case is None:
        return Vector.nulls(UNSPECIFIED if type is None else type, count)
    held = "strings" if case == "dictionary" else case
    if type is not None and type != UNSPECIFIED and _CASES.get(type, "strings") != held:
        raise ValueError(f"column {column.name!r} is of another type than {case}")
    valid = _decode_validity(column.validity, count)
    if case == "dictionary":
        codes = np.array(column.dictionary.codes, dtype=np.uint32)
        named = codes if valid is None or len(valid) != len(codes) else codes[valid]  # those of nulls say nothing
        if len(named) and named.max() >= len(column.dictionary.dictionary):
            raise ValueError(f"column {column.name!r} has a code outside its dictionary")
        vector = Vector(type or STRING, codes, valid, list(column.dictionary.dictionary))
    elif case == "strings":
        texts = list(column.strings.values)
        vector = Vector(type or STRING, np.arange(len(texts), dtype=np.uint32), valid, texts)
    else:
        values = np.array(getattr(column, case).values, dtype=_WIRE[case])
        vector = Vector(_TYPE_OF_CASE[case], values, valid)
    if len(vector) != count:
        raise ValueError(f"column {column.name!r} has {len(vector)} values in a batch of {count} rows")
    return vector


def _decode_validity(bitmap: bytes, count: int) -> Mask | None:
    if not bitmap:
        return None
    if len(bitmap) != (count + 7) // 8:
        raise ValueError(f"a bitmap of {len(bitmap)} bytes for {count} rows")
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count, bitorder="little")
    return bits.view(np.bool_)
