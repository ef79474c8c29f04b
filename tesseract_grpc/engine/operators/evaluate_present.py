"""The present, as what asks for it sees it.

The engine has no clock: the owner of a predicate says what time it is, and what was compiled into the predicate reads
it here.
"""

from __future__ import annotations


class Present:
    """A point in time that is set from outside."""

    __slots__ = ("now_us", "used")

    def __init__(self, now_us: int = 0) -> None:
        self.now_us = now_us
        """Microseconds since 1970 UTC."""
        self.used = False
        """Whether anything asks for it."""
