"""What tests of tasks do differently from tests of threads. The twin of this file is `tests/client/sync/support.py`."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def eventually(predicate: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Waits until something is true; returns what it is then."""
    async with asyncio.timeout(seconds):
        while not (found := predicate()):  # noqa: ASYNC110  # what is waited for may happen in a thread
            await asyncio.sleep(0.005)
    return found


async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


class Aside:
    """A coroutine function that runs beside the test."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._task = asyncio.ensure_future(work())

    async def result(self) -> Any:
        return await asyncio.wait_for(self._task, 10)


def state_of(thing: Any) -> str:
    """The state as a plain text: the type checker believes that a state which was looked at once stays."""
    state: str = thing.state
    return state
