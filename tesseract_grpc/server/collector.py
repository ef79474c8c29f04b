"""When the garbage collector of the process runs.

Ten thousand open sessions are 800,000 tracked objects, and a full collection over them stops every commit for a good
part of a second; by itself Python would run one whenever some ten thousand objects are new. Little here is garbage in
cycles, though: rows are arrays, and a session that ends is freed with its last reference. What is not freed so is a
derived relation that ends (of groups, joins, window columns), because it and what it reads know each other; and it may
hold much. So full collections are made from here: when relations have ended, and never so often that they would take
more than one part in a thousand of the time.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

INTERVAL = 30.0
"""Seconds between two looks; what has ended waits as long at least."""
SHARE = 1_000
"""Of so many seconds, collections take one."""


def calm() -> None:
    """Lets the collector of this process look at what is new only; full collections are made from here."""
    gc.collect()
    gc.set_threshold(50_000, 20, 1_000_000)


async def keep_collecting(
    ended: Callable[[], int], interval: float = INTERVAL, clock: Callable[[], float] = time.perf_counter
) -> None:
    """Collects when `ended()`, how many derived relations have ended so far, has risen; until cancelled."""
    known, pause = 0, interval
    while True:
        await asyncio.sleep(pause)
        pause = interval
        if (now := ended()) != known:
            known, begun = now, clock()
            gc.collect()
            pause = max(interval, SHARE * (clock() - begun))
