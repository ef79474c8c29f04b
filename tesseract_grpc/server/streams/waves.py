"""Whose turn it is: streams speak in waves, so that many readers do not keep commits waiting.

A thousand readers of one session are a thousand messages a commit. If every commit let all of them speak at once, the
next commit would wait behind those messages, and nothing would ever be merged: the more there is to tell, the longer it
takes. So the streams that commits concern are collected, and let speak together. While they do, and for as long again,
commits go on by themselves, and what they add is merged into the next wave. Where there is little to do nobody waits:
the first commit after a pause is told at once.

A wave is over when every stream of it has handed its message over or found nothing to say. A stream whose reader has
not taken the message before does not belong to it; it goes on when the reader has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

SHORT = 0.001
"""Seconds; a wave that takes less keeps nobody waiting."""

LONG = 5.0
"""Seconds after which a wave is over whatever happens: only a bug could make one so long."""


class Speaker(Protocol):
    """A stream, as far as turns are concerned."""

    def wake(self) -> bool:
        """It is its turn; returns whether it will say when it has used it."""


class Waves:
    """The turns of the streams of one hub."""

    def __init__(self) -> None:
        self._next: dict[Speaker, None] = {}  # who speaks in the next wave, in the order of being concerned
        self._speaking: set[Speaker] = set()
        self._begun = 0.0
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None  # when the next wave begins
        self._limit: asyncio.TimerHandle | None = None  # when this one is over in any case

    def concern(self, speakers: Iterable[Speaker]) -> None:
        """These have something to say: now, or in the next wave. O(their number)."""
        self._next.update(dict.fromkeys(speakers))
        if not self._speaking and self._timer is None:
            self._begin_in_time()

    def spoke(self, speaker: Speaker) -> None:
        """It has used its turn, or will not any more. O(1)."""
        if speaker in self._speaking:
            self._speaking.discard(speaker)
            if not self._speaking:
                self._end()

    def leave(self, speaker: Speaker) -> None:
        """It is no more."""
        self._next.pop(speaker, None)
        self.spoke(speaker)

    def _begin_in_time(self) -> None:
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._timer = None
        self._begun = time.monotonic()
        speakers, self._next = self._next, {}
        self._speaking.update(speaker for speaker in speakers if speaker.wake())
        if self._speaking:
            self._limit = asyncio.get_running_loop().call_later(LONG, self._end)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        self._speaking.clear()
        now = time.monotonic()
        took = now - self._begun
        self._not_before = now + took if took > SHORT else now
        if self._next:
            self._begin_in_time()
