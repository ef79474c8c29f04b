"""Rows out of the wire's columns, in the plainest way: one dict a row, None for null."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import value_pb2

Row = dict[str, Any]
Key = tuple[Any, ...]


def values_of(column: value_pb2.ColumnData, count: int) -> list[Any]:
    """The `count` values of one column. Timestamps stay microseconds, JSON stays text."""
    case = column.WhichOneof("values")
    if case is None:
        return [None] * count
    values: Sequence[Any]
    if case == "dictionary":
        texts = column.dictionary.dictionary
        codes = column.dictionary.codes
        values = [texts[code] if _present(column.validity, at) else None for at, code in enumerate(codes)]
    else:
        values = list(getattr(column, case).values)
    if len(values) != count:
        raise ValueError(f"column {column.name!r} has {len(values)} values in a batch of {count} rows")
    return [value if _present(column.validity, at) else None for at, value in enumerate(values)]


def rows_of(batch: value_pb2.RowBatch) -> list[Row]:
    """The rows of a batch. A column that the batch does not have is not in the dicts either."""
    columns = {column.name: values_of(column, batch.row_count) for column in batch.columns}
    return [{name: values[at] for name, values in columns.items()} for at in range(batch.row_count)]


def key_of(row: Row, names: Iterable[str]) -> Key:
    """The key of a row, ready to be looked up: values of different types never meet as equals, and NaN is itself."""
    return tuple(("NaN",) if row[name] != row[name] else (type(row[name]).__name__, row[name]) for name in names)


def _present(validity: bytes, at: int) -> bool:
    return not validity or bool(validity[at // 8] >> (at % 8) & 1)
