"""From the types of a file to the columns of a table.

A file read with pyarrow has Arrow types; a table has seven types. Everything that fits without loss goes to the
obvious one. Times without a zone are taken as UTC. Decimals become float64, nested values become JSON, and a column
that is null throughout becomes a string. Binary columns have no home and are refused by name.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tesseract_grpc.cli.cell import as_json
from tesseract_grpc.cli.columns import Column
from tesseract_grpc.cli.errors import BadArgument, CommandFailed
from tesseract_grpc.client.backup.arrow_rows import table_type as type_of_arrow
from tesseract_grpc.client.core.datatype import name_of_type

TYPES = ("bool", "int64", "float64", "timestamp", "string", "json")


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of a file and the type that it gets in the table."""

    name: str
    file_type: str
    type: str


def infer_columns(schema: Any, overrides: dict[str, str]) -> list[FileColumn]:
    """The columns of an Arrow schema with their table types; `overrides` names types by column."""
    unknown = set(overrides) - set(schema.names)
    if unknown:
        raise BadArgument(
            f'the file has no column "{min(unknown)}"',
            reason="UNKNOWN_COLUMN",
            field="--type",
            hint=f"its columns are {', '.join(schema.names)}",
        )
    columns = []
    for field in schema:
        chosen = overrides.get(field.name) or table_type(field.type)
        if chosen is None:
            raise CommandFailed(
                f'column "{field.name}" is {field.type}, which no column type can hold',
                reason="WRONG_TYPE",
                hint=f"leave it out with --exclude {field.name}, or convert the file",
            )
        columns.append(FileColumn(field.name, str(field.type), chosen))
    return columns


def table_type(arrow: Any) -> str | None:
    """The name of the table type that holds an Arrow type; None when there is none."""
    found = type_of_arrow(arrow)
    return None if found is None else name_of_type(found)


def convert(batch: Any, columns: list[Column]) -> Any:
    """The columns of a batch, cast to what the table holds. Raises CommandFailed naming the column that cannot be."""
    import pyarrow as pa

    arrays = []
    for column in columns:
        array = batch.column(column.name)
        try:
            arrays.append(_cast(array, column.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise CommandFailed(
                f'column "{column.name}" does not fit {column.type}: {error}',
                reason="WRONG_TYPE",
                hint=f"load it as text with --type {column.name}=string",
            ) from error
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _cast(array: Any, name: str) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(array.type) and not pa.types.is_string(array.type.value_type):
        array = array.dictionary_decode()
    if name == "json" or (name == "string" and pa.types.is_nested(array.type)):
        if pa.types.is_string(array.type):
            return array
        return pa.array([_document(value) for value in array.to_pylist()], pa.string())
    if name in {"string", "enum"}:
        return array.cast(pa.string())
    if name == "timestamp":
        return _timestamp(array)
    target = {"bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64()}[name]
    return array.cast(target, safe=name != "float64")


def _timestamp(array: Any) -> Any:
    """Times as microseconds in UTC. Finer parts are refused, not cut off, unless they are zero."""
    import pyarrow as pa

    if pa.types.is_integer(array.type):
        raise pa.ArrowInvalid("whole numbers do not say whether they are seconds or milliseconds")
    if pa.types.is_timestamp(array.type) and array.type.tz is not None:
        return array.cast(pa.timestamp("us", "UTC"))
    if pa.types.is_string(array.type):
        with suppress(pa.ArrowInvalid):  # Texts with a zone; the ones without are read below.
            return array.cast(pa.timestamp("us", "UTC"))
    return array.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))


def _document(value: Any) -> str | None:
    return None if value is None else json.dumps(as_json(value), ensure_ascii=False, default=str)
