"""A clock that moves only when told to."""

from __future__ import annotations


class ManualClock:
    """Seconds since 1970, as `time.time` would say, under the hands of a test. Call it to read it.

    >>> clock = ManualClock(100.0)
    >>> clock.advance(2.5)
    102.5
    >>> clock()
    102.5
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        """Moves the clock forward and returns the new time. A clock never goes back."""
        if seconds < 0:
            raise ValueError("a clock does not go back")
        self._now += seconds
        return self._now
