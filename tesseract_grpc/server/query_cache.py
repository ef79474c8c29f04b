"""Answers of queries that are asked once, kept until something that they read changes.

A query that is asked again, word for word and with the same window, gets the bytes that it got before, as long as they
are still true. Nobody tells the cache of changes: an answer remembers what it was made of, and is compared with what
there is when it is asked for. So a commit costs nothing here, and what nobody asks for again is not looked at.

What an answer follows from is told in `query_reading.py`. What is kept are the messages without their version: an
answer that is still true is true at the present version, and that is what whoever asks again is told; who has read a
write of his own is never told an earlier one.

The cache is bounded in bytes. What was not asked for the longest leaves first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tesseract_grpc.server.codec import twin

if TYPE_CHECKING:
    from tesseract_grpc.server.host import Host
    from tesseract_grpc.server.query_reading import Reading

SHARE = 8
"""One answer may take this part of the cache."""

OVERHEAD = 600
"""What an answer takes beside its bytes and its question: measured on answers over one table."""

Asked = twin.table_service.QueryRequest | twin.table_service.QueryStreamRequest


def question(request: Asked) -> bytes:
    """What makes two requests the same question: the query and the window, and whether pages or pieces are wanted."""
    query = request.query.SerializeToString(deterministic=True)
    kind = b"page" if isinstance(request, twin.table_service.QueryRequest) else b"whole"
    return b"%s %d %s%s" % (kind, len(query), query, request.window.SerializeToString(deterministic=True))


def at_version(message: bytes, version: int) -> bytes:
    """A message of a query that says at which version it is true: field 4 of both, a varint."""
    if not version:
        return message
    tail = bytearray(b"\x20")
    while version > 0x7F:
        tail.append(version & 0x7F | 0x80)
        version >>= 7
    tail.append(version)
    return message + tail


class _Answer:
    """An answer: its messages without their version, and what they follow from."""

    __slots__ = ("messages", "reading", "size")

    def __init__(self, messages: Sequence[bytes], reading: Reading, size: int) -> None:
        self.messages = tuple(messages)
        self.reading = reading
        self.size = size


@dataclass(slots=True)
class CacheCounts:
    """What a cache has done since it was cleared."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    invalidations: int = 0


class QueryCache:
    """The answers of one hub. All of it is for the loop's thread."""

    def __init__(self, host: Host, capacity: int) -> None:
        """`capacity` is in bytes; 0 keeps nothing."""
        self.capacity = capacity
        self.bytes = 0
        self.counts = CacheCounts()
        self._total = CacheCounts()  # of before it was cleared
        self._host = host
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._collected = 0  # bytes of answers that are still being sent

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def total(self) -> CacheCounts:
        """The counts since the start."""
        before, now = self._total, self.counts
        return CacheCounts(
            before.hits + now.hits,
            before.misses + now.misses,
            before.evictions + now.evictions,
            before.invalidations + now.invalidations,
        )

    @property
    def largest(self) -> int:
        """The most bytes of one answer."""
        return self.capacity // SHARE

    def find(self, asked: bytes) -> Sequence[bytes] | None:
        """The messages of an answer that is true now, without their version. O(tables and sessions read)."""
        if not self.capacity:
            return None
        answer = self._answers.get(asked)
        if answer is None:
            self.counts.misses += 1
            return None
        if not answer.reading.holds(self._host):
            self._drop(asked)
            self.counts.invalidations += 1
            self.counts.misses += 1
            return None
        self._answers.move_to_end(asked)
        self.counts.hits += 1
        return answer.messages

    def keep(self, asked: bytes, messages: Sequence[bytes], reading: Reading | None) -> None:
        """Keeps an answer, where there is room. O(1) amortised."""
        size = sum(map(len, messages)) + len(asked) + OVERHEAD
        if reading is None or size > self.largest:
            return
        if asked in self._answers:  # two have asked at the same time
            self._drop(asked)
        self._answers[asked] = _Answer(messages, reading, size)
        self.bytes += size
        while self.bytes > self.capacity:
            self._drop(next(iter(self._answers)))
            self.counts.evictions += 1

    def collector(self, asked: bytes, reading: Reading | None) -> Collector:
        """What takes an answer piece by piece, and has it kept when it is whole."""
        return Collector(self, asked, reading)

    def clear(self) -> int:
        """Forgets all answers and counts; returns how many answers there were."""
        cleared = len(self._answers)
        self._answers.clear()
        self.bytes = 0
        self._total, self.counts = self.total, CacheCounts()
        return cleared

    def _drop(self, asked: bytes) -> None:
        self.bytes -= self._answers.pop(asked).size

    def check(self) -> None:
        """Proves that sizes add up, and that no answer takes more than there is room for."""
        assert self.bytes == sum(answer.size for answer in self._answers.values()), "sizes do not add up"
        assert self.bytes <= self.capacity, "the cache is larger than it may be"


class Collector:
    """An answer on its way to a client: it is kept only if all of it was sent, and is not too large.

    What is collected by all of them together is bounded as the cache is. Use it in a `with` block.
    """

    def __init__(self, cache: QueryCache, asked: bytes, reading: Reading | None) -> None:
        self._cache = cache
        self._asked = asked
        self._reading = reading
        self._messages: list[bytes] | None = None if reading is None or not cache.capacity else []
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._let_go()

    def add(self, message: bytes) -> None:
        """The next message, without its version."""
        if self._messages is None:
            return
        self._messages.append(message)
        self._size += len(message)
        self._cache._collected += len(message)
        if self._size > self._cache.largest or self._cache._collected > self._cache.capacity:
            self._let_go()

    def done(self) -> None:
        """That was all of it."""
        if self._messages is not None:
            self._cache.keep(self._asked, self._messages, self._reading)
            self._let_go()

    def _let_go(self) -> None:
        if self._messages is not None:
            self._cache._collected -= self._size
            self._messages, self._size = None, 0
