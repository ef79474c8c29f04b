"""Definitions: columns and indexes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, IndexKind, IndexSchema, Scalar, TableSchema
from tesseract_grpc.engine.query.literal import Timestamp, parse_timestamp
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_literal, encode_scalar
from tesseract_grpc.server.errors import fields_under, invalid, limit_exceeded

_TYPES: dict[int, str] = {int(member): member.name for member in DataType}
_KINDS: dict[int, str] = {int(member): member.name for member in IndexKind}

MAX_DESCRIPTION = 4_000
"""The longest free text of a table, column or session, in characters."""


def decode_schema(columns: Sequence[twin.schema.Column], field: str, max_columns: int) -> TableSchema:
    """The schema of a table. Raises InvalidRequest naming the column as the request has it."""
    if len(columns) > max_columns:
        raise limit_exceeded(
            "max_columns", max_columns, f"the table has {len(columns)} columns", field=f"{field}.columns"
        )
    with fields_under(field):
        return TableSchema(tuple(decode_column(column, f"columns[{index}]") for index, column in enumerate(columns)))


def decode_column(message: twin.schema.Column, where: str, default_type: DataType | None = None) -> ColumnSchema:
    """A column, which stands at `where` in its request. Raises InvalidRequest. With `default_type` a type may be left
    out, and the default is one of that type."""
    if default_type is None and message.type not in _TYPES and not message.expression:
        known = ", ".join(_TYPES.values())
        raise InvalidRequest(
            Reason.BAD_SCHEMA, f"column '{message.name[:140]}' needs a type: one of {known}", field=f"{where}.type"
        )
    check_description(message.description, f"{where}.description")
    # A computed column needs no type, for its expression has one, which the engine will find.
    inferred = message.type not in _TYPES
    data_type = DataType.STRING if inferred else DataType(message.type)
    return ColumnSchema(
        name=message.name,
        type=data_type,
        primary_key=message.primary_key,
        required=message.required,
        default=_default(message, data_type if default_type is None else default_type, f"{where}.default_value"),
        enum_values=tuple(message.enum_values),
        expression=message.expression,
        default_expression=message.default_expression,
        inferred=inferred,
        description=message.description,
    )


def _default(message: twin.schema.Column, type: DataType, where: str) -> Scalar:
    """The default as the column stores it: whole doubles for INT64, whole numbers for FLOAT64, texts for TIMESTAMP."""
    value = decode_literal(message.default_value)
    if value is None:
        return None
    if type is DataType.TIMESTAMP and isinstance(value, str):
        with fields_under(where):
            return parse_timestamp(value)
    if isinstance(value, Timestamp) != (type is DataType.TIMESTAMP):
        raise InvalidRequest(
            Reason.WRONG_TYPE, f"column '{message.name[:140]}' is {type.name} and its default is not", field=where
        )
    if type is DataType.INT64 and isinstance(value, float) and value.is_integer():
        return int(value)
    if type is DataType.FLOAT64 and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) + 0.0  # -0.0 becomes 0.0, as in rows
    return int(value) if isinstance(value, Timestamp) else value


def check_description(text: str, field: str) -> None:
    """Refuses free text that is too long."""
    if len(text) > MAX_DESCRIPTION:
        raise invalid(f"the description has {len(text)} characters; at most {MAX_DESCRIPTION} are kept", field)


def decode_indexes(indexes: Iterable[twin.schema.Index], field: str) -> list[IndexSchema]:
    """The indexes of a table."""
    found: list[IndexSchema] = []
    for position, message in enumerate(indexes):
        where = f"{field}.indexes[{position}]"
        if message.kind not in _KINDS:
            raise invalid(f"there is no index kind {message.kind}", f"{where}.kind", Reason.BAD_SCHEMA)
        found.append(IndexSchema(message.column, IndexKind(message.kind)))
    return found


def encode_column(column: ColumnSchema) -> twin.schema.Column:
    """A column as a message."""
    message = twin.schema.Column(
        name=column.name,
        type=cast("twin.value.DataType.ValueType", int(column.type)),
        primary_key=column.primary_key,
        required=column.required,
        enum_values=column.enum_values,
        expression=column.expression,
        default_expression=column.default_expression,
        description=column.description,
    )
    if column.default is not None:
        message.default_value.CopyFrom(encode_scalar(column.default, column.type))
    return message


def encode_columns(columns: Iterable[ColumnSchema]) -> list[twin.schema.Column]:
    """Columns as messages, in order."""
    return [encode_column(column) for column in columns]


def encode_indexes(indexes: Iterable[IndexSchema]) -> list[twin.schema.Index]:
    """Indexes as messages."""
    return [
        twin.schema.Index(column=index.column, kind=cast("twin.schema.IndexKind.ValueType", int(index.kind)))
        for index in indexes
    ]
