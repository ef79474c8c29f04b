"""ISO 8601 texts to microseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, what readers can convert back

# `fromisoformat` alone would also take week dates, '20130131', any character in place of the 'T', and more.
_ISO_8601 = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


def parse_timestamp(text: str, field: str = "") -> int:
    """Microseconds since 1970 UTC from ISO 8601 text. Raises InvalidRequest with BAD_TIMESTAMP.

    A date alone is its midnight; date and time are parted by 'T' or a space; fractions have up to nine digits, of which
    those after the sixth are cut off; without an offset the time is UTC.

    >>> parse_timestamp("1970-01-02"), parse_timestamp("1970-01-01T01:00:00.5+01:00")
    (86400000000, 500000)
    """
    if _ISO_8601.fullmatch(text):
        try:
            moment = datetime.fromisoformat(text.upper())
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            micros = (moment - _EPOCH) // _MICROSECOND
            if _FIRST <= micros <= _LAST:
                return micros
        except ValueError:  # a day or an hour that does not exist
            pass
    raise InvalidRequest(
        Reason.BAD_TIMESTAMP,
        f"'{text[:60]}' is not an ISO 8601 date or time, for example 2026-01-31T12:00:00Z",
        field=field,
    )
