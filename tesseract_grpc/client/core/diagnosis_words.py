"""Numbers and values as reports show them. Names and values come from strangers: none of them controls a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .diagnosis import plain

LONGEST = 60
"""Characters of a value that a report shows."""

_SIZES = ("B", "KB", "MB", "GB", "TB")


def size(number: float) -> str:
    """Bytes, in the unit that fits.

    >>> size(0), size(1536), size(5_000_000)
    ('0 B', '1.5 KB', '4.8 MB')
    """
    for unit in _SIZES:
        if number < 1024 or unit == _SIZES[-1]:
            return f"{number:,.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1024
    raise AssertionError("the last unit takes everything")


def duration(seconds: float) -> str:
    """A time span, in the unit that fits.

    >>> duration(0.0000123), duration(0.25), duration(90)
    ('12.3 µs', '250.0 ms', '90.0 s')
    """
    if seconds < 1e-3:
        return f"{seconds * 1e6:,.1f} µs"
    return f"{seconds * 1e3:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def moment(value: datetime) -> str:
    """A point in time, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def value(found: Any) -> str:
    """A value of a column, cut where it is long.

    >>> value(None), value(1.5), value('a\\x1b[2J')
    ('·', '1.5', 'a\\\\x1b[2J')
    """
    if found is None:
        return "·"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, float):
        return format(found, ".6g")
    if isinstance(found, datetime | np.datetime64):
        return str(plain(found))
    text = found if isinstance(found, str) else json.dumps(plain(found), ensure_ascii=False)
    return clean(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def clean(text: str) -> str:
    """A text without anything that is not printed."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
