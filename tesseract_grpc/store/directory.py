"""The directory of one hub's data: whose it is, in which format, and that one process has it.

LOCK                     held by the process that serves the directory
FORMAT                   the version of the format, the epoch, and the key that signs tokens
commits.sqlite           the entries
snapshot-<position>     states
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path

from tesseract_grpc.engine.data.commit_log import LogDamaged, LogFailed

FORMAT = 1
"""The version of the format that this program writes. It reads all up to it."""


class DataDirectory:
    """A directory that this process alone serves."""

    def __init__(self, path: Path) -> None:
        """Takes the directory, and makes it where there is none. Raises LogFailed, LogDamaged."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
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
        except BaseException:
            self.close()
            raise

    def _read_format(self) -> tuple[str, bytes]:
        """The epoch of what is there and its secret, or new ones, which are then kept."""
        file = self.path / "FORMAT"
        if not file.exists():
            if (self.path / "commits.sqlite").exists():
                raise LogDamaged(f"'{self.path}' has commits and no file FORMAT; restore it from a backup")
            return self._write_format(secrets.token_hex(8))
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
        return (epoch, secret) if secret else self._write_format(epoch)  # the first directories had none

    def _write_format(self, epoch: str) -> tuple[str, bytes]:
        secret = secrets.token_bytes(32)
        self.write("FORMAT", json.dumps({"format": FORMAT, "epoch": epoch, "secret": secret.hex()}).encode())
        return epoch, secret

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file as a whole, or not at all. Raises LogFailed."""
        part = self.path / f"{name}.part"
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self.path / name)
            self.sync()
        except OSError as error:
            raise LogFailed(f"'{self.path / name}' cannot be written: {error.strerror}") from error

    def sync(self) -> None:
        """Makes names of files that were made, renamed or removed durable."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def close(self) -> None:
        """Gives the directory back; again does nothing."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)
