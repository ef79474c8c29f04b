"""One value of a row, as text for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

NOTHING = "·"
"""How a null looks in a table, so that it is not taken for an empty text."""


def as_text(value: Any) -> str:
    """The value for a cell of a table or a line."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(value, ".15g")
    if isinstance(value, datetime | np.datetime64):
        return _moment(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=as_json)
    return str(value)


def as_csv(value: Any) -> str:
    """The value for a CSV field; a null is an empty field."""
    return "" if value is None else as_text(value)


def as_json(value: Any) -> Any:
    """The value as `json.dumps` takes it: times as ISO 8601 in UTC; NaN and infinities, which JSON lacks, as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, datetime | np.datetime64):
        return _moment(value)
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def json_line(value: Any) -> str:
    """One line of JSON lines."""
    try:
        return ENCODER.encode(value)
    except ValueError:  # A NaN or an infinity, which is rare, so only then every value is looked at.
        return ENCODER.encode(as_json(value))


def _plain(value: Any) -> Any:
    """What the encoder does not know by itself."""
    plain = as_json(value)
    return str(value) if plain is value else plain


ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)


def _moment(value: datetime | np.datetime64) -> str:
    if isinstance(value, np.datetime64):  # The client's answer for years that datetime cannot hold.
        return f"{value}Z"
    moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    precision = "microseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
