"""From the values of text files to vectors of a column's type. The other way of `value_texts.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.coerce import vector_of_list
from ..core.datatype import BOOL, ENUM, FLOAT64, INT64, JSON, STRING, TIMESTAMP, DataType
from ..core.errors import InvalidRequest
from ..core.vector import Vector
from .errors import BackupFailed, BackupReason
from .value_texts import INFINITY, MINUS_INFINITY, NAN

_WORDS = {NAN: float("nan"), INFINITY: float("inf"), MINUS_INFINITY: float("-inf")}
_TRUTH = {"true": True, "false": False}


def of_json(type: DataType, values: Sequence[Any], name: str, row: int, file: str) -> Vector:
    """A column of JSON values; `row` is the place of the first in the file. Raises BackupFailed."""
    if type == FLOAT64:
        values = [_WORDS.get(value, value) if isinstance(value, str) else value for value in values]
    elif type == TIMESTAMP:
        values = [_moment(value) if isinstance(value, str) else value for value in values]
    elif type in (STRING, ENUM):
        values = [value if value is None or isinstance(value, str) else _plain(value) for value in values]
    return _vector(type, values, name, row, file)


def of_texts(type: DataType, texts: Sequence[str | None], name: str, row: int, file: str) -> Vector:
    """A column of texts. Raises BackupFailed."""
    values: Sequence[Any] = texts
    try:
        if type == INT64:
            values = [None if text is None else int(text) for text in texts]
        elif type == FLOAT64:
            values = [None if text is None else float(text) for text in texts]
        elif type == BOOL:
            values = [None if text is None else _TRUTH[text.lower()] for text in texts]
        elif type == TIMESTAMP:
            values = [None if text is None else _moment(text) for text in texts]
    except (ValueError, KeyError):
        for at, text in enumerate(texts):
            if text is not None:
                of_one(type, text, name, row + at, file)
        raise
    if type == JSON:
        return _vector(STRING, values, name, row, file, JSON)
    return _vector(type, values, name, row, file)


def of_one(type: DataType, text: str, name: str, row: int, file: str) -> None:
    """Raises BackupFailed when a text is no value of a type."""
    try:
        if type == BOOL:
            _TRUTH[text.lower()]
        else:
            {INT64: int, FLOAT64: float}.get(type, _moment)(text)
    except (ValueError, KeyError):
        raise refused(file, row, name, f"{text!r:.60} is not of the type that the column has") from None


def _moment(text: str) -> Any:
    """A text as what `vector_of_list` takes; years that datetime does not know are left to NumPy."""
    plain = text.removesuffix("Z")
    if plain[:1] in "+-" or plain.find("-") > 4:
        return np.datetime64(plain, "us")
    return text


def _plain(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _vector(
    type: DataType, values: Sequence[Any], name: str, row: int, file: str, given: DataType | None = None
) -> Vector:
    try:
        found = vector_of_list(type, values, name)
    except InvalidRequest as error:
        at = error.row_errors[0].row if error.row_errors else 0
        message = error.row_errors[0].message if error.row_errors else error.message
        raise refused(file, row + at, name, message) from None
    return found if given is None else Vector(given, found.values, found.valid, found.texts)


def refused(file: str, row: int, column: str, message: str) -> BackupFailed:
    """A value of a file does not fit."""
    hint = "give the column another type (columns={name: type}, --type NAME=TYPE)"
    return BackupFailed(
        BackupReason.VALUE_REFUSED, f"{file}, row {row + 1:,}, column {column!r}: {message}", field=column, hint=hint
    )
