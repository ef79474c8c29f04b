"""Arguments that are checked before they are sent. Types are only hints, so what a user gives may be anything."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from .errors import invalid


def whole_number(value: object, name: str, least: int, reason: str = "MALFORMED_REQUEST") -> int:
    """A whole number from `least` on."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise invalid(reason, f"{name} is a whole number from {least} on, not {value!r}", name)
    return value


def duration_of(seconds: object, name: str) -> Duration | None:
    """A number of seconds as the wire has it; None for nothing, which leaves the choice to the server."""
    if not seconds:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
        raise invalid("MALFORMED_REQUEST", f"{name} is a number of seconds from 0 on, not {seconds!r}", name)
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))


def names(value: object, name: str) -> list[str]:
    """A list of names; one text is not one, however much it looks like it."""
    if isinstance(value, str) or not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise invalid("MALFORMED_REQUEST", f"{name} is a list of names, not {value!r:.60}", name)
    return list(value)
