"""A log in memory: for tests, and for hubs that may be lost."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import dropwhile

from tesseract_grpc.engine.data.commit_log import Durability, LogEntry, LogFailed, StoredSnapshot


class MemoryLog:
    """The entries of one hub, as long as the process lives."""

    durability = Durability.MEMORY

    def __init__(self, epoch: str | None = None) -> None:
        self.epoch = epoch or secrets.token_hex(8)
        self.secret = secrets.token_bytes(32)
        self.since = self.last = self.durable = 0
        self._entries: deque[LogEntry] = deque()
        self._snapshot: tuple[int, list[bytes]] | None = None
        self._closed = False

    def append(self, entry: LogEntry) -> None:
        """Takes an entry. O(1). Raises LogFailed when the log is closed."""
        if self._closed:
            raise LogFailed("the log is closed")
        assert entry.position == self.last + 1, "positions rise by one"
        self._entries.append(entry)
        self.last = entry.position

    def flush(self) -> int:
        """Entries are as durable as they will ever be."""
        self.durable = self.last
        return self.durable

    def read(self, after: int) -> Iterator[LogEntry]:
        """The entries after a position."""
        assert after >= self.since, "these entries were forgotten"
        return dropwhile(lambda entry: entry.position <= after, list(self._entries))

    def write_snapshot(self, position: int, pieces: Iterable[bytes]) -> None:
        """Keeps the state at a position."""
        self._snapshot = (position, list(pieces))

    def load_snapshot(self) -> StoredSnapshot | None:
        """The newest snapshot."""
        return None if self._snapshot is None else StoredSnapshot(self._snapshot[0], iter(self._snapshot[1]))

    def trim(self, position: int) -> None:
        """Forgets entries that the snapshot holds. O(forgotten)."""
        held = 0 if self._snapshot is None else self._snapshot[0]
        while self._entries and self._entries[0].position <= min(position, held):
            self.since = self._entries.popleft().position

    def close(self) -> None:
        """Takes nothing more."""
        self.flush()
        self._closed = True
