"""A log in memory: for tests, and for hubs that may be lost."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterator
from itertools import dropwhile
from typing import ClassVar

from tesseract_grpc.engine.data.commit_log import (
    Durability,
    LogEntry,
    LogFailed,
    SnapshotInfo,
    SnapshotWriter,
    StoredSnapshot,
)

_KEPT = 2
"""So many snapshots are kept at least."""


class MemoryLog:
    """The entries of one hub, as long as the process lives."""

    shared: ClassVar[bool] = False
    durability = Durability.MEMORY

    def __init__(self, epoch: str | None = None) -> None:
        self.epoch = epoch or secrets.token_hex(8)
        self.secret = secrets.token_bytes(32)
        self.since = self.last = self.durable = 0
        self.cut = 0
        self._entries: deque[LogEntry] = deque()
        self._snapshots: list[tuple[SnapshotInfo, list[bytes]]] = []  # the newest last
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

    def begin_snapshot(self) -> SnapshotWriter:
        """A new snapshot."""
        return _Writer(self._snapshots)

    def load_snapshot(self, at_most: int | None = None) -> StoredSnapshot | None:
        """The newest snapshot, and at or before a position if there is such a one."""
        kept = self._snapshots
        if at_most is not None and not self.since and min((s.position for s, _ in kept), default=0) > at_most:
            return None
        fitting = [each for each in kept if at_most is None or each[0].position <= at_most] or kept[:1]
        return StoredSnapshot(fitting[-1][0].position, iter(fitting[-1][1])) if fitting else None

    @property
    def newest_snapshot(self) -> SnapshotInfo | None:
        """The newest snapshot."""
        return self._snapshots[-1][0] if self._snapshots else None

    @property
    def bytes(self) -> int:
        """What entries and snapshots take. O(entries)."""
        return sum(len(entry.payload) for entry in self._entries) + sum(info.bytes for info, _ in self._snapshots)

    def trim(self, position: int) -> None:
        """Forgets what nobody needs who asks for states from a position on. O(forgotten)."""
        kept = self._snapshots
        older = [each for each in kept if each[0].position <= position]
        if not older or len(kept) < _KEPT:
            return
        younger = [each for each in kept if each[0].position > position]
        needed = [older[-1], *younger[:1], *kept[-_KEPT:]]
        kept[:] = [each for each in kept if each in needed]
        while self._entries and self._entries[0].position <= kept[0][0].position:
            self.since = self._entries.popleft().position

    def reopen(self) -> None:
        """A log in memory does not fail."""
        raise LogFailed("the log is closed" if self._closed else "the log has not failed")

    def close(self) -> None:
        """Takes nothing more."""
        self.flush()
        self._closed = True


class _Writer:
    """A snapshot that is being gathered."""

    def __init__(self, kept: list[tuple[SnapshotInfo, list[bytes]]]) -> None:
        self._kept = kept
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        """Takes a piece."""
        self._pieces.append(piece)

    def keep(self, position: int) -> None:
        """Keeps it as the state at a position."""
        self._kept[:] = [each for each in self._kept if each[0].position != position]
        self._kept.append((SnapshotInfo(position, time.time(), sum(map(len, self._pieces))), self._pieces))

    def discard(self) -> None:
        """Keeps nothing of it."""
        self._pieces = []
