"""Values written in a query, and their fit to the column that they are compared with.

Types are judged once, when a query is created, and never coerced at run time: text against a number is an error that
names the column. What is accepted besides the column's own type is what stays exact: whole numbers and doubles against
each other (compared by their true values, never through a rounding conversion) and ISO 8601 text against a timestamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.timestamps import parse_timestamp

__all__ = ["Literal", "Number", "Timestamp", "bind_literal", "bind_literals", "parse_timestamp"]

Literal: TypeAlias = bool | int | float | str | None
"""One value in a query. A point in time is a `Timestamp`, which is an int."""

Number: TypeAlias = int | float
"""A whole number or a double; the two stay apart, for doubles are not exact above 2^53."""


class Timestamp(int):
    """A point in time as a literal: microseconds since 1970-01-01T00:00:00Z."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Timestamp({int(self)})"


def bind_literal(column: ColumnSchema, value: Literal, field: str) -> Literal:
    """The value as the column's type has it, or an exact number of the other number type where it has no such value.

    Raises InvalidRequest with WRONG_TYPE, BAD_TIMESTAMP or BAD_ENUM_VALUE. None is returned as it is.

    >>> count = ColumnSchema("count", DataType.INT64)
    >>> bind_literal(count, 2.0, "value"), bind_literal(count, 2.5, "value")
    (2, 2.5)
    """
    if value is None:
        return None
    kind = column.type
    if kind is DataType.BOOL and isinstance(value, bool):
        return value
    if kind.is_number and isinstance(value, (int, float)) and not isinstance(value, (bool, Timestamp)):
        return _bind_number(kind, value)
    if kind is DataType.TIMESTAMP and isinstance(value, (str, Timestamp)):
        return value if isinstance(value, Timestamp) else _bind_timestamp(column, value, field)
    if kind is DataType.STRING and isinstance(value, str):
        return value
    if kind is DataType.ENUM and isinstance(value, str):
        if value in column.enum_values:
            return value
        raise InvalidRequest(
            Reason.BAD_ENUM_VALUE,
            f"column '{column.name}': '{value[:140]}' is not one of {', '.join(column.enum_values[:20])}",
            field=field,
        )
    raise _wrong_type(column, value, field)


_OWN: dict[DataType, type] = {
    DataType.BOOL: bool,
    DataType.INT64: int,
    DataType.TIMESTAMP: Timestamp,
    DataType.STRING: str,
}


def bind_literals(column: ColumnSchema, values: Sequence[Literal], field: str) -> Sequence[Literal]:
    """`bind_literal` of each value; `field` is the path of the list. O(n)."""
    if {*map(type, values)} == {_OWN.get(column.type)}:
        return values  # a long list of the column's own type needs no look at each
    if column.type is DataType.ENUM:
        names = {*column.enum_values, None}
        return [v if v in names else bind_literal(column, v, f"{field}[{i}]") for i, v in enumerate(values)]
    return [bind_literal(column, value, f"{field}[{index}]") for index, value in enumerate(values)]


def _bind_number(kind: DataType, value: Number) -> Number:
    if kind is DataType.INT64:
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(value, float):
        return value + 0.0  # -0.0 becomes 0.0, as columns store it
    try:
        near = float(value)
    except OverflowError:
        return value
    return near if int(near) == value else value


def _bind_timestamp(column: ColumnSchema, text: str, field: str) -> Timestamp:
    try:
        return Timestamp(parse_timestamp(text))
    except InvalidRequest as error:
        message = f"column '{column.name}': {error.message}"
        raise InvalidRequest(error.reason, message, field=field, hint=error.hint) from None


def _wrong_type(column: ColumnSchema, value: Literal, field: str) -> InvalidRequest:
    if column.type is DataType.JSON:
        message = f"column '{column.name}' is JSON and knows only the null tests"
        return InvalidRequest(Reason.WRONG_TYPE, message, field=field)
    names = {bool: "BOOL", int: "INT64", float: "FLOAT64", str: "STRING", Timestamp: "TIMESTAMP"}
    hint = "give a timestamp value or ISO 8601 text" if column.type is DataType.TIMESTAMP else ""
    return InvalidRequest(
        Reason.WRONG_TYPE,
        f"column '{column.name}' is {column.type.name} and cannot be compared with a "
        f"{names.get(type(value), type(value).__name__)} value",
        field=field,
        hint=hint,
    )
