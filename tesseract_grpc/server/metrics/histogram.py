"""How values are spread: counts between fixed bounds, as Prometheus wants them, at a fraction of a microsecond each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = (
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    10.0,
)
"""Bounds for how long something takes that should take less than a second."""

LONG = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds for how long something takes that may take minutes."""

COUNTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 10_000.0)
"""Bounds for how many there are of something."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A histogram as it was at one moment."""

    bounds: Sequence[float]
    counts: tuple[int, ...]  # of the values up to each bound and above the one before; the last, of those above all
    total: float


class Histogram:
    """Counts values by size. Written by one thread; `read` may be called there only, too."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Counts a value. O(log bounds)."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> Spread:
        """What was counted so far. O(bounds)."""
        return Spread(self._bounds, tuple(self._counts), self._total)
