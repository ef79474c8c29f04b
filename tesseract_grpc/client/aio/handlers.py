"""Functions that users register for events. One that raises is logged and does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from ..core.errors import invalid
from ..core.words import snake
from .runtime import call_handler

logger = logging.getLogger("tesseract_grpc.client")

Handler = Callable[..., Any]


class AsyncHandlers:
    """The handlers of some events, by the name of the event."""

    def __init__(self, *events: str) -> None:
        self._handlers: dict[str, tuple[_Entry, ...]] = dict.fromkeys(events, ())

    def check(self, event: str) -> None:
        """Refuses events that do not exist, and names the nearest that does."""
        if event in self._handlers:
            return
        known, near = ", ".join(self._handlers), _nearest(event, list(self._handlers))
        meant = f"did you mean {near!r}? " if near else ""
        raise invalid("MALFORMED_REQUEST", f"unknown event {event!r}; {meant}known are {known}", "event")

    def add(self, event: str, handler: Handler, *, takes: int = 1, once: bool = False) -> Callable[[], None]:
        """Registers a handler; returns a function that takes it away again. It is given the first `takes` values of
        what is told; with `once`, one time only."""
        self.check(event)
        entry = _Entry(handler, takes, once)
        self._handlers[event] += (entry,)

        def remove() -> None:
            self._remove(event, entry)

        return remove

    def off(self, event: str, handler: Handler | None = None) -> int:
        """Takes a handler away, every time that it is registered; without one, all of them. Returns how many."""
        self.check(event)
        before = self._handlers[event]
        left = () if handler is None else tuple(entry for entry in before if entry.handler != handler)
        self._handlers[event] = left
        return len(before) - len(left)

    def _remove(self, event: str, entry: _Entry) -> bool:
        before = self._handlers[event]
        left = self._handlers[event] = tuple(other for other in before if other is not entry)
        return len(left) < len(before)

    def wants(self, *events: str) -> bool:
        """Whether anybody listens to one of them."""
        return any(self._handlers[event] for event in events)

    @property
    def any(self) -> bool:
        """Whether anybody listens to anything."""
        return any(self._handlers.values())

    async def emit(self, event: str, *values: Any) -> None:
        """Calls the handlers of an event, one after the other."""
        for entry in self._handlers[event]:
            if entry.once and not self._remove(event, entry):
                continue  # it has been called, or was taken away
            try:
                await call_handler(entry.handler, *values[: entry.takes])
            except Exception:
                logger.exception("a handler of %r failed", event)


class _Entry:
    """A registration: the same function may be registered twice."""

    def __init__(self, handler: Handler, takes: int, once: bool) -> None:
        self.handler, self.takes, self.once = handler, takes, once


def _nearest(event: str, known: list[str]) -> str:
    """The event that somebody meant, most likely; empty when nothing is near."""
    meant = snake(str(event))
    return meant if meant in known else next(iter(get_close_matches(meant, known, 1, 0.5)), "")
