"""Values of a driver as vectors, a column at a time. What does not fit is refused by row, never bent.

Drivers give Python objects, so this is where the time goes. The common kinds (numbers, texts, times without a zone)
are converted by NumPy or in one pass; what is odd in a column is looked at value by value.
"""

from __future__ import annotations

import base64
import json
import zoneinfo
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from ..core.coerce import Unfit, refused, vector_of_list
from ..core.datatype import BOOL, FLOAT64, INT64, JSON, STRING, TIMESTAMP, DataType
from ..core.errors import RowError
from ..core.moments import UNIT, micros_of
from ..core.vector import Mask, Vector
from .types import Converter

_NONE = type(None)
_UTC = "UTC"
ZERO_DATES = "0000-00-00"


def vector_of(
    converter: Converter,
    type_: DataType,
    values: Sequence[Any],
    name: str,
    *,
    zone: str = _UTC,
    zero_null: bool = False,
) -> Vector:
    """A column. Raises InvalidRequest with the rows that do not fit."""
    kinds = set(map(type, values))
    if converter == "timestamp":
        return _moments(values, kinds, name, zone, zero_null)
    if converter == "float64":
        if not kinds <= {float, _NONE, int}:
            values = _each(FLOAT64, values, _float, name)
        return vector_of_list(FLOAT64, values, name)
    if converter == "int64":
        return vector_of_list(INT64, values, name)
    if converter == "bool":
        return vector_of_list(BOOL, values if kinds <= {bool, _NONE} else _each(BOOL, values, _bool, name), name)
    if converter == "bits":
        found = _each(INT64, values, _bits, name)
        return vector_of_list(type_, found if type_ == INT64 else _each(BOOL, found, _bool, name), name)
    if converter == "json":
        # Texts are documents already, and go into a column of documents as they are.
        texts = values if kinds <= {str, _NONE} else _each(JSON, values, _document, name)
        return _texts(JSON, texts)
    if converter == "base64":
        return _texts(STRING, _each(STRING, values, _base64, name))
    return _texts(type_, values if kinds <= {str, _NONE} else _each(STRING, values, _text, name))


def _texts(type_: DataType, values: Sequence[str | None]) -> Vector:
    if None not in values:
        return Vector.of_texts(type_, [value or "" for value in values])
    valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
    return Vector.of_texts(type_, ["" if value is None else value for value in values], valid)


def _moments(values: Sequence[Any], kinds: set[type], name: str, zone: str, zero_null: bool) -> Vector:
    if kinds <= {datetime, _NONE} and zone == _UTC:
        try:
            return _naive(values)
        except ValueError:  # some have a zone
            pass
    elsewhere = None if zone == _UTC else zoneinfo.ZoneInfo(zone)
    found = _each(TIMESTAMP, values, lambda value: _micros(value, elsewhere, zero_null), name)
    valid = np.fromiter((value is not None for value in found), np.bool_, len(found))
    return Vector(TIMESTAMP, np.array([value or 0 for value in found], np.int64), None if valid.all() else valid)


def _naive(values: Sequence[datetime | None]) -> Vector:
    """Times without a zone, which are taken for UTC. Raises ValueError where one has a zone."""
    if any(value is not None and value.tzinfo is not None for value in values):
        raise ValueError
    array = np.array(values, UNIT)
    missing = np.isnat(array)
    valid: Mask | None = ~missing if missing.any() else None
    return Vector(TIMESTAMP, np.where(missing, np.int64(0), array.astype(np.int64)), valid)


def _micros(value: object, zone: zoneinfo.ZoneInfo | None, zero_null: bool) -> int | None:
    if isinstance(value, str):
        if value.startswith(ZERO_DATES) and zero_null:
            return None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise Unfit("BAD_TIMESTAMP", f"{value!r:.60} is not a time as in ISO 8601") from None
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=zone or UTC)
    elif isinstance(value, date) and not isinstance(value, datetime) and zone is not None:
        value = datetime(value.year, value.month, value.day, tzinfo=zone)
    try:
        return micros_of(value)
    except ValueError as error:
        raise Unfit("WRONG_TYPE", str(error)) from None


def _float(value: object) -> float:
    if isinstance(value, Decimal | float) or (isinstance(value, int) and not isinstance(value, bool)):
        return float(value)
    raise Unfit("WRONG_TYPE", f"{value!r:.60} is not a number")


def _bool(value: object) -> bool:
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    raise Unfit("WRONG_TYPE", f"{value!r:.60} is not a truth value (--type COLUMN=int64 takes numbers)")


def _bits(value: object) -> int:
    if isinstance(value, bytes):
        return int.from_bytes(value, "big")
    if isinstance(value, int):
        return int(value)
    raise Unfit("WRONG_TYPE", f"{value!r:.60} is not a number of bits")


def _document(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise Unfit("BAD_JSON", f"not JSON: {error}") from None


def _base64(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    raise Unfit("WRONG_TYPE", f"{value!r:.60} is not bytes")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        raise Unfit("WRONG_TYPE", "bytes and not a text")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _clock(value)
    return str(value)


def _clock(value: timedelta) -> str:
    """The TIME of MySQL, which may be negative and longer than a day."""
    micros = abs(value) // timedelta(microseconds=1)
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return ("-" if value < timedelta(0) else "") + text + (f".{fraction:06}" if fraction else "")


def _each(type_: DataType, values: Sequence[Any], convert: Callable[[Any], Any], name: str) -> list[Any]:
    """Value by value, with an error that names the rows."""
    found: list[Any] = []
    problems: list[RowError] = []
    for row, value in enumerate(values):
        try:
            found.append(None if value is None else convert(value))
        except Unfit as unfit:
            problems.append(RowError(0, row, name, unfit.reason, str(unfit)))
    if problems:
        raise refused(type_, name, problems)
    return found
