"""An open loop: work that starts at fixed times, whether or not the work before it has ended.

A closed loop waits for a slow server and so leaves out the very moments that hurt; here a call that starts late counts
from when it should have started.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def open_loop(rate: float, until: Callable[[], bool], work: Callable[[int, float], Awaitable[None]]) -> int:
    """Start `work(number, intended time)` `rate` times a second until `until()`; return how many were started.

    Times are those of `time.monotonic`, which all processes of a machine share.
    """
    start = time.monotonic()
    number = 0
    async with asyncio.TaskGroup() as tasks:
        while not until():
            intended = start + number / rate
            await asyncio.sleep(max(0.0, intended - time.monotonic()))
            tasks.create_task(_run(work, number, intended))
            number += 1
    return number


async def _run(work: Callable[[int, float], Awaitable[None]], number: int, intended: float) -> None:
    await work(number, intended)


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return an `until` that ends a loop after some seconds from now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
