"""Our own container: a ZIP file with a part for each stored table, and `manifest.json`, which comes last.

    tables/000001.arrows    an Arrow stream: record batches in the order of the rows, texts as dictionaries
    tables/000002.arrows
    manifest.json           what it is, of which hub and version, every definition, and the seal of every part

It is written from the beginning to the end without going back, so memory is constant and so is the way of the bytes
through a hash; what is read by others (`unzip -l`, `pyarrow.ipc.open_stream`) is an ordinary ZIP64 file with stored,
uncompressed entries. Its last 64 bytes, the end of the archive's comment, are the SHA-256 of all bytes before them.
Columns that are computed are worked out again by whoever restores it, and left out.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import UTC, datetime
from typing import IO, Any, cast

from ..core.batch import Block
from ..core.schema import Schema
from .arrow_rows import arrow_schema, record_batch
from .definition import Contents, TableBackup
from .formats import load_pyarrow
from .new_file import NewFile
from .sealed import Seal, Sealing

FORMAT = "tesseract-backup"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
COMMENT = b"tesseract-backup sha256 "
HEX = 64


def stored_columns(schema: Schema) -> list[str]:
    """The columns whose values are kept: those that are not computed."""
    return [column.name for column in schema.columns if not column.expression]


class _Sequential:
    """A file that is only ever written on, hashed, and ended with its hash in the place of the last bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._held = b""

    def write(self, content: Any) -> int:
        """Writes on; the last bytes are held back."""
        view = memoryview(content)
        if view.nbytes >= HEX:
            self._put(self._held)
            self._put(view[:-HEX])
            self._held = bytes(view[-HEX:])
        else:
            joined = self._held + bytes(view)
            self._put(joined[:-HEX])
            self._held = joined[-HEX:]
        return view.nbytes

    def _put(self, content: bytes | memoryview) -> None:
        self._hash.update(content)
        self._file.write(content)

    def flush(self) -> None:
        """What is held back is written at the end."""

    def end(self) -> None:
        """Writes the hash in the place of the last bytes."""
        self._file.write(self._hash.hexdigest().encode())


class ContainerWriter:
    """Writes a container."""

    def __init__(self, file: NewFile, software: str) -> None:
        load_pyarrow("the container")
        self._file = file
        self._software = software
        self._end = _Sequential(file.stream)
        # No seeking: it then writes what it knows of an entry behind it.
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._end), "w", zipfile.ZIP_STORED, allowZip64=True)
        self._contents = Contents()
        self._parts: dict[str, tuple[str, Seal]] = {}
        self._entry: Any = None
        self._part: Sealing | None = None
        self._stream: Any = None
        self._schema: Any = None

    def begin(self, contents: Contents) -> None:
        """What follows."""
        self._contents = contents

    def rows(self, table: TableBackup, block: Block) -> None:
        """Rows of the table that is at it."""
        if self._stream is None:
            self._open(table)
        assert self._part is not None
        self._stream.write_batch(record_batch(block, self._schema))
        self._part.mark(len(block))

    def _open(self, table: TableBackup) -> None:
        import pyarrow.ipc

        self._entry = self._zip.open(self._info(f"tables/{len(self._parts) + 1:06}.arrows"), "w", force_zip64=True)
        self._part = Sealing(self._entry)
        self._schema = arrow_schema(table.schema.types, stored_columns(table.schema), coded=True)
        options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
        self._stream = pyarrow.ipc.new_stream(self._part, self._schema, options=options)

    def _info(self, name: str) -> zipfile.ZipInfo:
        time = self._contents.origin.time or datetime.now(UTC)
        return zipfile.ZipInfo(name, (time.year, time.month, time.day, time.hour, time.minute, time.second))

    def end_table(self, table: TableBackup) -> None:
        """All rows of this table came."""
        if self._stream is None:
            self._open(table)
        assert self._part is not None
        self._stream.close()
        self._entry.close()
        self._parts[table.name] = (self._entry_name(), self._part.seal())
        self._stream = self._entry = self._part = None

    def _entry_name(self) -> str:
        return str(self._zip.filelist[-1].filename)

    def finish(self) -> None:
        """Everything came."""
        content = json.dumps(self._manifest(), ensure_ascii=False, indent=1).encode()
        self._zip.writestr(self._info(MANIFEST), content, zipfile.ZIP_DEFLATED)
        self._zip.comment = COMMENT + b"0" * HEX
        self._zip.close()
        self._end.end()

    def abandon(self) -> None:
        """Writes nothing more, not even when it is collected."""
        self._zip.fp = None

    def _manifest(self) -> dict[str, Any]:
        contents, origin = self._contents, self._contents.origin
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "software": self._software,
            "hub": origin.hub,
            "epoch": origin.epoch,
            "version": origin.version,
            "time": None if origin.time is None else origin.time.isoformat(),
            "rows": contents.rows,
            "tables": [self._table(table) for table in contents.tables],
            "sessions": [session.to_json() for session in contents.sessions],
        }

    def _table(self, table: TableBackup) -> dict[str, Any]:
        found = table.to_json()
        if table.name in self._parts:
            name, seal = self._parts[table.name]
            found["part"] = {"name": name, **seal.to_json()}
        return found
