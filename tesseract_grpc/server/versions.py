"""Waiting until a version is visible, so that a client reads its own writes wherever it made them.

A wait is bounded by the deadline of its call and by the server's own maximum. Where neither lets the version come,
the answer is UNAVAILABLE with a time to try again.
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from tesseract_grpc.server.errors import Refusal, ServerReason

RETRY_AFTER = 1.0
"""Seconds after which a client may ask again."""

ANSWER_TIME = 0.1
"""Seconds kept back from a call's deadline, so that it is answered with a reason and not cut off."""


class VersionGate:
    """The reads of one hub that wait for a version."""

    def __init__(self, version: int, max_wait: float) -> None:
        self._version = version
        self._max_wait = max_wait
        self._order = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    def advance(self, version: int) -> None:
        """Lets through those who wait for `version` or less. O(log n) for each of them."""
        self._version = version
        while self._waiting and self._waiting[0][0] <= version:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)

    async def wait(self, version: int, remaining: float | None, field: str = "min_version") -> None:
        """Returns when `version` is visible. `remaining` is the time to the call's deadline, None without one.

        Raises Refusal, naming the `field` of the request that asks for the version.
        """
        if version <= self._version:
            return
        patience = self._max_wait if remaining is None else min(self._max_wait, max(0.0, remaining - ANSWER_TIME))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (version, next(self._order), future))
        try:
            await asyncio.wait_for(future, patience)
        except TimeoutError:
            raise Refusal(
                ServerReason.VERSION_NOT_REACHED,
                f"version {version} was not reached in {patience:.3g} s; the hub is at {self._version}",
                field=field,
                metadata={"version": str(self._version)},
                retry_after=RETRY_AFTER,
            ) from None
        finally:
            self._forget_done()

    def _forget_done(self) -> None:
        # A wait that ended early stays in the heap; drop such entries when they are the majority.
        alive = [entry for entry in self._waiting if not entry[2].done()]
        if len(alive) * 2 < len(self._waiting):
            heapq.heapify(alive)
            self._waiting = alive

    def end(self, refusal: Refusal) -> None:
        """Ends every wait."""
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(refusal)
        self._waiting.clear()

    def __len__(self) -> int:
        return sum(not future.done() for _, _, future in self._waiting)
