"""Rows between blocks and Arrow.

Texts stay what they are in a block: numbers into a list of distinct texts. So a million rows are written and read
without a million Python strings. Where others shall read the file without knowing us, they are made plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.batch import Block, Types
from ..core.datatype import BOOL, FLOAT64, INT64, JSON, STRING, TEXT_TYPES, TIMESTAMP, DataType
from ..core.frames import vector_of_arrow
from ..core.vector import Vector
from .formats import load_pyarrow


def arrow_type(type: DataType, *, coded: bool) -> Any:
    """The Arrow type of a column."""
    arrow = load_pyarrow("this format")
    plain = {
        BOOL: arrow.bool_(),
        INT64: arrow.int64(),
        FLOAT64: arrow.float64(),
        TIMESTAMP: arrow.timestamp("us", "UTC"),
    }.get(type, arrow.string())
    return arrow.dictionary(arrow.int32(), plain) if coded and type in TEXT_TYPES else plain


def arrow_schema(types: Types, names: Sequence[str], *, coded: bool) -> Any:
    """The Arrow schema of some columns."""
    arrow = load_pyarrow("this format")
    return arrow.schema([arrow.field(name, arrow_type(types[name], coded=coded)) for name in names])


def record_batch(block: Block, schema: Any) -> Any:
    """Some rows as an Arrow record batch of this schema. O(cells)."""
    arrow = load_pyarrow("this format")
    arrays = [_array(block.columns[field.name], field.type, arrow) for field in schema]
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _array(vector: Vector, type: Any, arrow: Any) -> Any:
    mask = None if vector.valid is None else ~vector.valid
    if vector.type in TEXT_TYPES:
        codes = arrow.array(vector.values.astype(np.int32, copy=False), mask=mask)
        found = arrow.DictionaryArray.from_arrays(codes, arrow.array(list(vector.texts), arrow.string()))
        return found if arrow.types.is_dictionary(type) else found.dictionary_decode()
    values = arrow.array(np.ascontiguousarray(vector.values), mask=mask)
    return values.view(type) if vector.type == TIMESTAMP else values


def block_of_batch(batch: Any, types: Types) -> Block:
    """A record batch as a block, each column as the type that it has in the table. O(cells)."""
    names = batch.schema.names
    vectors = (vector_of_arrow(types[name], batch.column(at), name) for at, name in enumerate(names))
    return Block(batch.num_rows, dict(zip(names, vectors, strict=True)))


def table_type(arrow: Any) -> DataType | None:
    """The type of a table's column that holds an Arrow type without loss where there is one; None where none does."""
    import pyarrow.types as is_a

    if is_a.is_dictionary(arrow):
        return table_type(arrow.value_type)
    tests = (
        (is_a.is_boolean, BOOL),
        (is_a.is_integer, INT64),
        (is_a.is_floating, FLOAT64),
        (is_a.is_decimal, FLOAT64),
        (is_a.is_timestamp, TIMESTAMP),
        (is_a.is_date, TIMESTAMP),
        (is_a.is_string, STRING),
        (is_a.is_large_string, STRING),
        (is_a.is_string_view, STRING),
        (is_a.is_time, STRING),
        (is_a.is_null, STRING),
        (is_a.is_nested, JSON),
    )
    return next((type for test, type in tests if test(arrow)), None)
