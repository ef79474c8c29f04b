"""Single values: the operands of filters and the defaults of columns, as `Value` messages and back."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from tesseract_grpc._proto.tesseract.v1 import value_pb2

from .coerce import INT64_MAX, INT64_MIN, Unfit, convert
from .datatype import BOOL, FLOAT64, INT64, JSON, TIMESTAMP, DataType, name_of_type
from .errors import invalid
from .moments import micros_of, moment_of


def value_of(value: object, field: str) -> value_pb2.Value:
    """A value as what it is; `field` is where it stands, for the error."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return value_pb2.Value()
    if isinstance(value, bool | np.bool_):
        return value_pb2.Value(bool_value=bool(value))
    if isinstance(value, int | np.integer):
        if not INT64_MIN <= int(value) <= INT64_MAX:
            raise invalid("INT64_OVERFLOW", f"{value} is outside the range of INT64", field)
        return value_pb2.Value(int64_value=int(value))
    if isinstance(value, float | np.floating | Decimal):
        return value_pb2.Value(float64_value=float(value))
    if isinstance(value, str):
        return value_pb2.Value(string_value=value)
    if isinstance(value, date | np.datetime64):
        try:
            micros = micros_of(value)
            return value_pb2.Value() if micros is None else value_pb2.Value(timestamp_value=micros)
        except ValueError as error:
            raise invalid("WRONG_TYPE", str(error), field) from None
    raise invalid("WRONG_TYPE", f"{type(value).__name__} is not a single value: {value!r:.60}", field)


def value_of_type(type: DataType, value: object, field: str) -> value_pb2.Value:
    """A value as one of a column's type."""
    try:
        wire = convert(type, value)
    except Unfit as unfit:
        raise invalid(unfit.reason, f"the column is {name_of_type(type).upper()}: {unfit}", field) from None
    if type == BOOL:
        return value_pb2.Value(bool_value=wire)
    if type == INT64:
        return value_pb2.Value(int64_value=wire)
    if type == FLOAT64:
        return value_pb2.Value(float64_value=wire)
    if type == TIMESTAMP:
        return value_pb2.Value(timestamp_value=wire)
    return value_pb2.Value(json_value=wire) if type == JSON else value_pb2.Value(string_value=wire)


def python_of(value: value_pb2.Value) -> Any:
    """A value for people: datetimes in UTC, JSON as Python objects, None for null."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "timestamp_value":
        return moment_of(value.timestamp_value)
    if kind == "json_value":
        return json.loads(value.json_value)
    return getattr(value, kind)
