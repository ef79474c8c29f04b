"""Explains slow queries, aside from whoever asked them.

To tell how a query is evaluated it is evaluated once more, and that happens on the loop like everything else. So it is
done one query at a time, for at most a twentieth of the time, and not again for a query whose plan was told in the
last minute. Where more slow queries come than can be explained, the others are recorded without a plan.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.server.debug.plan_text import Asked
from tesseract_grpc.server.debug.record import Record
from tesseract_grpc.server.debug.ring import Ring
from tesseract_grpc.server.logs import logger, trace_of

WAITING = 16
"""So many slow queries wait to be explained."""
SHARE = 20
"""After a plan that took a second, so many seconds are left to others."""
FRESH = 60.0
"""Seconds for which a plan is told again instead of being made again."""
KNOWN = 64
"""So many plans are known."""


@dataclass(slots=True)
class Slow:
    """A slow query, with the record that lacks its plan."""

    asked: Asked
    record: Record


class SlowQueries:
    """The slow queries of one hub that wait for their plans."""

    def __init__(self, ring: Ring, explain: Callable[[Asked], str]) -> None:
        """`explain` gives the text of a plan; it raises what the engine raises."""
        self._ring = ring
        self._explain = explain
        self._waiting: deque[Slow] = deque()
        self._plans: dict[Asked, tuple[float, str]] = {}
        self._task: asyncio.Task[None] | None = None

    def offer(self, asked: Asked, record: Record) -> None:
        """Records a slow query, with its plan when that is there. O(1); never raises."""
        if len(self._waiting) >= WAITING:
            self._keep(record, left_out="too many queries were slow")
            return
        self._waiting.append(Slow(asked, record))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """Those that wait are recorded without a plan."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        while self._waiting:
            self._keep(self._waiting.popleft().record, left_out="debug mode was set otherwise")

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # whoever asked is answered first
            if not self._waiting:
                return
            pause = self._tell(self._waiting.popleft())
            if self._waiting:
                await asyncio.sleep(pause)

    def _tell(self, slow: Slow) -> float:
        """Records one; returns how long others have the loop to themselves now."""
        begun = time.perf_counter()
        try:
            known = self._plans.get(slow.asked)
        except TypeError:  # a query with a part that cannot be compared
            known = None
        if known is not None and begun - known[0] < FRESH:
            self._keep(slow.record, plan=known[1])
            return 0.0
        try:
            text = self._explain(slow.asked)
        except EngineError as error:
            self._keep(slow.record, left_out=f"it cannot be told any more: {error.reason}")
        except Exception as error:  # a bug; the record matters more than its plan
            logger().error("debug.plan_failed", error=type(error).__name__, trace=trace_of(error))
            self._keep(slow.record, left_out=f"it could not be told: {type(error).__name__}")
        else:
            self._remember(slow.asked, begun, text)
            self._keep(slow.record, plan=text)
        return SHARE * (time.perf_counter() - begun)

    def _remember(self, asked: Asked, now: float, text: str) -> None:
        if len(self._plans) >= KNOWN:
            del self._plans[next(iter(self._plans))]
        try:
            self._plans[asked] = now, text
        except TypeError:
            return

    def _keep(self, record: Record, *, plan: str = "", left_out: str = "") -> None:
        told = {"plan": plan} if plan else {"plan_left_out": left_out}
        record.details = {**record.details, **told}
        self._ring.add(record)
