"""The values of a column as texts, for files that people read.

Numbers are written so that reading them gives the same number: integers in full, doubles with as many digits as they
need. Points in time are ISO 8601 in UTC with six digits. Each distinct text is written once, and then taken by its
code.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable

import numpy as np

from ..core.datatype import BOOL, FLOAT64, JSON, TEXT_TYPES, TIMESTAMP
from ..core.vector import Array, Vector
from .errors import not_kept

NAN, INFINITY, MINUS_INFINITY = "NaN", "Infinity", "-Infinity"
_TIMELESS = np.iinfo(np.int64).min
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_NULL_WORDS = frozenset({"", "NA", "N/A", "NULL", "null", "None", "NaN", "nan", "\\N"})
"""What readers of CSV take for null where it is not quoted."""


def csv_texts(vector: Vector, name: str) -> list[str]:
    """One field a row: nothing for null, and "" in quotes for the empty text. O(rows)."""
    return _texts(vector, name, "", _csv_text, _csv_text, lambda text: text)


def json_texts(vector: Vector, name: str) -> list[str]:
    """One JSON value a row. What JSON has no word for (NaN, infinities) is a text. O(rows)."""
    return _texts(vector, name, "null", _json_text, _document(name), _json_text)


def csv_field(text: str) -> str:
    """A text as a field."""
    return _csv_text(text)


def _csv_text(text: str) -> str:
    if text in _NULL_WORDS or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _document(name: str) -> Callable[[str], str]:
    def written(text: str) -> str:
        if text.strip() == "null":
            raise not_kept(
                f"column {name!r} has a JSON document null, which JSON cannot tell from no document",
                "back up as a container, Parquet or CSV",
            )
        if "\n" in text or "\r" in text:
            return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        return text

    return written


def _texts(
    vector: Vector,
    name: str,
    null: str,
    text: Callable[[str], str],
    document: Callable[[str], str],
    word: Callable[[str], str],
) -> list[str]:
    """`text` writes texts, `document` JSON documents, `word` what is no number and no truth value."""
    kind, values = vector.type, vector.values
    if kind in TEXT_TYPES:
        write = document if kind == JSON else text
        known = list(map(write, _used(vector)))
        found = [known[code] for code in values.tolist()] if known else [null] * len(vector)
    elif kind == BOOL:
        found = ["true" if value else "false" for value in values.tolist()]
    elif kind == FLOAT64:
        found = _doubles(values, word)
    elif kind == TIMESTAMP:
        found = _moments(vector, name, word)
    else:
        found = list(map(str, values.tolist()))
    if vector.valid is not None:
        for at in np.flatnonzero(~vector.valid).tolist():
            found[at] = null
    return found


def _used(vector: Vector) -> list[str]:
    """The texts by code; those that no row has may not be writable, and are not written."""
    present = vector.values if vector.valid is None else vector.values[vector.valid]
    marks = np.zeros(len(vector.texts), np.bool_)
    marks[present] = True
    return [text if used else "" for text, used in zip(vector.texts, marks.tolist(), strict=True)]


def _doubles(values: Array, word: Callable[[str], str]) -> list[str]:
    found = list(map(repr, values.tolist()))
    for at in np.flatnonzero(~np.isfinite(values)).tolist():
        value = float(values[at])
        found[at] = word(NAN if math.isnan(value) else INFINITY if value > 0 else MINUS_INFINITY)
    return found


def _moments(vector: Vector, name: str, word: Callable[[str], str]) -> list[str]:
    micros = vector.values
    lost = micros == _TIMELESS if vector.valid is None else (micros == _TIMELESS) & vector.valid
    if lost.any():
        raise not_kept(
            f"column {name!r} has the point in time {_TIMELESS}, for which there is no text",
            "back up as a container or Parquet",
        )
    texts = np.datetime_as_string(micros.astype(np.int64, copy=False).view("datetime64[us]"), unit="us")
    return [word(f"{text}Z") for text in texts.tolist()]
