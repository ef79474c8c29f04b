"""What busy paths count into. All of it belongs to the event loop: no locks, nothing but additions."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from tesseract_grpc.server.metrics.histogram import COUNTS, LONG, Histogram

R = TypeVar("R")
Answer = Callable[[Any, Any], Awaitable[R]]
"""A handler: a request or several, and the context of the call."""

STATUS: ContextVar[str] = ContextVar("status", default="CANCELLED")
"""The name of the status code that the present call is ended with; a call that raises without one was broken off."""


class BackupMeters:
    """What backups of one hub have sent."""

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()  # by outcome
        self.rows = 0
        self.sent_bytes = 0


class HubMeters:
    """What happens in one hub, counted since the start."""

    def __init__(self) -> None:
        self.commit_flush_seconds = Histogram()  # a change, from being proposed to being durable
        self.commit_apply_seconds = Histogram()  # a change, in the engine
        self.log_flush_seconds = Histogram()  # one flush of the log
        self.log_flush_records = Histogram(COUNTS)  # the changes that share a flush
        self.snapshot_seconds = Histogram(LONG)  # making one, while commits go on
        self.refused_writes: Counter[str] = Counter()  # by reason
        self.backups = BackupMeters()

    def refuse(self, error: Exception) -> None:
        """Counts a write that was refused."""
        self.refused_writes[str(getattr(error, "reason", "INTERNAL"))] += 1


class CallMeters:
    """The calls that were answered, by method, and how long the unary ones took."""

    __slots__ = ("ended", "open", "seconds")

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()  # by method and code
        self.open: Counter[str] = Counter()
        self.seconds: dict[str, Histogram] = {}

    def measured(self, method: str, answer: Answer[R], *, timed: bool = False) -> Answer[R]:
        """The same handler, measured."""
        seconds = Histogram()
        if timed:
            self.seconds[method] = seconds

        async def answer_measured(request: Any, context: Any) -> R:
            self.open[method] += 1
            begun = time.perf_counter()
            code = "OK"
            try:
                return await answer(request, context)
            except BaseException:
                code = STATUS.get()
                raise
            finally:
                self.open[method] -= 1
                self.ended[method, code] += 1
                if timed:
                    seconds.observe(time.perf_counter() - begun)

        return answer_measured
