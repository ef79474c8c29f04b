"""The values of a column in another type, where that type holds all of them.

What is converted can be converted back: an integer is a number and a text, a text may be a number, a moment, a truth
value, a name of a list or a document. A value that the new type does not hold (a fraction as INT64, `abc` as a number)
is refused with its row; nothing is rounded, cut or made null. Where two types have no such way between them, for
instance INT64 and TIMESTAMP, somebody has to say what is meant, with an expression. docs/SEMANTICS.md lists all ways.

Texts are looked at once a distinct text, and numbers that become texts once a distinct number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from tesseract_grpc.engine.data.coerce import BadValues, coerce
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN, DataType, Scalar
from tesseract_grpc.engine.data.timestamps import parse_timestamp
from tesseract_grpc.engine.data.vector import AnyArray, Vector
from tesseract_grpc.engine.query.expression.scalar_text import number_text, parse_number
from tesseract_grpc.engine.query.expression.scalar_time import iso_text

_NO_LIMIT = 2**31
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:Infinity|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|NaN", re.ASCII)
_T = DataType

_COERCED = {
    *((each, each) for each in DataType),
    (_T.INT64, _T.FLOAT64),
    (_T.FLOAT64, _T.INT64),
    (_T.STRING, _T.TIMESTAMP),
    (_T.STRING, _T.ENUM),
    (_T.STRING, _T.JSON),
    (_T.ENUM, _T.STRING),
}
"""What writes accept as it is (`data/coerce.py`)."""


def converted(column: Column, values: Vector) -> Stored:
    """What `column` stores for the values of another column. Raises BadValues, by row. O(n log n)."""
    pair = (values.type, column.type)
    if pair in _COERCED:
        return coerce(column, values, intern=True, max_text_bytes=_NO_LIMIT)
    if values.type is _T.BOOL and column.type.is_number:
        return values.values.astype(column.values.dtype), values.valid
    if (make := _TO_TEXT.get(pair)) is not None:
        return _as_texts(column, values, make)
    if values.type in (_T.STRING, _T.ENUM) and (read := _OF_TEXT.get(column.type)) is not None:
        return _of_texts(column, values, read)
    if pair == (_T.JSON, _T.STRING):
        return coerce(column, Vector(_T.STRING, *_stored(values), values.texts), intern=True, max_text_bytes=_NO_LIMIT)
    raise InvalidRequest(
        Reason.WRONG_TYPE,
        f"column '{column.schema.name}': {values.type.name} does not become {column.type.name} by itself",
        hint="say with an expression in 'using' what is meant",
    )


def _stored(vector: Vector) -> Stored:
    return vector.values, vector.valid


def _distinct(vector: Vector) -> tuple[list[Scalar], AnyArray, AnyArray]:
    """The distinct values that are no nulls, the rows that are none, and which of the values each of those has."""
    rows = np.arange(len(vector)) if vector.valid is None else np.flatnonzero(vector.valid)
    used, places = np.unique(vector.values[rows], return_inverse=True)
    found: list[Scalar] = used.tolist()
    if vector.texts is not None:
        found = [vector.texts[int(code)] for code in used.tolist()]
    return found, rows, places


def _refuse(bad: Sequence[bool], rows: AnyArray, places: AnyArray, reason: Reason, message: str) -> None:
    which = rows[np.array(bad, np.bool_)[places]]
    raise BadValues(tuple(which.tolist()), reason, message)


def _as_texts(column: Column, vector: Vector, make: Callable[..., str | None]) -> Stored:
    """Values as texts, each distinct one once."""
    assert column.dictionary is not None
    values, rows, places = _distinct(vector)
    texts = [make(value) for value in values]
    if None in texts:
        bad = [text is None for text in texts]
        first = values[bad.index(True)]
        name, kind = column.schema.name, column.type.name
        _refuse(bad, rows, places, Reason.WRONG_TYPE, f"column '{name}': {first} cannot be written as {kind}")
    codes = column.dictionary.encode([text for text in texts if text is not None])
    stored = np.zeros(len(vector), np.int32)
    if len(rows):
        stored[rows] = codes[places]
    return stored, vector.valid


def _of_texts(column: Column, vector: Vector, read: Callable[[str], bool | int | float | None]) -> Stored:
    """What texts say, each distinct one once."""
    texts, rows, places = _distinct(vector)
    values = [read(str(text)) for text in texts]
    if None in values:
        bad = [value is None for value in values]
        first = str(texts[bad.index(True)])[:60]
        message = f"column '{column.schema.name}': '{first}' is no {_SAYS[column.type]}"
        _refuse(bad, rows, places, Reason.WRONG_TYPE, message)
    stored = np.zeros(len(vector), column.values.dtype)
    if len(rows):
        stored[rows] = np.array(values, column.values.dtype)[places]
    return stored, vector.valid


def _whole(text: str) -> int | None:
    value = int(text) if _WHOLE.fullmatch(text) and len(text) <= 20 else None
    return value if value is not None and INT64_MIN <= value <= INT64_MAX else None


def _number(text: str) -> float | None:
    return parse_number(text) + 0.0 if _NUMBER.fullmatch(text) else None


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _moment(text: str) -> int | None:
    try:
        return parse_timestamp(text)
    except InvalidRequest:
        return None


def _bool_text(value: bool) -> str:
    return "true" if value else "false"


def _json_number(value: float) -> str | None:
    text = number_text(value)
    return None if text[-1] in "Ny" else text  # NaN and Infinity are in no document


_OF_TEXT: dict[DataType, Callable[[str], bool | int | float | None]] = {
    _T.INT64: _whole,
    _T.FLOAT64: _number,
    _T.BOOL: _truth,
    _T.TIMESTAMP: _moment,
}
_SAYS = {
    _T.INT64: "whole number in the range of INT64",
    _T.FLOAT64: "number",
    _T.BOOL: "truth value (true or false)",
    _T.TIMESTAMP: "ISO 8601 date or time",
}
_TO_TEXT: dict[tuple[DataType, DataType], Callable[..., str | None]] = {
    (_T.INT64, _T.STRING): str,
    (_T.FLOAT64, _T.STRING): number_text,
    (_T.BOOL, _T.STRING): _bool_text,
    (_T.TIMESTAMP, _T.STRING): iso_text,
    (_T.INT64, _T.JSON): str,
    (_T.FLOAT64, _T.JSON): _json_number,
    (_T.BOOL, _T.JSON): _bool_text,
}
