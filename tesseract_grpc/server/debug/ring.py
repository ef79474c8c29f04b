"""The newest records of a hub, bounded in number and in bytes.

A record is named by its sequence, which rises by one and never starts anew, so whoever reads by sequence sees what has
left in between. Readers hold no place in the ring: they come with the sequence that they are at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from tesseract_grpc.server.debug.record import Record

MOST_BYTES = 67_108_864
"""About the most that the records of one hub take."""


class Ring:
    """Records by sequence; the oldest leave first."""

    def __init__(self, capacity: int, most_bytes: int = MOST_BYTES) -> None:
        self.capacity = capacity
        self.dropped = 0
        """How many left because there were too many."""
        self.first = 1
        """The sequence of the oldest; that of the next one when there is none."""
        self.next = 1
        """The sequence that the next one gets."""
        self.news = asyncio.Event()
        """Set when one has come; whoever waits for it clears it, after having looked."""
        self._cleared = 1  # the sequence that the next one had when all were forgotten on demand
        self._most_bytes = most_bytes
        self._records: dict[int, Record] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Record) -> None:
        """Keeps a record, and lets the oldest go where there are too many. O(1)."""
        record.sequence = self.next
        self._records[self.next] = record
        self.next += 1
        self._bytes += record.size
        if len(self._records) > self.capacity or self._bytes > self._most_bytes:
            self._shrink()
        self.news.set()

    def resize(self, capacity: int) -> None:
        """Keeps at most so many from now on. O(those that leave)."""
        self.capacity = capacity
        self._shrink()

    def clear(self) -> int:
        """Forgets all; returns how many there were. Sequences go on."""
        count = len(self._records)
        self._records.clear()
        self._bytes = 0
        self.first = self._cleared = self.next
        return count

    def missed(self, sequence: int) -> int:
        """How many left that a reader who is at this sequence was not shown; those that were cleared do not count."""
        return max(0, self.first - max(sequence, self._cleared))

    def since(self, sequence: int) -> Iterator[Record]:
        """The records from a sequence on, oldest first. Those that leave while it is read are passed over."""
        at = max(sequence, self.first)
        while at < self.next:
            found = self._records.get(at)
            if found is not None:
                yield found
            at = max(at + 1, self.first)

    def _shrink(self) -> None:
        while self._records and (len(self._records) > self.capacity or self._bytes > self._most_bytes):
            self._bytes -= self._records.pop(self.first).size
            self.first += 1
            self.dropped += 1

    def check(self) -> None:
        """Proves that the records are those between `first` and `next`, and that their bytes are counted."""
        assert list(self._records) == list(range(self.first, self.next)), "the ring has a hole"
        assert self._bytes == sum(record.size for record in self._records.values()), "bytes are miscounted"
        assert len(self._records) <= self.capacity, "the ring holds too many"
