"""Snapshots as files: written beside the log, whole or not at all.

A file begins with a line that says what it is. Each piece follows as its length, its CRC-32 and its bytes; the last
has no bytes and counts the pieces. A file takes its name when all of it is on the disk, so a snapshot that was being
written when the process died is a part that nobody looks at. One that cannot be read as a whole is passed over for
the one before.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

from tesseract_grpc.engine.data.commit_log import LogFailed, StoredSnapshot
from tesseract_grpc.store.directory import DataDirectory

_MAGIC = b"tesseract snapshot 1\n"
_HEAD = struct.Struct("<QI")  # length, CRC-32
KEPT = 2
"""So many snapshots are kept: the newest may turn out to be damaged."""


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

    def write(self, position: int, pieces: Iterable[bytes]) -> None:
        """Keeps a state, and lets go of the oldest ones. Raises LogFailed, and then keeps nothing of it."""
        name = self._path(position)
        part = name.with_name(f"{name.name}.part")
        try:
            with part.open("wb") as file:
                file.write(_MAGIC)
                count = 0
                for piece in pieces:
                    assert piece, "a piece has no bytes"
                    file.write(_HEAD.pack(len(piece), crc32(piece)))
                    file.write(piece)
                    count += 1
                file.write(_HEAD.pack(0, count))
                file.flush()
                os.fsync(file.fileno())
            part.rename(name)
            self._directory.sync()
            for old in self.positions()[KEPT:]:
                self._path(old).unlink()
        except OSError as error:
            part.unlink(missing_ok=True)
            raise LogFailed(f"the snapshot of position {position} cannot be written: {error.strerror}") from error

    def load(self) -> StoredSnapshot | None:
        """The newest snapshot that is whole. It is read twice: once to see that it is, once for its pieces."""
        self.passed_over = []
        for position in self.positions():
            if _is_whole(self._path(position)):
                return StoredSnapshot(position, _pieces(self._path(position)))
            self.passed_over.append(position)
        return None

    def _path(self, position: int) -> Path:
        return self._directory.path / f"snapshot-{position}"


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
