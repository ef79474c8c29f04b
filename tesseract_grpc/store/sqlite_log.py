"""A log in a directory: entries in SQLite in WAL mode, snapshots in files.

Entries gather in memory until `flush` writes them in one transaction, so many entries cost one sync of the disk. With
FSYNC a transaction is on the disk when `flush` returns; with NORMAL the operating system has it, and the disk will.

Every entry carries a checksum over itself and the checksum of the one before it, so that an entry that is broken,
missing or of another history is found when the log is opened. At the end that is a torn tail: SQLite never
acknowledged it, it is cut off, and `cut` says how much. In the middle it is damage, and the log does not open.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from tesseract_grpc.engine.data.commit_log import Durability, LogDamaged, LogEntry, LogFailed, StoredSnapshot
from tesseract_grpc.store.directory import DataDirectory
from tesseract_grpc.store.snapshot_files import SnapshotFiles

_Row = tuple[int, int, bytes, int]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    position INTEGER PRIMARY KEY, kind INTEGER NOT NULL, payload BLOB NOT NULL, chain INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS start (
    only INTEGER PRIMARY KEY CHECK (only = 1), since INTEGER NOT NULL, chain INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO start VALUES (1, 0, 0);
"""
_PAGE = 1_000
"""Entries read at once."""


class SqliteLog:
    """The entries of one hub in a directory. Raises LogFailed, LogDamaged when it cannot be opened."""

    def __init__(self, path: Path, durability: Durability = Durability.FSYNC) -> None:
        if durability is Durability.MEMORY:
            raise ValueError("a log on a disk is not kept in memory; use MemoryLog")
        self.durability = durability
        self.directory = DataDirectory(path)
        self.cut = 0
        """Entries that were cut off when the log was opened: the torn tail of a crash, never acknowledged."""
        self._failed: LogFailed | None = None
        self._buffer: list[LogEntry] = []
        self._buffering = threading.Lock()  # between the thread that appends and the one that flushes
        self._writing = threading.Lock()  # between flushing and trimming
        try:
            self.snapshots = SnapshotFiles(self.directory)
            self._database = _open(path / "commits.sqlite", durability)
            try:
                self.since: int
                self._chain: int
                self.since, self._chain = self._database.execute("SELECT since, chain FROM start").fetchone()
                self.last = self.durable = self._verify()
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            self.directory.close()
            raise LogDamaged(f"'{path / 'commits.sqlite'}' cannot be read: {error}") from error
        except BaseException:
            self.directory.close()
            raise

    @property
    def epoch(self) -> str:
        """The identity of this line of entries."""
        return self.directory.epoch

    @property
    def secret(self) -> bytes:
        """What signs tokens of this epoch."""
        return self.directory.secret

    def _verify(self) -> int:
        """Goes through all entries, cuts off a torn tail; returns the last position. O(n)."""
        last, chain = self.since, self._chain
        for position, kind, payload, check in self._rows(self.since):
            entry = LogEntry(position, kind, payload)
            if position != last + 1:
                raise self._damaged(last + 1, "missing")
            if chained(chain, entry) != check:
                self._cut_tail(last, position)
                break
            last, chain = position, check
        self._chain = chain
        return last

    def _cut_tail(self, last: int, broken: int) -> None:
        """Cuts off what is broken at the end; raises LogDamaged when something good follows it."""
        for (_, _, _, before), (position, kind, payload, check) in pairwise(self._rows(last)):
            if chained(before, LogEntry(position, kind, payload)) == check:
                raise self._damaged(broken, "damaged")
        with self._database:
            self.cut = self._database.execute("DELETE FROM entries WHERE position > ?", (last,)).rowcount

    def _damaged(self, position: int, what: str) -> LogDamaged:
        return LogDamaged(
            f"the entry {position} in '{self.directory.path}' is {what}, and entries after it are there: restore the "
            "directory from a backup"
        )

    def _rows(self, after: int) -> Iterator[_Row]:
        """Entries as stored, in order. Pages, so that no read stands open while somebody writes."""
        while True:
            page: list[_Row] = self._database.execute(
                "SELECT position, kind, payload, chain FROM entries WHERE position > ? ORDER BY position LIMIT ?",
                (after, _PAGE),
            ).fetchall()
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def append(self, entry: LogEntry) -> None:
        """Takes an entry; it is durable after a `flush`. O(1). Raises LogFailed."""
        if self._failed is not None:
            raise self._failed
        assert entry.position == self.last + 1, "positions rise by one"
        with self._buffering:
            self._buffer.append(entry)
        self.last = entry.position

    def flush(self) -> int:
        """Makes durable what was appended, in one transaction; returns `durable`. Raises LogFailed."""
        with self._writing:
            with self._buffering:
                entries, self._buffer = self._buffer, []
            if self._failed is not None:
                raise self._failed
            if not entries:
                return self.durable
            rows: list[_Row] = []
            chain = self._chain
            for entry in entries:
                chain = chained(chain, entry)
                rows.append((entry.position, entry.kind, entry.payload, chain))
            try:
                with self._database:
                    self._database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
            except (sqlite3.Error, OSError) as error:
                # Whether the transaction is on the disk cannot be known, so nothing may follow it.
                raise self._fail(f"entries cannot be written to '{self.directory.path}': {error}") from error
            self._chain = chain
            self.durable = entries[-1].position
            return self.durable

    def read(self, after: int) -> Iterator[LogEntry]:
        """The durable entries after a position, as of now. Raises LogDamaged."""
        assert after >= self.since, "these entries were forgotten"
        stop = self.durable
        try:
            for position, kind, payload, _ in self._rows(after):
                if position > stop:
                    return
                yield LogEntry(position, kind, payload)
        except sqlite3.Error as error:
            raise LogDamaged(f"'{self.directory.path}' cannot be read: {error}") from error

    def write_snapshot(self, position: int, pieces: Iterable[bytes]) -> None:
        """Keeps the state at a durable position. Raises LogFailed, which leaves the log as it was and open."""
        assert position <= self.durable, "a snapshot of what may be lost"
        self.snapshots.write(position, pieces)

    def load_snapshot(self) -> StoredSnapshot | None:
        """The newest snapshot that is whole and of this history; None when there is none."""
        found = self.snapshots.load()
        if found is not None and not self.since <= found.position <= self.durable:
            raise LogDamaged(
                f"the snapshot of position {found.position} in '{self.directory.path}' does not fit its entries, "
                f"{self.since} to {self.durable}: restore the directory from a backup"
            )
        return found

    def trim(self, position: int) -> None:
        """Forgets entries up to a position, but none that the oldest snapshot kept does not hold. Raises LogFailed."""
        held = min(self.snapshots.positions(), default=0)
        position = min(position, held, self.durable)
        if position <= self.since:
            return
        with self._writing:
            try:
                with self._database:
                    (chain,) = self._database.execute(
                        "SELECT chain FROM entries WHERE position = ?", (position,)
                    ).fetchone()
                    self._database.execute("UPDATE start SET since = ?, chain = ?", (position, chain))
                    self._database.execute("DELETE FROM entries WHERE position <= ?", (position,))
            except (sqlite3.Error, OSError) as error:
                raise self._fail(f"'{self.directory.path}' cannot be trimmed: {error}") from error
            self.since = position

    def _fail(self, message: str) -> LogFailed:
        self._failed = LogFailed(message)
        return self._failed

    def close(self) -> None:
        """Flushes, and gives the directory back. Raises LogFailed when entries could not be written."""
        try:
            if self._failed is None:
                self.flush()
        finally:
            self._failed = self._failed or LogFailed("the log is closed")
            self._database.close()
            self.directory.close()


def chained(chain: int, entry: LogEntry) -> int:
    """The checksum of an entry that stands behind one with the checksum `chain`."""
    head = b"%d %d %d %d:" % (chain, entry.position, entry.kind, len(entry.payload))
    return crc32(entry.payload, crc32(head))


def _open(path: Path, durability: Durability) -> sqlite3.Connection:
    # Locks of our own stand between the threads that share the connection.
    database = sqlite3.connect(path, check_same_thread=False, isolation_level="IMMEDIATE", timeout=0)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if durability is Durability.FSYNC else 'NORMAL'}")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database
