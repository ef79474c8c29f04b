"""Whether the event loop is on time: a task that sleeps and looks how late it was woken."""

from __future__ import annotations

import asyncio
import time

from tesseract_grpc.server.metrics.histogram import Histogram

INTERVAL = 0.1
"""Seconds between two looks."""


class LoopLag:
    """How late the loop was. `overdue` may be asked by any thread; while the loop is held up it is the only witness."""

    def __init__(self) -> None:
        self.histogram = Histogram()
        self._due = time.monotonic() + INTERVAL

    def overdue(self) -> float:
        """Seconds for which the loop should have run already and has not."""
        return max(0.0, time.monotonic() - self._due)

    async def watch(self) -> None:
        """Looks every `INTERVAL`, until cancelled."""
        while True:
            self._due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            self.histogram.observe(self.overdue())
