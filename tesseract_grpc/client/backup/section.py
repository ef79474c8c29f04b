"""A stretch of a file as a file of its own, to be read."""

from __future__ import annotations

import io
from typing import IO, Any


class Section(io.RawIOBase):
    """Bytes `start` to `start + length` of a file that is open for reading."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Reads on."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._at)
        found = self._file.read(min(len(view), max(0, self._length - self._at)))
        view[: len(found)] = found
        self._at += len(found)
        return len(found)
