"""The bytes of a text file, compressed or not, and what can be known of them before they are read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from .errors import BackupFailed, damaged
from .new_file import file_errors
from .sealed import READ

SMALLEST = 18
"""The bytes of an empty file, compressed."""


class TextSource:
    """A file of texts. A compressed one has a CRC of its own."""

    def __init__(self, path: Path, *, gzipped: bool) -> None:
        self.path = path
        self.gzipped = gzipped
        with file_errors(path):
            self.bytes = path.stat().st_size

    def open(self) -> IO[bytes]:
        """Its content from the beginning. Raises BackupFailed."""
        with file_errors(self.path):
            if self.gzipped:
                return cast(IO[bytes], gzip.open(self.path, "rb"))
            return self.path.open("rb")

    def check(self, tell: Callable[[int], None]) -> None:
        """Reads a compressed file through, which says whether it is whole. Raises BackupFailed."""
        tell(0)
        if self.gzipped and self.bytes < SMALLEST:
            raise damaged(self.path.name, f"it breaks off at byte {self.bytes}, within its head")
        if self.gzipped:
            done = 0
            with self.open() as file:
                try:
                    while piece := file.read(READ):
                        done += len(piece)
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    raise self.broken(error, done) from None
        tell(self.bytes)

    def broken(self, error: Exception, done: int) -> BackupFailed:
        """What is wrong with a compressed file."""
        what = "breaks off" if isinstance(error, EOFError) else "is altered"
        return damaged(self.path.name, f"it {what} behind byte {done:,} of its content: {error}")
