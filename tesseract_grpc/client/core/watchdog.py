"""Notices silence: a stream that a reader waits on and that says nothing for too long.

A watch is told how often Progress comes. While it waits for the next message, and only then (a reader who does not
read is not a server that does not write), the watchdog counts; three intervals without a message mean that the stream
is stale. The timer is not restarted for every message, which would cost more than the message: it looks, when it
fires, how long is left.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

MISSED_INTERVALS = 3


class Timer(Protocol):
    """Something that happens later and can be called off."""

    def cancel(self) -> Any: ...


Later = Callable[[float, Callable[[], None]], Timer]


class Watchdog:
    """Calls `on_silence`, a bound method that it holds weakly, when a wait lasts longer than it may."""

    def __init__(self, later: Later, clock: Callable[[], float], on_silence: Callable[[], None]) -> None:
        self._later, self._clock = later, clock
        self._on_silence = weakref.WeakMethod(on_silence)
        self._deadline: float | None = None
        self._timer: Timer | None = None
        self._fires_at = 0.0

    def wait(self, seconds: float) -> None:
        """A wait begins; it may last this long."""
        self._deadline = self._clock() + seconds
        if self._timer is None:
            self._start(seconds)
        elif self._deadline < self._fires_at:  # the stream turned out to be more talkative than it was expected to be
            self._timer.cancel()
            self._start(seconds)

    def heard(self) -> None:
        """The wait is over."""
        self._deadline = None

    def stop(self) -> None:
        """No more waits."""
        self._deadline = None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _start(self, seconds: float) -> None:
        alive = weakref.ref(self)
        self._fires_at = self._clock() + seconds

        def fire() -> None:
            watchdog = alive()
            if watchdog is not None:
                watchdog._look()

        self._timer = self._later(seconds, fire)

    def _look(self) -> None:
        self._timer, deadline = None, self._deadline
        if deadline is None:
            return
        left = deadline - self._clock()
        if left > 0:
            self._start(left)
            return
        on_silence = self._on_silence()
        if on_silence is not None:
            on_silence()
