"""The version line of a hub: one number that every commit raises by one."""

from __future__ import annotations


class VersionLine:
    """The present version, shared by everything that belongs to one hub."""

    __slots__ = ("current",)

    def __init__(self, current: int = 0) -> None:
        self.current = current
