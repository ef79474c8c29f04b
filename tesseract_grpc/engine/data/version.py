"""The version line of a hub: one number that every commit raises by one, and the hub's clock, which commits advance."""

from __future__ import annotations

from collections.abc import Callable


def _no_time() -> int:
    return 0


class VersionLine:
    """The present version and the present time, shared by everything that belongs to one hub."""

    __slots__ = ("current", "now", "stopwatch", "written")

    def __init__(self, current: int = 0, stopwatch: Callable[[], int] = _no_time) -> None:
        self.current = current
        self.now = 0  # microseconds since 1970 UTC, as of the last tick; 0 before the first
        self.written = 0  # the present of the commit that is being made, not before `now`
        self.stopwatch = stopwatch
        """Nanoseconds from some moment on, for telling how long work took. No state depends on it."""

    def advance(self) -> int:
        """Takes the next version."""
        self.current += 1
        return self.current
