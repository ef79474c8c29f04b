"""What a handler may know of the call that it answers."""

from __future__ import annotations

from typing import Any

from tesseract_grpc.server.auth import PRINCIPAL, require
from tesseract_grpc.server.tokens import Role


class Call:
    """One call in progress."""

    __slots__ = ("_context", "method")

    def __init__(self, method: str, context: Any) -> None:
        self.method = method
        self._context = context

    def remaining(self) -> float | None:
        """Seconds to the call's deadline; None when it has none."""
        remaining: float | None = self._context.time_remaining()
        return remaining

    def require(self, role: Role) -> None:
        """Raises Refusal unless the caller has the role."""
        require(PRINCIPAL.get(), role)
