"""What a handler may know of the call that it answers."""

from __future__ import annotations

import asyncio
from typing import Any

from tesseract_grpc.server.auth import PRINCIPAL, require
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.tokens import Role


class Call:
    """One call in progress."""

    __slots__ = ("_context", "_task", "begun", "cut", "method", "subject")

    def __init__(self, method: str, context: Any) -> None:
        self.method = method
        self.cut: Refusal | None = None
        """Why the call is ended while it waits for its client."""
        self.subject: Subject | None = None
        """What it is about, where somebody debugs."""
        self.begun = 0.0
        """When it began, by the clock that measures, where somebody debugs."""
        self._context = context
        self._task = asyncio.current_task()

    @property
    def peer(self) -> str:
        """The network address of the client."""
        return str(self._context.peer())

    def remaining(self) -> float | None:
        """Seconds to the call's deadline; None when it has none."""
        remaining: float | None = self._context.time_remaining()
        return remaining

    def require(self, role: Role) -> None:
        """Raises Refusal unless the caller has the role."""
        require(PRINCIPAL.get(), role)

    def cut_off(self, refusal: Refusal) -> None:
        """Ends the call, whatever its handler waits for: what it holds is let go at once, and the client is told why
        when it reads again."""
        if self.cut is None and self._task is not None:
            self.cut = refusal
            self._task.cancel()
