"""What tests of threads do differently from tests of tasks. The twin of this file is `tests/client/aio/support.py`."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def eventually(predicate: Callable[[], Any], seconds: float = 5.0) -> Any:
    """Waits until something is true; returns what it is then."""
    end = time.monotonic() + seconds
    while not (found := predicate()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.005)
    return found


def pause(seconds: float) -> None:
    time.sleep(seconds)


class Aside:
    """A function that runs beside the test."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(work)

    def result(self) -> Any:
        try:
            return self._future.result(10)
        finally:
            self._pool.shutdown(wait=False)


def state_of(thing: Any) -> str:
    """The state as a plain text: the type checker believes that a state which was looked at once stays."""
    state: str = thing.state
    return state
