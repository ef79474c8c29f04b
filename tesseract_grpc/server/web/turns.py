"""Long work in short turns: whoever has a lot to do lets others run now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

TURN = 0.005
"""Seconds."""


async def in_turns(work: Iterable[T]) -> list[T]:
    """What an iterable gives; others run between two of its items whenever a turn is over."""
    found: list[T] = []
    begun = time.perf_counter()
    for item in work:
        found.append(item)
        if time.perf_counter() - begun > TURN:
            await asyncio.sleep(0)
            begun = time.perf_counter()
    return found
