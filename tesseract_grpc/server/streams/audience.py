"""Who watches: the open streams of a hub, by what they watch, and the beat that keeps silent ones talking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.logs import logger, trace_of
from tesseract_grpc.server.streams.stream import Stream
from tesseract_grpc.server.streams.tally import Tally
from tesseract_grpc.server.streams.waves import Waves


class Audience:
    """The streams of one hub. A subject is a session or table that a stream watches; a stream may watch several."""

    def __init__(self) -> None:
        self.tally = Tally()
        """What all of them have sent, closed ones included."""
        self._streams: dict[Hashable, set[Stream]] = {}
        self._subjects: dict[Stream, tuple[Hashable, ...]] = {}
        self._by_id: dict[str, Stream] = {}
        self._waves = Waves()
        self._past_conflations: WeakKeyDictionary[Hashable, int] = WeakKeyDictionary()  # of closed streams

    @contextmanager
    def admit(self, stream: Stream, *subjects: Hashable) -> Iterator[None]:
        """Counts `stream` among those that watch `subjects`, until the block ends."""
        for subject in subjects:
            self._streams.setdefault(subject, set()).add(stream)
        self._subjects[stream] = subjects
        self._by_id[stream.watch_id] = stream
        stream.waves = self._waves
        try:
            yield
        finally:
            self._waves.leave(stream)
            del self._by_id[stream.watch_id]
            for subject in set(self._subjects.pop(stream)):
                self._past_conflations[subject] = self._past_conflations.get(subject, 0) + stream.conflations
                streams = self._streams[subject]
                streams.discard(stream)
                if not streams:
                    del self._streams[subject]

    def move(self, subjects: Mapping[Any, Hashable]) -> None:
        """Who watched a key of `subjects` watches its value from here on, all at once. O(their number)."""
        moved = {new: self._streams.pop(old, set()) for old, new in subjects.items()}
        for new, streams in moved.items():
            if streams:
                self._streams.setdefault(new, set()).update(streams)
        for stream in set().union(*moved.values()):
            self._subjects[stream] = tuple(subjects.get(each, each) for each in self._subjects[stream])

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._by_id)

    def of(self, subject: Hashable) -> int:
        """How many watch `subject`."""
        return len(self._streams.get(subject, ()))

    def streams_of(self, subject: Hashable) -> tuple[Stream, ...]:
        """Those that watch `subject`."""
        return tuple(self._streams.get(subject, ()))

    def all(self) -> Iterator[Stream]:
        """Every open stream."""
        return iter(tuple(self._by_id.values()))

    def find(self, watch_id: str) -> Stream | None:
        """The stream of this name."""
        return self._by_id.get(watch_id)

    def conflations_of(self, subject: Hashable) -> int:
        """How often a watch of `subject` was told a net change for several commits, closed streams included."""
        return self._past_conflations.get(subject, 0) + sum(s.conflations for s in self._streams.get(subject, ()))

    def wake(self, subjects: Iterable[Hashable]) -> None:
        """Lets those who watch one of `subjects` speak, now or in the next wave. O(their number)."""
        for subject in subjects:
            streams = self._streams.get(subject)
            if streams:
                self._waves.concern(streams)

    def remind(self, subjects: Iterable[Hashable]) -> None:
        """History of these is forgotten soon: idle readers are told how far they are. O(their number)."""
        for subject in subjects:
            for stream in self._streams.get(subject, ()):
                stream.remind()

    def end(self, subject: Hashable, refusal: Refusal) -> None:
        """Ends the streams of a subject that is no more."""
        for stream in self._streams.get(subject, ()):
            stream.end(refusal, subject)

    def end_all(self, refusal: Refusal) -> None:
        """Ends every stream."""
        for stream in self._by_id.values():
            stream.end(refusal)

    def beat(self) -> None:
        """Lets every stream that was silent since the last beat say Progress."""
        self._each(Stream.beat)

    def patrol(self) -> None:
        """Ends the streams whose readers have not read for too long. O(streams)."""
        now = time.monotonic()
        self._each(lambda stream: stream.patrol(now))

    def _each(self, step: Callable[[Stream], None]) -> None:
        """Does something to every stream. A bug that one of them meets must not keep it from the others, nor end the
        task for which this is done."""
        for stream in tuple(self._by_id.values()):
            try:
                step(stream)
            except Exception as error:
                logger().error("stream.bug", watch=stream.watch_id, error=type(error).__name__, trace=trace_of(error))


async def keep_beating(audiences: Callable[[], Iterable[Audience]], interval: float) -> None:
    """Beats twice in `interval`, until cancelled, so that no stream is ever silent for longer than it."""
    while True:
        await asyncio.sleep(interval / 2)
        for audience in audiences():
            audience.beat()


async def keep_patrolling(audiences: Callable[[], Iterable[Audience]], patience: float) -> None:
    """Looks for readers that do not read, four times in the time that they are given, until cancelled."""
    while True:
        await asyncio.sleep(patience / 4)
        for audience in audiences():
            audience.patrol()
