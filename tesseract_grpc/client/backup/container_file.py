"""Reading a container: what it holds, whether it is whole, and its rows.

Whether it is whole is asked before anything of it is used: the hash at its end is that of all bytes before. When it is
not, the blocks of the parts say which rows are altered; and when the end is missing, the file is walked through from
its beginning to see how far it goes.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ..core.batch import Block
from .arrow_rows import block_of_batch
from .container import COMMENT, FORMAT, FORMAT_VERSION, HEX, MANIFEST
from .definition import Contents, Origin, SessionBackup, TableBackup
from .errors import BackupFailed, BackupReason, damaged
from .formats import load_pyarrow
from .new_file import file_errors
from .sealed import Seal, pieces, sha256_of, where_altered
from .section import Section

_LOCAL = struct.Struct("<4s22xHH")
_MAGIC = b"PK\x03\x04"
_DESCRIPTOR = 24
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)


class ContainerFile:
    """A container, open for reading. Raises BackupFailed."""

    inferred = ()
    format_name = "container"

    def __init__(self, path: Path) -> None:
        load_pyarrow("the container")
        self.path = path
        with file_errors(path):
            self._file: IO[bytes] = path.open("rb")
            self.bytes = path.stat().st_size
        try:
            self._parts: dict[str, tuple[str, int, Seal]] = {}
            self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        if self._file.read(4) != _MAGIC:
            hint = "a container begins as a ZIP file does; give the format if the name of the file misleads"
            raise BackupFailed(BackupReason.NOT_A_BACKUP, f"{self.path.name} is no container", hint=hint)
        self._file.seek(max(0, self.bytes - HEX - len(COMMENT)))
        tail = self._file.read()
        if not tail.startswith(COMMENT):
            raise damaged(self.path.name, self._how_far())
        self._awaited = tail[-HEX:].decode(errors="replace")
        try:
            self._zip = zipfile.ZipFile(self._file)
            manifest = json.loads(self._zip.read(MANIFEST))
            self._check_format(manifest)
            self.contents = self._read(manifest)
        except _BROKEN as error:
            where = "its manifest or its directory is altered"
            raise damaged(self.path.name, f"{where}: {error}") from None

    def _check_format(self, manifest: Any) -> None:
        if manifest["format"] != FORMAT:
            raise BackupFailed(BackupReason.NOT_A_BACKUP, f"{self.path.name} is no container of ours")
        if int(manifest["format_version"]) > FORMAT_VERSION:
            number = manifest["format_version"]
            raise BackupFailed(
                BackupReason.NEWER_FORMAT,
                f"{self.path.name} has format {number}, and this version reads formats up to {FORMAT_VERSION}",
                hint=f"it was written by version {manifest.get('software')}: restore it with that one or a newer one",
            )

    def _read(self, manifest: Mapping[str, Any]) -> Contents:
        name = self.path.name
        time = manifest["time"]
        origin = Origin(
            str(manifest["hub"]),
            str(manifest["epoch"]),
            int(manifest["version"]),
            None if time is None else datetime.fromisoformat(time),
        )
        tables = tuple(TableBackup.of_json(table, name) for table in manifest["tables"])
        sessions = tuple(SessionBackup.of_json(session, name) for session in manifest["sessions"])
        for given, table in zip(manifest["tables"], tables, strict=True):
            if not table.derived:
                part = given["part"]
                self._parts[table.name] = (part["name"], self._start_of(part["name"]), Seal.of_json(part))
        return Contents(origin, tables, sessions)

    def _start_of(self, name: str) -> int:
        """Where the content of an entry begins."""
        offset = self._zip.getinfo(name).header_offset
        self._file.seek(offset)
        magic, names, extra = _LOCAL.unpack(self._file.read(_LOCAL.size))
        if magic != _MAGIC:
            raise ValueError(f"{name} is not where the directory says")
        return int(offset + _LOCAL.size + names + extra)

    def check(self, tell: Callable[[int], None]) -> None:
        """Raises BackupFailed unless every byte is as it was written; tells how many it has read. O(bytes)."""
        found, done = hashlib.sha256(), 0
        with file_errors(self.path):
            self._file.seek(0)
            for piece in pieces(self._file, self.bytes - HEX):
                found.update(piece)
                done += len(piece)
                tell(done)
        if found.hexdigest() != self._awaited:
            raise damaged(self.path.name, self._where())

    def _where(self) -> str:
        """Where it is not as it was written."""
        for table, (name, start, seal) in self._parts.items():
            if sha256_of(self._file, start, seal.bytes) != seal.sha256:
                return f"part {name} (table {table!r}) is altered: {where_altered(self._file, start, seal)}"
        return "it is altered outside of its rows: in the headers of its parts, its manifest or its directory"

    def blocks(self, table: TableBackup) -> Iterator[Block]:
        """The rows of a table, in their order, some thousand at a time."""
        import pyarrow

        name, start, seal = self._parts[table.name]
        types = table.schema.types
        rows = 0
        try:
            with pyarrow.ipc.open_stream(pyarrow.PythonFile(Section(self._file, start, seal.bytes), "r")) as stream:
                for batch in stream:
                    rows += batch.num_rows
                    yield block_of_batch(batch, types)
        except (pyarrow.ArrowException, OSError) as error:
            raise damaged(self.path.name, f"part {name} cannot be read behind row {rows:,}: {error}") from None
        if rows != table.rows:
            raise damaged(self.path.name, f"part {name} has {rows:,} rows, and table {table.name!r} had {table.rows:,}")

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def _how_far(self) -> str:
        """How far a file goes whose end is missing."""
        at, number = 0, 0
        while True:
            self._file.seek(at)
            head = self._file.read(_LOCAL.size)
            if len(head) < _LOCAL.size or not head.startswith(_MAGIC):
                return f"it breaks off at byte {self.bytes:,}, behind {number} whole parts and before its directory"
            _, names, extra = _LOCAL.unpack(head)
            name = self._file.read(names).decode(errors="replace")
            start = at + _LOCAL.size + names + extra
            rows, length, whole = self._walk(start)
            if name == MANIFEST or not whole:
                place = f"in {name}" if name == MANIFEST else f"in part {name}, behind row {rows:,}"
                return f"it breaks off at byte {self.bytes:,}, {place}"
            at, number = start + length + _DESCRIPTOR, number + 1

    def _walk(self, start: int) -> tuple[int, int, bool]:
        """How many rows of a part can be read, how many bytes it has, and whether it is whole."""
        import pyarrow

        section, rows = Section(self._file, start, max(0, self.bytes - start)), 0
        try:
            with pyarrow.ipc.open_stream(pyarrow.PythonFile(section, "r")) as stream:
                for batch in stream:
                    rows += batch.num_rows
        except (pyarrow.ArrowException, OSError):
            return rows, 0, False
        # An Arrow stream may end without saying so; then it ends with the file.
        return rows, section.tell(), section.tell() + start < self.bytes
