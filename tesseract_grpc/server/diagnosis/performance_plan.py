"""What is measured on a copy of a table: which rows are written, which columns are filtered, sorted and grouped by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.operators.column_profile import ColumnProfile, profile_column

MADE_UP = 1_000
"""So many rows are made up where a table has none."""
GROUPS = 1_000
"""A column of at most so many different values is grouped by."""
LOOKED_AT = 64
"""So many different values are asked for."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a table: what its columns are, its indexes, and its rows without what is computed."""

    columns: tuple[ColumnSchema, ...]
    indexes: tuple[IndexSchema, ...]
    rows: Batch
    made_up: bool

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(column.name for column in self.columns if column.primary_key)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the copy. A name is empty where the table has no column for it."""

    filtered: str
    values: tuple[Scalar, ...]
    """Values of that column, which are asked for in turn."""
    indexed: bool
    sorted: str
    grouped: str
    summed: str
    updated: str


def copy_of(columns: Sequence[ColumnSchema], indexes: Sequence[IndexSchema], pieces: Sequence[Batch]) -> Copy:
    """A copy that can be taken to another process: dictionaries hold what is used and no more. O(cells)."""
    writable = [column for column in columns if not column.expression]
    rows = Batch(
        sum(map(len, pieces)),
        {column.name: _joined(column, [piece.columns[column.name] for piece in pieces]) for column in writable},
    )
    made_up = not rows.length
    return Copy(tuple(columns), tuple(indexes), _made_up(columns) if made_up else rows, made_up)


def _joined(column: ColumnSchema, pieces: Sequence[Vector]) -> Vector:
    if not column.type.is_text:
        valid = None
        if any(piece.valid is not None for piece in pieces):
            masks = [np.ones(len(piece), np.bool_) if piece.valid is None else piece.valid for piece in pieces]
            valid = np.concatenate(masks)
        return (
            Vector(column.type, np.concatenate([piece.values for piece in pieces]), valid)
            if pieces
            else (Vector.of(column.type, []))
        )
    return Vector.of(column.type, [value for piece in pieces for value in piece.to_list()])


def _made_up(columns: Sequence[ColumnSchema]) -> Batch:
    """Some rows with different keys, as far as the types of the key have different values."""
    found: dict[tuple[Scalar, ...], dict[str, Scalar]] = {}
    for number in range(MADE_UP):
        row: dict[str, Scalar] = {}
        rest = number
        for column in columns:
            if column.expression:
                continue
            if not column.primary_key:
                row[column.name] = _value(column, number)
            elif column.type in (DataType.BOOL, DataType.ENUM):
                size = 2 if column.type is DataType.BOOL else len(column.enum_values)
                row[column.name] = _value(column, rest)
                rest //= size
            else:
                row[column.name] = _value(column, rest)
        key = tuple(row[column.name] for column in columns if column.primary_key)
        found.setdefault(key, row)
    return Batch.of_rows(columns, list(found.values()))


def _value(column: ColumnSchema, number: int) -> Scalar:
    match column.type:
        case DataType.BOOL:
            return number % 2 == 0
        case DataType.INT64:
            return number
        case DataType.FLOAT64:
            return number / 4
        case DataType.TIMESTAMP:
            return 1_700_000_000_000_000 + number * 1_000_000
        case DataType.ENUM:
            return column.enum_values[number % len(column.enum_values)]
        case DataType.JSON:
            return f'{{"number":{number % 10}}}'
    return f"text {number % 100}" if not column.primary_key else f"text {number}"


def plan_of(copy: Copy) -> Plan:
    """What is asked of a copy. O(cells log rows)."""
    profiles = [
        profile_column(column, [copy.rows.columns[column.name]], 0, LOOKED_AT)
        for column in copy.columns
        if column.name in copy.rows.columns
    ]
    others = [each for each in profiles if not each.schema.primary_key and each.distinct]
    comparable = [each for each in others if each.schema.type is not DataType.JSON]
    indexed = {index.column for index in copy.indexes}
    filtered = max(comparable, key=lambda each: (each.schema.name in indexed, each.distinct), default=None)
    ordered = [each for each in comparable if each.schema.type is not DataType.BOOL]
    grouped = [each for each in comparable if 1 < each.distinct <= GROUPS]
    numbers = [each for each in others if each.schema.type in (DataType.INT64, DataType.FLOAT64)]
    return Plan(
        _name(filtered),
        () if filtered is None else filtered.samples,
        filtered is not None and filtered.schema.name in indexed,
        _name(max(ordered, key=lambda each: each.distinct, default=None)) or copy.key[0],
        _name(min(grouped, key=lambda each: each.distinct, default=None)),
        _name(numbers[0] if numbers else None),
        _name(max(comparable, key=lambda each: each.distinct, default=None)),
    )


def _name(profile: ColumnProfile | None) -> str:
    return "" if profile is None else profile.schema.name


def schema_of(copy: Copy) -> tuple[TableSchema, tuple[IndexSchema, ...]]:
    """The table to make of a copy."""
    columns = tuple(replace(column, derived=False, hidden=False) for column in copy.columns)
    return TableSchema(columns), tuple(IndexSchema(each.column, IndexKind(each.kind)) for each in copy.indexes)
