"""How lists of values are written, said with the means of Python."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tesseract_grpc.engine.data.schema import DataType


def _number(value: float) -> str:
    """A number as JavaScript writes it."""
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if value == 0:
        return "0"
    shortest = f"{Decimal(repr(value)).normalize():e}"  # with the fewest digits that make the number
    digits, exponent = shortest.split("e")
    power, after = int(exponent), len(digits.partition(".")[2])
    if not -7 < power < 21:
        return f"{digits}e{power:+d}"
    if power >= after:
        return digits.replace(".", "") + "0" * (power - after)
    return format(Decimal(shortest), "f")


def _time(micros: int) -> str:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    part = f"{when.microsecond:06}" if micros % 1000 else f"{when.microsecond // 1000:03}"
    return f"{when:%Y-%m-%dT%H:%M:%S}.{part}Z"


def text_of(kind: DataType, value: Any) -> str:
    """One value as a text."""
    if kind is DataType.BOOL:
        return str(value).lower()
    if kind is DataType.TIMESTAMP:
        return _time(value)
    return _number(value) if kind.is_number else str(value)


def joined(kind: DataType, values: list[Any]) -> str:
    """The values with commas between them."""
    return ",".join(text_of(kind, value) for value in values)


def array_of(kind: DataType, values: list[Any]) -> str:
    """The values as JSON."""
    if kind is DataType.JSON:
        return "[" + ",".join(values) + "]"
    if kind is DataType.FLOAT64:
        return "[" + ",".join(_number(value) if math.isfinite(value) else "null" for value in values) + "]"
    if kind is DataType.TIMESTAMP:
        values = [_time(value) for value in values]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
