"""A file that is there when it is whole, and not before.

It is written beside its place under a name of its own, brought to the disk, and renamed. What was there is untouched
until then, and is not replaced at all unless that was asked for: the new file gets its name only if it is free, in one
step. Whatever goes wrong, nothing is left.
"""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from .errors import BackupFailed, BackupReason

_NO_LINKS = (OSError, NotImplementedError)


class NewFile:
    """A file to be. `stream` takes its content, `keep` gives it its name, `discard` leaves nothing."""

    def __init__(self, path: Path, *, overwrite: bool = False, gzipped: bool = False) -> None:
        """Raises BackupFailed when a file is there already, or none can be written there."""
        self.path = path
        self._overwrite = overwrite
        self._beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        if not overwrite and path.exists():
            raise _exists(path)
        with file_errors(path):
            self._file: IO[bytes] = self._beside.open("xb")
            self._gzip = cast(IO[bytes], gzip.GzipFile("", "wb", 6, self._file, 0)) if gzipped else None
        self.stream: IO[bytes] = self._file if self._gzip is None else self._gzip

    @property
    def bytes(self) -> int:
        """How much has been written so far."""
        return self._file.tell()

    def keep(self) -> int:
        """Makes it durable and gives it its name; returns its size. Raises BackupFailed, and then nothing is left."""
        try:
            with file_errors(self.path):
                if self._gzip is not None:
                    self._gzip.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                size = self._file.tell()
                self._file.close()
                self._name()
                _sync_directory(self.path.parent)
        except BaseException:
            self.discard()
            raise
        return size

    def _name(self) -> None:
        if self._overwrite:
            self._beside.replace(self.path)
            return
        try:
            self.path.hardlink_to(self._beside)
        except FileExistsError:
            raise _exists(self.path) from None
        except _NO_LINKS:  # a file system without links: the look and the renaming are two steps there
            if self.path.exists():
                raise _exists(self.path) from None
            self._beside.replace(self.path)
        else:
            self._beside.unlink()

    def discard(self) -> None:
        """Leaves nothing behind; again does nothing."""
        if self._gzip is not None:
            with suppress(OSError, ValueError):
                self._gzip.close()
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._beside.unlink(missing_ok=True)


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Says of which file an error of the operating system is."""
    try:
        yield
    except OSError as error:
        raise BackupFailed(
            BackupReason.FILE_FAILED, f"{path}: {(error.strerror or str(error)).lower()}", field="path"
        ) from error


def _exists(path: Path) -> BackupFailed:
    hint = "give another name, or overwrite=True (--overwrite)"
    return BackupFailed(BackupReason.FILE_EXISTS, f"{path} exists", hint=hint, field="path")


def _sync_directory(path: Path) -> None:
    with suppress(OSError):  # where directories cannot be opened, the file system does without
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
