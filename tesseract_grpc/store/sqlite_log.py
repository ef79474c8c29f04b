"""A log in a directory: entries in SQLite in WAL mode, snapshots in files.

Entries gather in memory until `flush` writes them in one transaction, so many entries cost one sync of the disk. With
FSYNC a transaction is on the disk when `flush` returns; with less the operating system has it, and the disk will.

Every entry carries a checksum over itself and the checksum of the one before it, so that an entry that is broken,
missing or of another history is found when the log is opened. At the end that is a torn tail: SQLite never
acknowledged it, it is cut off, and `cut` says how much. In the middle it is damage, and the log does not open.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import ClassVar
from zlib import crc32

from tesseract_grpc.engine.data.commit_log import (
    Durability,
    LogDamaged,
    LogEntry,
    LogFailed,
    SnapshotInfo,
    SnapshotWriter,
    StoredSnapshot,
)
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
_CHECKPOINT_PAGES = 4_000
"""Pages of 4 KiB in the write-ahead log after which the flush that is at it copies them to the database: some tens of
milliseconds in which the next one waits. Fewer pages make it shorter and the sum of it longer, because each copy costs
two syncs; more make the log take more of the disk."""
_TRIM_ENTRIES, _TRIM_BYTES = 500, 4_194_304
"""Entries forgotten at once: a flush waits for them."""


class SqliteLog:
    """The entries of one hub in a directory. Raises LogFailed, LogDamaged when it cannot be opened."""

    shared: ClassVar[bool] = False

    def __init__(self, path: Path, durability: Durability = Durability.FSYNC) -> None:
        self.durability = durability
        self.directory = DataDirectory(path, durability)
        self.cut = 0
        """Entries that were cut off when the log was opened: the torn tail of a crash, never acknowledged."""
        self._failed: LogFailed | None = None
        self._closed = False
        self._buffer: list[LogEntry] = []
        self._buffering = threading.Lock()  # between the thread that appends and the one that flushes
        self._writing = threading.Lock()  # between flushing and trimming
        try:
            self.snapshots = SnapshotFiles(self.directory)
            self._database = _open(self._path, durability)
            try:
                if durability is Durability.FSYNC:
                    self._settle()  # it may have been served with less until now
                self.since: int
                self._chain: int
                self.since, self._chain = self._database.execute("SELECT since, chain FROM start").fetchone()
                self.last = self.durable = self.since
                self.last = self.durable = self._verify()
            except BaseException:
                self._database.close()
                raise
        except sqlite3.Error as error:
            self.directory.close()
            raise LogDamaged(f"'{self._path}' cannot be read: {error}") from error
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

    @property
    def _path(self) -> Path:
        return self.directory.path / "commits.sqlite"

    def _verify(self) -> int:
        """Goes through the entries that are not known, cuts off a torn tail; returns the last position. O(n)."""
        last, chain = self.durable, self._chain
        for position, kind, payload, check in self._rows(last):
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
            chain = self._chain
            try:
                rows: list[_Row] = []
                for entry in entries:
                    chain = chained(chain, entry)
                    rows.append((entry.position, entry.kind, entry.payload, chain))
                with self._database:
                    self._database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
            except Exception as error:
                # Whether the transaction is on the disk cannot be known, so nothing may follow it, whatever went wrong.
                why = str(error) or type(error).__name__
                raise self._fail(f"entries cannot be written to '{self.directory.path}': {why}") from error
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

    def begin_snapshot(self) -> SnapshotWriter:
        """A new snapshot, which is kept as a whole or not at all. Raises LogFailed, which leaves the log open."""
        return _Writer(self)

    def load_snapshot(self, at_most: int | None = None) -> StoredSnapshot | None:
        """The newest snapshot that is whole, and that is at or before a position if there is such a one.

        None when there is none, and when all are after that position while the log still has its first entry. Raises
        LogDamaged when it is of another history.
        """
        if at_most is not None and not self.since and min(self.snapshots.positions(), default=0) > at_most:
            return None
        found = self.snapshots.load(at_most)
        if found is not None and not self.since <= found.position <= self.durable:
            raise LogDamaged(
                f"the snapshot of position {found.position} in '{self.directory.path}' does not fit its entries, "
                f"{self.since} to {self.durable}: restore the directory from a backup"
            )
        return found

    @property
    def newest_snapshot(self) -> SnapshotInfo | None:
        """The newest snapshot that was kept, whole or not."""
        return self.snapshots.newest()

    @property
    def bytes(self) -> int:
        """What entries and snapshots take on the disk. The space of forgotten entries is used again."""
        total = self.snapshots.bytes()
        for path in self._files():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def _files(self) -> tuple[Path, Path]:
        return self._path, self._path.with_name(f"{self._path.name}-wal")

    def _sync(self) -> None:
        """Brings everything that was written to the disk. Raises LogFailed."""
        try:
            for path in self._files():
                if path.exists():
                    with path.open("rb") as file:
                        os.fsync(file.fileno())
            self.directory.sync()
        except OSError as error:
            raise LogFailed(f"'{self.directory.path}' cannot be synced: {error.strerror}") from error

    def _settle(self) -> None:
        """Brings everything to the disk, and says that nothing can be lost any more. Raises LogFailed."""
        self._sync()
        self.directory.mark_closed()

    def trim(self, position: int) -> None:
        """Forgets what nobody needs who asks for states from a position on: see `CommitLog`.

        Some entries at a time, so that no flush waits for long. Raises LogFailed, which leaves the log open.
        """
        position = min(self.durable, self.snapshots.forget(position))
        while self.since < position:
            with self._writing:
                if self._failed is not None:
                    raise self._failed
                try:
                    self._trim_some(position)
                except (sqlite3.Error, OSError) as error:
                    raise LogFailed(f"'{self.directory.path}' cannot be trimmed: {error}") from error

    def _trim_some(self, position: int) -> None:
        size, upto, chain = 0, self.since, 0
        rows = self._database.execute(
            "SELECT position, length(payload), chain FROM entries WHERE position <= ? ORDER BY position LIMIT ?",
            (position, _TRIM_ENTRIES),
        )
        for upto, length, chain in rows.fetchall():  # noqa: B007 (the last ones count)
            size += length
            if size > _TRIM_BYTES:
                break
        with self._database:
            self._database.execute("UPDATE start SET since = ?, chain = ?", (upto, chain))
            self._database.execute("DELETE FROM entries WHERE position <= ?", (upto,))
        self.since = upto

    def reopen(self) -> None:
        """After LogFailed: takes entries again, if the disk does.

        What was appended and was not durable may be there or not: `last` and `durable` say how far the log goes, and
        all of that is on the disk. Raises LogFailed, LogDamaged.
        """
        with self._writing, self._buffering:
            if self._failed is None or self._closed:
                raise self._failed or LogFailed("the log has not failed")
            try:
                self._database.close()
                self._database = _open(self._path, self.durability)
                # After a failed sync what can be read may not be on the disk, and will not be synced again: it is
                # written once more, to the other file.
                (busy, _, _) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                with self._database:
                    self._database.execute("UPDATE start SET since = since")
                if busy:
                    raise LogFailed(f"'{self._path}' is read by another process")
                self._buffer = []
                self.last = self.durable = self._verify()
            except (sqlite3.Error, OSError) as error:
                raise self._fail(f"'{self.directory.path}' cannot be written: {error}") from error
            self._failed = None

    def _fail(self, message: str) -> LogFailed:
        self._failed = LogFailed(message)
        return self._failed

    def close(self) -> None:
        """Flushes, and gives the directory back. Raises LogFailed when entries could not be written."""
        try:
            if self._failed is None:
                self.flush()
                self._settle()
        finally:
            self._closed = True
            self._failed = self._failed or LogFailed("the log is closed")
            self._database.close()
            self.directory.close()


class _Writer:
    """A snapshot that is being written beside the log."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log
        self._file = log.snapshots.begin()

    def add(self, piece: bytes) -> None:
        """Takes a piece. Raises LogFailed."""
        self._file.add(piece)

    def keep(self, position: int) -> None:
        """Keeps it as the state at a position. Raises LogFailed."""
        log = self._log
        if position > log.durable:  # changes may be applied before they are durable, when nobody was promised more
            log.flush()
        assert position <= log.durable, "a snapshot of what may be lost"
        log._sync()  # a snapshot is never of a later state than its log
        self._file.keep(position)

    def discard(self) -> None:
        """Keeps nothing of it."""
        self._file.discard()


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
        database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database
