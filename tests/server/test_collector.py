"""Full collections: when something waits for them, and seldom enough."""

from __future__ import annotations

import asyncio
import gc

from tesseract_grpc.server.collector import SHARE, keep_collecting


class Collections:
    """Counts full collections, and how long the clock says that they take."""

    def __init__(self, seconds: float) -> None:
        self.count = 0
        self.now = 0.0
        self._seconds = seconds

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] == 2 and phase == "stop":
            self.count += 1
            self.now += self._seconds


async def collected(ended: list[int], seconds: float, patience: float) -> int:
    """How many full collections there are while relations end."""
    collections = Collections(seconds)
    gc.callbacks.append(collections)
    looks = iter(ended)
    task = asyncio.create_task(keep_collecting(lambda: next(looks, ended[-1]), 0.01, lambda: collections.now))
    try:
        await asyncio.sleep(patience)
    finally:
        task.cancel()
        gc.callbacks.remove(collections)
    return collections.count


async def test_only_when_something_ended() -> None:
    assert await collected([0], 0.0, 0.3) == 0
    assert await collected([0, 0, 4, 4, 4, 9], 0.0, 1.0) == 2


async def test_never_more_than_a_small_share_of_the_time() -> None:
    assert await collected(list(range(1, 1_000)), 60 / SHARE, 0.5) == 1
