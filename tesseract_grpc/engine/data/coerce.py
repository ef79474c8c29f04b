"""From the values that a write brings to what a column stores.

Wrong input is refused with the row that holds it; nothing is dropped, wrapped or zeroed. What is accepted:

=============  =====================================================================================
column         accepted vectors
=============  =====================================================================================
BOOL           BOOL
INT64          INT64; FLOAT64 where every value is whole and in range
FLOAT64        FLOAT64; INT64 where every value is exact in a double
TIMESTAMP      TIMESTAMP; STRING in ISO 8601
STRING         STRING; ENUM
JSON           JSON and STRING, whose texts are documents
ENUM           ENUM and STRING, whose texts are declared names
=============  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.documents import is_json
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.timestamps import parse_timestamp
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray, Vector

_EXACT_IN_DOUBLE = 2**53


@dataclass(frozen=True, slots=True)
class BadValues(Exception):
    """Some values cannot be stored: which rows, why."""

    rows: tuple[int, ...]
    reason: Reason
    message: str


def coerce(column: Column, vector: Vector, *, intern: bool, max_text_bytes: int) -> Stored:
    """What `column` stores for `vector`. Raises BadValues. O(n).

    With `intern` unknown texts are added to the column's dictionary; without, they become code -1, which no row has.
    """
    if vector.type is column.type and not column.type.is_text:
        values = vector.values
        if column.type is DataType.FLOAT64:
            # -0.0 becomes 0.0 and every NaN the same NaN, so that equal values have equal bits.
            values = values + 0.0
            nan = np.isnan(values)
            if nan.any():
                values[nan] = np.nan
        return values, vector.valid
    converter = _CONVERTERS.get((vector.type, column.type))
    if converter is None:
        raise BadValues(
            (0,),
            Reason.WRONG_TYPE,
            f"column '{column.schema.name}' is {column.type.name} and cannot hold {vector.type.name}",
        )
    if not column.type.is_text:
        return converter(column, vector)
    return _coerce_texts(column, vector, intern=intern, max_text_bytes=max_text_bytes)


def _present(vector: Vector) -> BoolArray:
    return np.ones(len(vector), np.bool_) if vector.valid is None else vector.valid


def _rows(bad: BoolArray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(bad).tolist())


def _float_to_int(column: Column, vector: Vector) -> Stored:
    present = _present(vector)
    values = np.where(present, vector.values, 0.0)
    if column.schema.primary_key and np.isnan(values).any():
        raise BadValues(_rows(np.isnan(values)), Reason.NAN_KEY, f"key column '{column.schema.name}' cannot hold NaN")
    outside = ~((values >= -(2.0**63)) & (values < 2.0**63))
    if outside.any():
        raise BadValues(
            _rows(outside), Reason.INT64_OVERFLOW, f"column '{column.schema.name}' is INT64; the number does not fit it"
        )
    whole = np.floor(values) == values
    if not whole.all():
        raise BadValues(
            _rows(~whole), Reason.WRONG_TYPE, f"column '{column.schema.name}' is INT64 and cannot hold a fraction"
        )
    return values.astype(np.int64), vector.valid


def _int_to_float(column: Column, vector: Vector) -> Stored:
    present = _present(vector)
    inexact = present & ((vector.values > _EXACT_IN_DOUBLE) | (vector.values < -_EXACT_IN_DOUBLE))
    if inexact.any():
        raise BadValues(
            _rows(inexact),
            Reason.WRONG_TYPE,
            f"column '{column.schema.name}' is FLOAT64 and cannot hold a whole number above 2^53 exactly",
        )
    return vector.values.astype(np.float64), vector.valid


def _text_to_time(column: Column, vector: Vector) -> Stored:
    assert vector.texts is not None
    present = _present(vector)
    times = np.zeros(max(1, len(vector.texts)), np.int64)
    for code in np.unique(vector.values[present]).tolist():
        try:
            times[code] = parse_timestamp(vector.texts[code])
        except InvalidRequest as error:
            rows = _rows(present & (vector.values == code))
            raise BadValues(rows, error.reason, f"column '{column.schema.name}': {error.message}") from None
    return times[np.where(present, vector.values, 0)], vector.valid


def _coerce_texts(column: Column, vector: Vector, *, intern: bool, max_text_bytes: int) -> Stored:
    """Texts, through the batch's own dictionary: each distinct text is judged and looked up once."""
    assert vector.texts is not None and column.dictionary is not None
    texts: list[str] = list(vector.texts)
    codes: AnyArray = vector.values
    if len(texts) > 64 + 2 * len(vector):
        texts, codes = _in_use(texts, vector)  # the batch shares a large dictionary
    problem = _bad_text(column, texts, max_text_bytes) if intern else None
    if problem is not None and len(texts) == len(vector.texts):
        texts, codes = _in_use(texts, vector)  # a text that no row holds is no reason to refuse, and is not kept
        problem = _bad_text(column, texts, max_text_bytes)
    if problem is not None:
        bad, reason, message = problem
        rows = _rows(_present(vector) & np.isin(codes, bad))
        raise BadValues(rows, reason, f"column '{column.schema.name}' {message}")
    known = intern and not column.dictionary.fixed
    stored = column.dictionary.encode(texts) if known else column.dictionary.find_many(texts)
    if not len(stored):
        return np.zeros(len(vector), np.int32), vector.valid
    result = stored[codes]
    if vector.valid is not None:
        result[~vector.valid] = 0
    return result, vector.valid


def _in_use(texts: list[str], vector: Vector) -> tuple[list[str], AnyArray]:
    """The texts that rows hold, and each row's code among them; 0 for null rows. O(n log n)."""
    present = vector.values if vector.valid is None else vector.values[vector.valid]
    used, codes = np.unique(present, return_inverse=True)
    if vector.valid is not None:
        scattered = np.zeros(len(vector), np.int64)
        scattered[vector.valid] = codes
        codes = scattered
    return [texts[code] for code in used.tolist()], codes


def _bad_text(column: Column, texts: list[str], limit: int) -> tuple[list[int], Reason, str] | None:
    """The codes of texts that the column cannot hold, why, and what to say; None when all are good."""
    if texts and max(map(len, texts)) * 4 > limit:
        long = [code for code, text in enumerate(texts) if len(text.encode()) > limit]
        if long:
            return long, Reason.LIMIT_EXCEEDED, f"takes texts of at most {limit} bytes"
    if column.type is DataType.ENUM:
        assert column.dictionary is not None
        known = column.dictionary.codes
        unknown = [code for code, text in enumerate(texts) if text not in known]
        if unknown:
            names = ", ".join(column.dictionary.texts[:20])
            return unknown, Reason.BAD_ENUM_VALUE, f"takes only {names}, not '{texts[unknown[0]][:60]}'"
    if column.type is DataType.JSON:
        broken = [code for code, text in enumerate(texts) if not is_json(text)]
        if broken:
            return broken, Reason.BAD_JSON, "takes JSON documents; the text is not one"
    return None


_Converter = Callable[[Column, Vector], Stored]


def _keep_texts(column: Column, vector: Vector) -> Stored:
    raise AssertionError("texts are coerced through their dictionary")


_CONVERTERS: dict[tuple[DataType, DataType], _Converter] = {
    (DataType.FLOAT64, DataType.INT64): _float_to_int,
    (DataType.INT64, DataType.FLOAT64): _int_to_float,
    (DataType.STRING, DataType.TIMESTAMP): _text_to_time,
    (DataType.STRING, DataType.STRING): _keep_texts,
    (DataType.ENUM, DataType.STRING): _keep_texts,
    (DataType.JSON, DataType.JSON): _keep_texts,
    (DataType.STRING, DataType.JSON): _keep_texts,
    (DataType.ENUM, DataType.ENUM): _keep_texts,
    (DataType.STRING, DataType.ENUM): _keep_texts,
}
