# Generated from tesseract_grpc/client/aio/handlers.py by tools/generate_sync_client.py: edit that file and run it.
"""Functions that users register for events. One that raises is logged and does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..core.errors import invalid
from .runtime import call_handler

logger = logging.getLogger("tesseract_grpc.client")

Handler = Callable[[Any], Any]


class Handlers:
    """The handlers of some events, by the name of the event."""

    def __init__(self, *events: str) -> None:
        self._handlers: dict[str, tuple[Handler, ...]] = dict.fromkeys(events, ())

    def check(self, event: str) -> None:
        """Refuses events that do not exist."""
        if event not in self._handlers:
            raise invalid(
                "MALFORMED_REQUEST", f"unknown event {event!r}; known are {', '.join(self._handlers)}", "event"
            )

    def add(self, event: str, handler: Handler) -> Callable[[], None]:
        """Registers a handler; returns a function that takes it away again."""
        self.check(event)
        entry = _Entry(handler)
        self._handlers[event] += (entry,)

        def remove() -> None:
            self._handlers[event] = tuple(other for other in self._handlers[event] if other is not entry)

        return remove

    def wants(self, event: str) -> bool:
        """Whether anybody listens."""
        return bool(self._handlers[event])

    @property
    def any(self) -> bool:
        """Whether anybody listens to anything."""
        return any(self._handlers.values())

    def emit(self, event: str, value: Any) -> None:
        """Calls the handlers of an event, one after the other."""
        for handler in self._handlers[event]:
            try:
                call_handler(handler, value)
            except Exception:
                logger.exception("a handler of %r failed", event)


class _Entry:
    """A registration: the same function may be registered twice."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, value: Any) -> Any:
        return self._handler(value)
