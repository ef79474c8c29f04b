"""Who watches: the open streams of a hub, by what they watch, and the beat that keeps silent ones talking."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager

from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.streams.stream import Stream


class Audience:
    """The streams of one hub. A subject is the session or table that a stream watches."""

    def __init__(self) -> None:
        self._streams: dict[Hashable, set[Stream]] = {}
        self.count = 0

    @contextmanager
    def admit(self, subject: Hashable, stream: Stream) -> Iterator[None]:
        """Counts `stream` among those that watch `subject`, until the block ends."""
        self._streams.setdefault(subject, set()).add(stream)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
            streams = self._streams[subject]
            streams.discard(stream)
            if not streams:
                del self._streams[subject]

    def of(self, subject: Hashable) -> int:
        """How many watch `subject`."""
        return len(self._streams.get(subject, ()))

    def wake(self, subjects: Iterable[Hashable]) -> None:
        """Wakes those who watch one of `subjects`. O(their number)."""
        for subject in subjects:
            for stream in self._streams.get(subject, ()):
                stream.wake()

    def end(self, subject: Hashable, refusal: Refusal) -> None:
        """Ends the streams of a subject that is no more."""
        for stream in self._streams.get(subject, ()):
            stream.end(refusal)

    def end_all(self, refusal: Refusal) -> None:
        """Ends every stream."""
        for streams in self._streams.values():
            for stream in streams:
                stream.end(refusal)

    def beat(self) -> None:
        """Lets every stream that was silent since the last beat say Progress."""
        for streams in self._streams.values():
            for stream in streams:
                stream.beat()


async def keep_beating(audiences: Iterable[Audience], interval: float) -> None:
    """Beats twice in `interval`, until cancelled, so that no stream is ever silent for longer than it."""
    everyone = tuple(audiences)
    while True:
        await asyncio.sleep(interval / 2)
        for audience in everyone:
            audience.beat()
