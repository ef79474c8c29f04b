"""The directory of one hub's data: whose it is, in which format, and that one process has it.

LOCK                     held by the process that serves the directory
FORMAT                   the version of the format, the epoch, and the key that signs tokens
OPEN                     there while a log is written that can lose what was seen of it: how, and since which start of
                         the machine
commits.sqlite           the entries
snapshot-<position>      states

An epoch is one line of versions. Where entries that somebody has seen can be lost, their versions would be given to
others: a reader who comes back would be led on over a history that he never saw. So a directory that was not closed,
and whose log does not survive what may have happened since, begins a new epoch.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path

from tesseract_grpc.engine.data.commit_log import Durability, LogDamaged, LogFailed

FORMAT = 1
"""The version of the format that this program writes. It reads all up to it."""


class DataDirectory:
    """A directory that this process alone serves."""

    def __init__(self, path: Path, durability: Durability = Durability.FSYNC) -> None:
        """Takes the directory, and makes it where there is none. Raises LogFailed, LogDamaged."""
        self.path = path
        self.renewed = False
        """Whether a new epoch was begun, because the end of the one before may be lost."""
        try:
            _make(path)
            self._lock = os.open(path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LogFailed(f"the data directory '{path}' cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise LogFailed(f"another server has the data directory '{path}'; stop it, or choose another") from None
        try:
            self.epoch, self.secret = self._read_format()
            if self._may_have_lost():
                self.renewed = True
                self.epoch, self.secret = self._write_format(secrets.token_hex(8), self.secret)
            self._mark_open(durability)
        except BaseException:
            self.close()
            raise

    def _read_format(self) -> tuple[str, bytes]:
        """The epoch of what is there and its secret, or new ones, which are then kept."""
        file = self.path / "FORMAT"
        if not file.exists():
            if (self.path / "commits.sqlite").exists():
                raise LogDamaged(f"'{self.path}' has commits and no file FORMAT; restore it from a backup")
            return self._write_format(secrets.token_hex(8), secrets.token_bytes(32))
        try:
            found = json.loads(file.read_bytes())
            number, epoch = int(found["format"]), str(found["epoch"])
            secret = bytes.fromhex(found.get("secret", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LogDamaged(f"'{file}' is broken; restore it from a backup") from error
        if number > FORMAT:
            raise LogDamaged(
                f"'{self.path}' has format {number}, and this program reads formats up to {FORMAT}: use a newer one"
            )
        # The first directories had no secret.
        return (epoch, secret) if secret else self._write_format(epoch, secrets.token_bytes(32))

    def _may_have_lost(self) -> bool:
        """Whether entries may be lost that somebody has seen: those of a log that was left open."""
        file = self.path / "OPEN"
        if not file.exists():
            return False
        try:
            found = json.loads(file.read_bytes())
            return bool(found["durability"] != Durability.NORMAL or found["boot"] != _boot())
        except (ValueError, KeyError, TypeError):
            return True

    def _mark_open(self, durability: Durability) -> None:
        # A mark that an open log with less left behind stays until what that log wrote is on the disk.
        if durability is not Durability.FSYNC:
            self.write("OPEN", json.dumps({"durability": int(durability), "boot": _boot()}).encode())

    def mark_closed(self) -> None:
        """Says that nothing that was seen can be lost any more. Raises LogFailed."""
        file = self.path / "OPEN"
        if file.exists():
            try:
                file.unlink()
                self.sync()
            except OSError as error:
                raise LogFailed(f"'{file}' cannot be removed: {error.strerror}") from error

    def _write_format(self, epoch: str, secret: bytes) -> tuple[str, bytes]:
        self.write("FORMAT", json.dumps({"format": FORMAT, "epoch": epoch, "secret": secret.hex()}).encode())
        return epoch, secret

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file as a whole, or not at all. Raises LogFailed."""
        part = self.path / f"{name}.part"
        try:
            with open(part, "wb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self.path / name)
            self.sync()
        except OSError as error:
            raise LogFailed(f"'{self.path / name}' cannot be written: {error.strerror}") from error

    def sync(self) -> None:
        """Makes names of files that were made, renamed or removed durable."""
        _sync(self.path)

    def close(self) -> None:
        """Gives the directory back; again does nothing."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def _make(path: Path) -> None:
    """Makes a directory, and those above it that are not there, for their owner alone. A file is on the disk when the
    names of all directories above it are."""
    for each in reversed([each for each in (path, *path.parents) if not each.exists()]):
        each.mkdir(mode=0o700, exist_ok=True)
        _sync(each.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def begin_epoch(path: Path) -> str:
    """Begins a new epoch in a directory that nobody serves, and returns it. Raises LogFailed, LogDamaged.

    For a copy of data from an earlier time: readers may have seen versions that it does not have, which it will give to
    others. From here on their tokens are those of another line of versions.
    """
    directory = DataDirectory(path)
    try:
        directory.epoch, _ = directory._write_format(secrets.token_hex(8), directory.secret)
        return directory.epoch
    finally:
        directory.close()


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read: one of them has a secret."""
    return os.open(path, flags, 0o600)


def _boot() -> str:
    """Which start of the machine this is; what was handed to the operating system survives until the next."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return secrets.token_hex(8)  # not Linux: it cannot be told, so every start is another one
