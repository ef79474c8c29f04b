"""Arrow tables, pandas and polars frames: in, and out. pyarrow is imported when one of them is met, not before.

Arrow is the bridge. Whatever speaks the Arrow C stream protocol (Arrow tables and batches, polars, DuckDB results)
comes in through it; pandas comes in through pyarrow too, where its NaN, NaT and NA all mean "missing" and become null.
Arrow has no JSON: a JSON column is its text in Arrow and in frames, and lists and structs become such texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from .batch import Block, Types
from .coerce import refused, vector_of_array, vector_of_list
from .datatype import BOOL, ENUM, FLOAT64, INT64, JSON, STRING, TIMESTAMP, UNSPECIFIED, DataType
from .errors import RowError
from .vector import Vector


def load_pyarrow() -> ModuleType:
    """pyarrow, or a message that says how to get it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError("frames and Arrow tables need pyarrow: pip install 'tesseract-grpc[arrow]'") from error
    module: ModuleType = pyarrow
    return module


def is_frame(data: object) -> bool:
    """Whether `data` is a table of some library. Asks for names only, so that nothing is imported to find out."""
    return hasattr(data, "__arrow_c_stream__") or (
        type(data).__name__ == "DataFrame" and type(data).__module__.partition(".")[0] == "pandas"
    )


def is_array(values: object) -> bool:
    """Whether `values` is a column of some library other than NumPy."""
    return hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")


def block_of_frame(frame: Any, types: Types) -> Block:
    """The rows of a frame or an Arrow table, each column as the type that the table wants, if it fits."""
    arrow = load_pyarrow()
    if type(frame).__module__.partition(".")[0] == "pandas":
        table = arrow.Table.from_pandas(frame, preserve_index=False)
    else:
        table = arrow.table(frame)
    columns = {
        name: vector_of_arrow(types.get(name, UNSPECIFIED), column, name)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return Block(table.num_rows, columns)


def vector_of_arrow(type: DataType, column: Any, name: str) -> Vector:
    """One Arrow array as a vector of the type that the table's column has."""
    arrow = load_pyarrow()
    types = arrow.types
    if not isinstance(column, arrow.Array | arrow.ChunkedArray):
        column = arrow.chunked_array(column) if hasattr(column, "__arrow_c_stream__") else arrow.array(column)
    array = column.combine_chunks() if isinstance(column, arrow.ChunkedArray) else column
    if isinstance(array, arrow.ChunkedArray):  # what combine_chunks() makes of no chunks
        array = arrow.concat_arrays(array.chunks) if array.num_chunks else arrow.array([], array.type)
    kind = array.type
    if types.is_null(kind):
        return Vector.nulls(type, len(array))
    if types.is_dictionary(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        if type in (STRING, ENUM, JSON, UNSPECIFIED):
            return _texts(type, array, arrow)
        return vector_of_list(type, array.to_pylist(), name)
    valid = None if not array.null_count else np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    if types.is_timestamp(kind) or types.is_date(kind):
        array = array.cast(arrow.timestamp("us"), safe=False)
        values = array.cast(arrow.int64()).fill_null(0).to_numpy()
        if type not in (TIMESTAMP, UNSPECIFIED):
            raise refused(type, name, [RowError(0, 0, name, "WRONG_TYPE", "a timestamp does not fit")])
        return Vector(TIMESTAMP, values, valid)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        filler = False if types.is_boolean(kind) else 0
        plain = array.fill_null(filler).to_numpy(zero_copy_only=False)
        mask = False if valid is None else ~valid
        return vector_of_array(type, np.ma.MaskedArray(plain, mask), name)
    if types.is_decimal(kind) and type in (FLOAT64, UNSPECIFIED):
        return Vector(FLOAT64, array.cast(arrow.float64()).fill_null(0).to_numpy(), valid)
    return vector_of_list(type, array.to_pylist(), name)


def _texts(type: DataType, array: Any, arrow: ModuleType) -> Vector:
    """Texts stay dictionary-coded where they are, and are coded by Arrow where they are not."""
    if not arrow.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    valid = None if not array.null_count else np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    codes = array.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint32)
    texts = array.dictionary.to_pylist()
    if not all(isinstance(text, str) for text in texts):  # a dictionary of something else, or with a null in it
        return vector_of_list(type, array.to_pylist(), "")
    return Vector(STRING if type == UNSPECIFIED else type, codes, valid, texts)


def arrow_table(blocks: Iterable[Block], types: Mapping[str, DataType]) -> Any:
    """The rows of some blocks as an Arrow table, with the columns of `types` in their order."""
    arrow = load_pyarrow()
    schema = arrow.schema([(name, _arrow_type(type, arrow)) for name, type in types.items()])
    return arrow.Table.from_batches(list(_record_batches(blocks, schema, types, arrow)), schema)


def _record_batches(blocks: Iterable[Block], schema: Any, types: Mapping[str, DataType], arrow: Any) -> Iterator[Any]:
    for block in blocks:
        arrays = [_arrow_array(block.columns[name], schema.field(name).type, arrow) for name in types]
        yield arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _arrow_type(type: DataType, arrow: Any) -> Any:
    return {
        BOOL: arrow.bool_(),
        INT64: arrow.int64(),
        FLOAT64: arrow.float64(),
        TIMESTAMP: arrow.timestamp("us", "UTC"),
    }.get(type, arrow.string())


def _arrow_array(vector: Vector, type: Any, arrow: Any) -> Any:
    mask = None if vector.valid is None else ~vector.valid
    if vector.type in (STRING, ENUM, JSON):
        codes = arrow.array(vector.values.astype(np.int32), mask=mask)
        return arrow.DictionaryArray.from_arrays(codes, arrow.array(list(vector.texts), type)).dictionary_decode()
    if vector.type == UNSPECIFIED:
        return arrow.nulls(len(vector), type)
    values = arrow.array(np.ascontiguousarray(vector.values), mask=mask)
    return values.cast(type) if vector.type == TIMESTAMP else values
