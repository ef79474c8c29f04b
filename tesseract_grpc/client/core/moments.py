"""Points in time: microseconds since 1970 on the wire, `datetime` in UTC for people, `datetime64[us]` in arrays.

A `datetime` without a time zone is refused, because Python reads it as local time and arrays read it as UTC. A text
without one is UTC, as on the server. What `datetime` cannot hold (years outside 1 to 9999) comes out as
`numpy.datetime64`, which can.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Moment: TypeAlias = "datetime | np.datetime64"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
UNIT = np.dtype("datetime64[us]")


def micros_of(value: object) -> int | None:
    """Microseconds of anything that means a point in time; None for the missing values of NumPy and pandas.

    Raises ValueError with a message for people.
    """
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else int(value.astype(UNIT).astype(np.int64))
    if value != value:  # pandas.NaT is a datetime that equals nothing
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone; give it one, for example tzinfo=UTC")
        return (value - EPOCH) // _MICROSECOND
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day, tzinfo=UTC) - EPOCH) // _MICROSECOND
    raise ValueError(f"{type(value).__name__} is not a point in time; give a datetime, a date or an ISO 8601 text")


def moment_of(micros: int) -> Moment:
    """The datetime of one point in time."""
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return np.datetime64(micros, "us")


def moments_of(micros: npt.NDArray[np.int64]) -> list[Moment]:
    """The datetimes of many points in time. NumPy converts in C what `datetime` can hold and leaves numbers else."""
    naive = micros.astype(np.int64, copy=False).view(UNIT).tolist()
    return [
        value.replace(tzinfo=UTC) if isinstance(value, datetime) else np.datetime64(int(micros[at]), "us")
        for at, value in enumerate(naive)
    ]
