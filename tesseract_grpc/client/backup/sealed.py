"""Bytes that tell whether they are as they were written, and where they are not.

A part of a backup is written in blocks, each some rows; for every block its end, its last row and its CRC are noted,
and for the part its length and SHA-256. The hash says whether anything is wrong, the blocks where.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Seal:
    """What is known of some bytes."""

    bytes: int
    rows: int
    sha256: str
    blocks: tuple[tuple[int, int, int], ...] = ()
    """Where each block ends, the number of rows up to there, and its CRC-32."""

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"bytes": self.bytes, "rows": self.rows, "sha256": self.sha256, "blocks": [list(b) for b in self.blocks]}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Seal:
        """From a file. Raises ValueError, KeyError, TypeError."""
        blocks = tuple((int(end), int(rows), int(crc)) for end, rows, crc in given["blocks"])
        return cls(int(given["bytes"]), int(given["rows"]), str(given["sha256"]), blocks)


@dataclass(slots=True)
class Sealing:
    """A file that is written through this is known afterwards."""

    file: IO[bytes]
    bytes: int = 0
    rows: int = 0
    closed: bool = False
    _crc: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)
    _blocks: list[tuple[int, int, int]] = field(default_factory=list)

    def write(self, content: Any) -> int:
        """Writes some bytes."""
        view = memoryview(content)
        self._hash.update(view)
        self._crc = zlib.crc32(view, self._crc)
        self.bytes += view.nbytes
        self.file.write(view)
        return view.nbytes

    def mark(self, rows: int) -> None:
        """A block of so many rows ends here."""
        self.rows += rows
        self._blocks.append((self.bytes, self.rows, self._crc))
        self._crc = 0

    def seal(self) -> Seal:
        """What is known of all that was written; what came behind the last block belongs to none."""
        return Seal(self.bytes, self.rows, self._hash.hexdigest(), tuple(self._blocks))

    def tell(self) -> int:
        """How much was written."""
        return self.bytes

    def flush(self) -> None:
        """Nothing is held back here."""

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not: what was written is known."""
        return False

    def close(self) -> None:
        """Nothing is written any more; the file below stays open."""
        self.closed = True


def pieces(file: IO[bytes], length: int) -> Iterator[bytes]:
    """The next `length` bytes of a file, or as many as there are."""
    while length > 0:
        piece = file.read(min(READ, length))
        if not piece:
            return
        length -= len(piece)
        yield piece


def sha256_of(file: IO[bytes], start: int, length: int) -> str:
    """The hash of a stretch of a file. O(length)."""
    found = hashlib.sha256()
    file.seek(start)
    for piece in pieces(file, length):
        found.update(piece)
    return found.hexdigest()


def where_altered(file: IO[bytes], start: int, seal: Seal) -> str:
    """Which block of a part that begins at `start` is not as it was written, for people."""
    begin = first = 0
    for end, rows, crc in seal.blocks:
        file.seek(start + begin)
        found = 0
        for piece in pieces(file, end - begin):
            found = zlib.crc32(piece, found)
        if found != crc:
            return f"rows {first + 1:,} to {rows:,}, bytes {start + begin:,} to {start + end:,} of the file"
        begin, first = end, rows
    return f"behind its last row, bytes {start + begin:,} to {start + seal.bytes:,} of the file"
