"""One value written on the command line, read as the type of its column.

The shell has no types, so the column decides: `7` is a number for an int64 column and a text for a string column. What
cannot be read as the column's type is refused here, with the column's name, before anything is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

from tesseract_grpc.cli.columns import Column, closest
from tesseract_grpc.cli.errors import BadArgument

Literal = bool | int | float | str | datetime

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
WHOLE_NUMBER = re.compile(r"[+-]?\d+")


def read_literal(column: Column, text: str, field: str) -> Literal:
    """`text` as a value of `column`. Double quotes around it, as in JSON, are taken off."""
    read = READERS.get(column.type)
    if read is None:
        raise _wrong(column, field, f"a {column.type} column knows only is_null and is_not_null")
    return read(column, unquoted(text.strip(), field), field)


def unquoted(text: str, field: str) -> str:
    """`"a b"` as `a b`; anything that does not begin with a double quote as it is."""
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BadArgument(f"{text} is not a text in double quotes", reason="MALFORMED_FILTER", field=field) from error
    return str(value)


def _bool(column: Column, text: str, field: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise _wrong(column, field, f'"{text}" is neither true nor false')
    return text.lower() == "true"


def _int64(column: Column, text: str, field: str) -> int:
    if not WHOLE_NUMBER.fullmatch(text):
        raise _wrong(column, field, f'"{text}" is not a whole number')
    value = int(text)
    if not INT64_MIN <= value <= INT64_MAX:
        raise _wrong(column, field, f"{text} is outside the range of int64")
    return value


def _float64(column: Column, text: str, field: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise _wrong(column, field, f'"{text}" is not a number') from error


def _timestamp(column: Column, text: str, field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _wrong(column, field, f'"{text}" is not an ISO 8601 time, as 2013-03-08T14:05:00Z') from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(column: Column, text: str, field: str) -> str:
    return text


def _enum(column: Column, text: str, field: str) -> str:
    if text not in column.enum_values:
        hint = closest(text, column.enum_values)
        raise _wrong(column, field, f'"{text}" is not one of {", ".join(column.enum_values)}', hint)
    return text


def _wrong(column: Column, field: str, message: str, hint: str = "") -> BadArgument:
    return BadArgument(
        f'column "{column.name}" ({column.type}): {message}', reason="WRONG_TYPE", field=field, hint=hint
    )


READERS: dict[str, Callable[[Column, str, str], Literal]] = {
    "bool": _bool,
    "int64": _int64,
    "float64": _float64,
    "timestamp": _timestamp,
    "string": _text,
    "enum": _enum,
}
