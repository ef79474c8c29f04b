"""Rows in any form that users have, as blocks of columns.

Forms: one dict, a list of dicts, a dict of columns (arrays or lists), a frame or Arrow table, the `Rows` of a read.
A dict whose values are all lists or arrays is columns, for a row has at least its key, which is never a list.

A block has one set of columns, and a column that is not there means something: it keeps its value in an update and
takes its default in an insert. So rows with different sets of columns are several blocks, in their order; only for
inserts, where the default can be filled in here, they stay one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np

from .batch import Block, Types
from .coerce import vector_of_array, vector_of_list
from .datatype import UNSPECIFIED
from .errors import InvalidRequest, invalid
from .frames import block_of_frame, is_array, is_frame, vector_of_arrow
from .rows import Rows
from .schema import Schema
from .vector import Vector

RowsLike: TypeAlias = Any
"""A dict, a list of dicts, a dict of columns, a frame, an Arrow table or Rows."""

Placed = tuple[int, Block]
"""A block, and which row of the given data is its first."""


def blocks_of(data: RowsLike, schema: Schema, *, fill: bool) -> list[Placed]:
    """The blocks of some rows. With `fill`, columns that a row does not mention get their default."""
    types = schema.types
    if isinstance(data, Rows):
        return _blocks_of_result(data)
    if is_frame(data):
        return [(0, block_of_frame(data, types))]
    if is_columns(data):
        return [(0, block_of_columns(data, types))]
    rows = [data] if isinstance(data, Mapping) else data
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise invalid("MALFORMED_BATCH", f"rows are dicts, columns or a frame, not {type(data).__name__}", "rows")
    rows = list(rows)
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise invalid("MALFORMED_BATCH", f"row {at} is not a dict but {type(row).__name__}", "rows")
    return _blocks_of_dicts(rows, types, schema.defaults() if fill else None)


def slices_of(data: RowsLike, schema: Schema, size: int, *, fill: bool) -> Iterator[list[Placed]]:
    """The same in pieces of at most `size` rows, made one after the other."""
    if isinstance(data, Sequence) and not isinstance(data, Rows | str | bytes):
        for start in range(0, len(data), size):
            yield blocks_of(data[start : start + size], schema, fill=fill)
        return
    for _, block in blocks_of(data, schema, fill=fill):
        for start in range(0, len(block), size):
            yield [(0, block.slice(start, start + size))]


def is_columns(data: object) -> bool:
    """Whether `data` is a dict of columns rather than a row."""
    return isinstance(data, Mapping) and bool(data) and all(map(_is_column, data.values()))


def _is_column(values: object) -> bool:
    return isinstance(values, list | tuple | np.ndarray | Vector) or is_array(values)


def block_of_columns(columns: Mapping[str, Any], types: Types) -> Block:
    """Columns as they are; no Python object is made for a number in a NumPy array."""
    vectors = {name: _vector_of(types.get(name, UNSPECIFIED), values, name) for name, values in columns.items()}
    lengths = {len(vector) for vector in vectors.values()}
    if len(lengths) > 1:
        message = "columns of different lengths: " + ", ".join(f"{name} {len(v)}" for name, v in vectors.items())
        raise invalid("ROW_COUNT_MISMATCH", message, "rows")
    return Block(lengths.pop(), vectors)


def _vector_of(type: Any, values: Any, name: str) -> Vector:
    if isinstance(values, np.ndarray):
        return vector_of_array(type, values, name)
    if isinstance(values, Vector):
        return values
    if is_array(values):
        return vector_of_arrow(type, values, name)
    return vector_of_list(type, values, name)


def _blocks_of_result(rows: Rows) -> list[Placed]:
    placed, offset = [], 0
    for block in rows.blocks:
        placed.append((offset, block))
        offset += len(block)
    return placed


def _blocks_of_dicts(rows: list[Mapping[str, Any]], types: Types, defaults: Mapping[str, Any] | None) -> list[Placed]:
    if not rows:
        return []
    first = rows[0].keys()
    if all(row.keys() == first for row in rows):
        return [(0, _block_of_like_rows(rows, tuple(first), types))]
    if defaults is not None:
        names = tuple(dict.fromkeys(name for row in rows for name in row))
        columns = {name: [row.get(name, defaults.get(name)) for row in rows] for name in names}
        return [(0, _block_of_lists(columns, len(rows), types))]
    placed: list[Placed] = []
    offset = 0
    for _, group in groupby(rows, key=frozenset):
        run = list(group)
        try:
            placed.append((offset, _block_of_like_rows(run, tuple(run[0]), types)))
        except InvalidRequest as error:
            shift_rows(error, offset)
            raise
        offset += len(run)
    return placed


def _block_of_like_rows(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...], types: Types) -> Block:
    return _block_of_lists({name: [row[name] for row in rows] for name in names}, len(rows), types)


def _block_of_lists(columns: Mapping[str, list[Any]], length: int, types: Types) -> Block:
    for name in columns:
        if not isinstance(name, str):
            raise invalid("UNKNOWN_COLUMN", f"the name of a column is a text, not {name!r}", "rows")
    vectors = {name: vector_of_list(types.get(name, UNSPECIFIED), values, name) for name, values in columns.items()}
    return Block(length, vectors)


def shift_rows(error: InvalidRequest, offset: int) -> None:
    """Makes the row errors of a part those of the whole."""
    error.row_errors = tuple(replace(problem, row=problem.row + offset) for problem in error.row_errors)


def block_of_keys(given: Any, schema: Schema) -> Block:
    """The keys of some rows: ids, tuples of a composite key, dicts, columns, a frame; other columns are left out."""
    key = schema.key
    if isinstance(given, Rows) or is_frame(given) or is_columns(given):
        blocks = blocks_of(given, schema, fill=False)
        joined = Block(0, {}) if not blocks else blocks[0][1]
        if len(blocks) > 1:
            joined = block_of_columns({name: _joined_raw(blocks, name) for name in key}, schema.types)
        return Block(len(joined), {name: joined.columns[name] for name in key if name in joined.columns})
    one = isinstance(given, Mapping | str | bytes) or not isinstance(given, Iterable)
    items = [given] if one or (isinstance(given, tuple) and len(key) > 1) else list(given)
    columns: dict[str, list[Any]] = {name: [] for name in key}
    for at, item in enumerate(items):
        for name, value in zip(key, _parts(item, key, at), strict=True):
            columns[name].append(value)
    return _block_of_lists(columns, len(items), schema.types)


def _joined_raw(blocks: list[Placed], name: str) -> list[Any]:
    return [value for _, block in blocks for value in block.columns[name].to_list()]


def _parts(item: Any, key: tuple[str, ...], at: int) -> tuple[Any, ...]:
    if isinstance(item, Mapping):
        missing = [name for name in key if name not in item]
        if missing:
            raise invalid("MISSING_KEY", f"key {at} has no {missing[0]!r}; the key is {', '.join(key)}", missing[0])
        return tuple(item[name] for name in key)
    if len(key) == 1:
        return (item,)
    if not isinstance(item, tuple | list) or len(item) != len(key):
        raise invalid("MISSING_KEY", f"key {at} is {item!r:.60}; the key is ({', '.join(key)})", "keys")
    return tuple(item)
