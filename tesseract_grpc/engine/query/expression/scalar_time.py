"""The operations on points in time, for one point: whole microseconds since 1970-01-01T00:00:00Z, in UTC.

Milliseconds are what JavaScript counts in, so that is what numbers mean here: `getTime`, differences, and numbers
added to a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tesseract_grpc.engine.data.errors import InvalidRequest
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.data.timestamps import parse_timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999: a time outside of them has no calendar date, and those parts of it are null."""


def moment(micros: int) -> datetime | None:
    """The calendar date and time; None outside of the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=micros) if FIRST <= micros <= LAST else None


def _part(read: Callable[[datetime], int]) -> Callable[[int], int | None]:
    def part(micros: int) -> int | None:
        when = moment(micros)
        return None if when is None else read(when)

    return part


def iso_text(micros: int) -> str | None:
    """ISO 8601 with milliseconds, or with microseconds where there are any.

    >>> iso_text(0), iso_text(1_500_001)
    ('1970-01-01T00:00:00.000Z', '1970-01-01T00:00:01.500001Z')
    """
    when = moment(micros)
    if when is None:
        return None
    precision = "microseconds" if micros % 1000 else "milliseconds"
    return when.isoformat(timespec=precision).replace("+00:00", "Z")


def parse_time(text: str) -> int | None:
    """The point in time of ISO 8601 text; null when it is none."""
    try:
        return parse_timestamp(text)
    except InvalidRequest:
        return None


def from_millis(millis: float) -> int | None:
    """The point in time so many milliseconds after 1970; null when INT64 has none."""
    if isinstance(millis, int):
        micros = millis * 1000
    elif math.isfinite(millis) and abs(millis) < 1e16:
        micros = math.floor(millis * 1000 + 0.5)
    else:
        return None
    return micros if INT64_MIN <= micros <= INT64_MAX else None


def add_millis(micros: int, millis: float) -> int | None:
    """A time so many milliseconds later; null when INT64 has none."""
    distance = from_millis(millis)
    if distance is None or not INT64_MIN <= micros + distance <= INT64_MAX:
        return None
    return micros + distance


def subtract_millis(micros: int, millis: float) -> int | None:
    """A time so many milliseconds earlier; null when INT64 has none."""
    return add_millis(micros, -millis)


def difference(left: int, right: int) -> float | None:
    """The milliseconds from `right` to `left`; null when the distance leaves INT64."""
    micros = left - right
    return float(micros) / 1000 if INT64_MIN <= micros <= INT64_MAX else None


def bucket(micros: int, size: int, origin: int) -> int | None:
    """The start of the interval of `size` microseconds that the time falls into."""
    start = micros - (micros - origin) % size
    return start if start >= INT64_MIN else None


SCALARS: Mapping[str, Callable[..., Any]] = {
    "epoch_millis": lambda a: a // 1000,
    "year": _part(lambda when: when.year),
    "month": _part(lambda when: when.month - 1),
    "date": _part(lambda when: when.day),
    "hours": lambda a: a // 3_600_000_000 % 24,
    "minutes": lambda a: a // 60_000_000 % 60,
    "seconds": lambda a: a // 1_000_000 % 60,
    "millis": lambda a: a // 1000 % 1000,
    "weekday": lambda a: (a // _DAY + 4) % 7,
    "iso_text": iso_text,
    "parse_time": parse_time,
    "from_millis": from_millis,
    "add_millis": add_millis,
    "subtract_millis": subtract_millis,
    "time_difference": difference,
    "bucket": bucket,
}
