"""Snapshots as files: written beside the log, whole or not at all.

A file begins with a line that says what it is. Each piece follows as its length, its CRC-32 and its bytes; the last
has no bytes and counts the pieces. A file takes its name when all of it is on the disk, so a snapshot that was being
written when the process died is a part that nobody looks at. One that cannot be read as a whole is passed over for
the one before.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from tesseract_grpc.engine.data.commit_log import LogFailed, SnapshotInfo, StoredSnapshot
from tesseract_grpc.store.directory import DataDirectory

_MAGIC = b"tesseract snapshot 1\n"
_HEAD = struct.Struct("<QI")  # length, CRC-32
KEPT = 2
"""So many snapshots are kept at least: the newest may turn out to be damaged."""


class SnapshotFile:
    """A snapshot that is being written. One thread at a time."""

    def __init__(self, directory: DataDirectory) -> None:
        """Raises LogFailed."""
        self._directory = directory
        self._part = directory.path / "snapshot-new.part"
        self._count = 0
        with self._failing():
            self._file = self._part.open("wb")
            self._file.write(_MAGIC)

    def add(self, piece: bytes) -> None:
        """Writes a piece. Raises LogFailed; then the snapshot can only be discarded."""
        assert piece, "a piece has no bytes"
        with self._failing():
            self._file.write(_HEAD.pack(len(piece), crc32(piece)))
            self._file.write(piece)
        self._count += 1

    def keep(self, position: int) -> None:
        """Keeps it as the state at a position, when all of it is on the disk. Raises LogFailed, as `add`."""
        with self._failing():
            self._file.write(_HEAD.pack(0, self._count))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(_path(self._directory, position))
            self._directory.sync()

    def discard(self) -> None:
        """Keeps nothing of it."""
        with suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LogFailed(f"a snapshot cannot be written to '{self._part}': {error.strerror}") from error


class SnapshotFiles:
    """The snapshots of one data directory."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self.passed_over: list[int] = []
        """The positions of snapshots that turned out to be damaged when they were looked for."""
        for part in directory.path.glob("snapshot-*.part"):
            part.unlink()

    def positions(self) -> list[int]:
        """The positions of the snapshots, newest first."""
        names = (path.name.removeprefix("snapshot-") for path in self._directory.path.glob("snapshot-*"))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def begin(self) -> SnapshotFile:
        """A new snapshot. Raises LogFailed."""
        return SnapshotFile(self._directory)

    def forget(self, asked: int) -> int:
        """Lets go of snapshots that nobody needs who asks for states from a position on; returns from where those go.

        Kept are the newest at or before that position, the one after it, which takes its place when the position has
        moved on, and the two newest, for one may turn out to be damaged. 0 when there is no other beside the one to go
        from. Raises LogFailed.
        """
        positions = self.positions()
        older = [position for position in positions if position <= asked]
        younger = [position for position in positions if position > asked]
        if not older or len(positions) < KEPT:
            return 0
        kept = {older[0], *younger[-1:], *positions[:KEPT]}
        try:
            for position in positions:
                if position not in kept:
                    _path(self._directory, position).unlink()
        except OSError as error:
            raise LogFailed(f"an old snapshot cannot be removed: {error.strerror}") from error
        return min(kept)

    def load(self, at_most: int | None = None) -> StoredSnapshot | None:
        """The newest snapshot that is whole, and that is at or before a position if there is such a one.

        It is read twice: once to see that it is whole, once for its pieces.
        """
        self.passed_over = []
        positions = self.positions()
        if at_most is not None:  # the nearest of the younger ones comes first
            positions = [p for p in positions if p <= at_most] + [p for p in reversed(positions) if p > at_most]
        for position in positions:
            path = _path(self._directory, position)
            if _is_whole(path):
                return StoredSnapshot(position, _pieces(path))
            self.passed_over.append(position)
        return None

    def newest(self) -> SnapshotInfo | None:
        """The newest snapshot; None when there is none."""
        for position in self.positions():
            with suppress(FileNotFoundError):
                status = _path(self._directory, position).stat()
                return SnapshotInfo(position, status.st_mtime, status.st_size)
        return None

    def bytes(self) -> int:
        """What the snapshots take on the disk."""
        total = 0
        for position in self.positions():
            with suppress(FileNotFoundError):
                total += _path(self._directory, position).stat().st_size
        return total


def _path(directory: DataDirectory, position: int) -> Path:
    return directory.path / f"snapshot-{position}"


def _is_whole(path: Path) -> bool:
    try:
        for _ in _pieces(path):
            pass
    except (ValueError, OSError):
        return False
    return True


def _pieces(path: Path) -> Iterator[bytes]:
    """The pieces of a file. Raises ValueError where it is not what was written."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("the file is no snapshot")
        left, count = path.stat().st_size - len(_MAGIC), 0
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                raise ValueError(f"the snapshot ends after {count} pieces")
            length, check = _HEAD.unpack(head)
            left -= _HEAD.size
            if not length:
                if check != count or left:
                    raise ValueError("the snapshot has lost pieces")
                return
            if length > left:
                raise ValueError(f"piece {count} is cut off")
            piece = file.read(length)
            if len(piece) < length or crc32(piece) != check:
                raise ValueError(f"piece {count} is damaged")
            left -= length
            count += 1
            yield piece
