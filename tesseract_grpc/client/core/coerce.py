"""From what people have (lists of Python values, NumPy arrays) to vectors of a column's type.

The rule: a value that does not fit is refused, never wrapped, cut or zeroed. A whole float is fine for an INT64
column, a bool is not; None, NaT and masked places are null, NaN is a number and stays one. The fast path looks only at
the set of types in a list, which is one pass in C; the slow path converts value by value and knows which row is to
blame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from .datatype import (
    BOOL,
    ENUM,
    FLOAT64,
    INT64,
    JSON,
    STRING,
    TEXT_TYPES,
    TIMESTAMP,
    UNSPECIFIED,
    DataType,
    name_of_type,
)
from .errors import InvalidRequest, RowError, invalid
from .moments import UNIT, micros_of
from .vector import Array, Mask, Vector, dtype_of

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Unfit(ValueError):
    """A value that its column cannot hold; the reason is one of the server's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _wrong(value: object, wanted: str) -> Unfit:
    return Unfit("WRONG_TYPE", f"{value!r:.60} is not {wanted}")


def _bool(value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise _wrong(value, "a truth value")


def _int(value: object) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number | Decimal):
        raise _wrong(value, "a whole number")
    if not math.isfinite(value) or value != int(value):
        raise _wrong(value, "a whole number")
    if not INT64_MIN <= int(value) <= INT64_MAX:
        raise Unfit("INT64_OVERFLOW", f"{value} is outside the range of INT64")
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number | Decimal):
        raise _wrong(value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise _wrong(value, "within the range of FLOAT64") from None


def _micros(value: object) -> int | None:
    try:
        return micros_of(value)
    except ValueError as error:
        raise Unfit("BAD_TIMESTAMP" if isinstance(value, str) else "WRONG_TYPE", str(error)) from None


def _text(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise _wrong(value, "a text")


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unfit("BAD_JSON", f"not JSON: {error}") from None


_CONVERTERS: dict[DataType, Callable[[object], Any]] = {
    BOOL: _bool,
    INT64: _int,
    FLOAT64: _float,
    TIMESTAMP: _micros,
    STRING: _text,
    ENUM: _text,
    JSON: _json,
}

# The Python types that an array of the column's dtype takes as they are.
_NATIVE: dict[DataType, frozenset[type]] = {
    BOOL: frozenset({bool}),
    INT64: frozenset({int}),
    FLOAT64: frozenset({float, int}),
    STRING: frozenset({str}),
    ENUM: frozenset({str}),
}


def convert(type: DataType, value: object) -> Any:
    """One value as the wire has it: microseconds for timestamps, text for JSON. Raises Unfit."""
    return _CONVERTERS[type](value)


def infer_type(values: Sequence[Any]) -> DataType:
    """The type that the values of a column without a known schema have; the server then says what it thinks of it."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return UNSPECIFIED
    for found, accepts in (
        (BOOL, (bool, np.bool_)),
        (INT64, (int, np.integer)),
        (FLOAT64, (int, float, np.integer, np.floating, Decimal)),
        (STRING, (str,)),
        (TIMESTAMP, (date, np.datetime64)),
    ):
        if all(issubclass(kind, accepts) for kind in kinds) and (found == BOOL or bool not in kinds):
            return found
    return JSON


def vector_of_list(type: DataType, values: Sequence[Any], name: str) -> Vector:
    """A column of Python values; `name` is the column's, for the error."""
    if type not in _CONVERTERS:
        type = infer_type(values)
    if type == UNSPECIFIED:
        return Vector.nulls(type, len(values))
    kinds = set(map(_kind, values))
    if not kinds - {_NONE} <= _NATIVE.get(type, frozenset()):
        values = _convert_all(type, values, name)
        kinds = set(map(_kind, values))
    valid: Mask | None = None
    if _NONE in kinds:
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        filler = "" if type in TEXT_TYPES else 0
        values = [filler if value is None else value for value in values]
    if type in TEXT_TYPES:
        return Vector.of_texts(type, values, valid)
    try:
        return Vector(type, np.array(values, dtype_of(type)), valid)
    except OverflowError:
        _convert_all(type, values, name)  # finds the rows and raises
        raise


_kind = type
_NONE = type(None)


def _convert_all(type: DataType, values: Sequence[Any], name: str) -> list[Any]:
    """Value by value, with an error that names the rows."""
    converter = _CONVERTERS[type]
    converted: list[Any] = []
    problems: list[RowError] = []
    for row, value in enumerate(values):
        try:
            converted.append(None if value is None or _is_na(value) else converter(value))
        except Unfit as unfit:
            problems.append(RowError(0, row, name, unfit.reason, str(unfit)))
    if problems:
        raise refused(type, name, problems)
    return converted


def refused(type: DataType, name: str, problems: list[RowError]) -> InvalidRequest:
    """The error for a column with values that it cannot hold."""
    first = problems[0]
    message = f"column {name!r} is {name_of_type(type).upper()}, row {first.row}: {first.message}"
    more = f" (and {len(problems) - 1} more rows)" if len(problems) > 1 else ""
    return invalid(first.reason, message + more, name, problems[:100])


def _is_na(value: object) -> bool:
    """Whether a value is pandas' NA, which must not be compared to find out."""
    return type(value).__name__ == "NAType"


def vector_of_array(type: DataType, array: Array, name: str) -> Vector:
    """A column that is a NumPy array, masked or not; no Python object is made for numbers and timestamps."""
    if array.ndim != 1:
        raise invalid("MALFORMED_BATCH", f"column {name!r} has {array.ndim} dimensions and not one", name)
    mask = np.ma.getmaskarray(array) if isinstance(array, np.ma.MaskedArray) else None
    plain = np.asarray(array)
    kind = plain.dtype.kind
    valid = None if mask is None or not mask.any() else ~mask
    if kind == "M" and type in (TIMESTAMP, UNSPECIFIED):
        missing = np.isnat(plain)
        if missing.any():
            valid = ~missing if valid is None else valid & ~missing
        return Vector(TIMESTAMP, plain.astype(UNIT).astype(np.int64), valid)
    if kind == "b" and type in (BOOL, UNSPECIFIED):
        return Vector(BOOL, plain, valid)
    if kind in "iu" and type in (INT64, UNSPECIFIED):
        return Vector(INT64, _int64s(plain, valid, name), valid)
    if kind == "f" and type == INT64:
        return Vector(INT64, _whole(plain, valid, name), valid)
    if kind in "iuf" and type in (FLOAT64, UNSPECIFIED):
        return Vector(FLOAT64, plain.astype(np.float64, copy=False), valid)
    if mask is None:
        return vector_of_list(type, plain.tolist(), name)
    return vector_of_list(
        type, [None if gone else value for value, gone in zip(plain.tolist(), mask, strict=True)], name
    )


def _int64s(plain: Array, valid: Mask | None, name: str) -> Array:
    if plain.dtype == np.uint64:
        _demand(plain <= np.uint64(INT64_MAX), plain, valid, name, "INT64_OVERFLOW", "is outside the range of INT64")
    return plain.astype(np.int64, copy=False)


def _whole(plain: Array, valid: Mask | None, name: str) -> Array:
    """Floats that are whole numbers in range. 2^63 itself is a float and out of range."""
    plain = plain.astype(np.float64, copy=False)
    if valid is not None:
        plain = np.where(valid, plain, 0.0)
    _demand(np.floor(plain) == plain, plain, valid, name, "WRONG_TYPE", "is not a whole number")
    _demand((plain >= -(2.0**63)) & (plain < 2.0**63), plain, valid, name, "INT64_OVERFLOW", "is outside of INT64")
    return plain.astype(np.int64)


def _demand(fits: Mask, plain: Array, valid: Mask | None, name: str, reason: str, message: str) -> None:
    """Refuses the rows where `fits` is False."""
    unfit = ~fits if valid is None else ~fits & valid
    if unfit.any():
        rows = np.flatnonzero(unfit).tolist()
        raise refused(INT64, name, [RowError(0, row, name, reason, f"{plain[row]} {message}") for row in rows])


__all__ = ["Unfit", "convert", "infer_type", "refused", "vector_of_array", "vector_of_list"]
