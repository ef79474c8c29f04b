# Generated from tesseract_grpc/client/aio/backup.py by tools/generate_sync_client.py: edit that file and run it.
"""A backup: the tables of a hub at one version, from the server's stream into a file.

What blocks (encoding, compressing, the disk) runs in a thread, one piece after the other, and the next piece is asked
for when the one before is written: a slow disk slows the stream, and neither side piles rows up. The file has its name
when the server has said that all was sent, and not before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, schema_pb2, table_service_pb2

from ..backup.definition import Contents, Origin, TableBackup
from ..backup.errors import BackupFailed, BackupReason, bad_option
from ..backup.formats import Format, format_of
from ..backup.incoming import Began, Came, Ended, Incoming, TableEnded
from ..backup.new_file import NewFile, file_errors
from ..backup.options import BackupOptions, BackupSettings
from ..backup.report import BackupResult, Teller
from ..backup.writers import BackupWriter, lost, writer_of
from ..core.batch import decode
from ..core.errors import TesseractError
from ..core.names import hub_name, table_name
from ..core.queries import query_of
from ..core.windows import window_of
from ..core.writes import TableLike
from .rpc import Rpc
from .runtime import in_thread

ATTEMPTS = 3
"""How often a backup is begun when a table gets other columns in the middle of it."""


def backup(rpc: Rpc, path: str | Path, tables: Sequence[TableLike] | None, options: BackupOptions) -> BackupResult:
    """Makes one. Raises BackupFailed, or what the hub says."""
    path, settings = Path(path), BackupSettings.of(options)
    names = None if tables is None else [table if isinstance(table, str) else table.name for table in tables]
    format = format_of(path, settings.format)
    if not format.whole and (names is None or len(names) != 1):
        raise bad_option(
            f"{path.name}: the format {format.name} holds one table",
            "tables",
            "name one in tables (--table), or end the file's name in .tesseract for a container",
        )
    attempts = ATTEMPTS
    while True:
        file = in_thread(_open, path, settings, format)
        try:
            return Backup(rpc, file, format, settings).run(names)
        except TesseractError as error:
            attempts -= 1
            if error.reason != "TABLE_CHANGED" or not attempts:
                raise
        finally:
            in_thread(file.discard)


def _open(path: Path, settings: BackupSettings, format: Format) -> NewFile:
    return NewFile(path, overwrite=settings.overwrite, gzipped=format.gzipped)


class Backup:
    """One backup on its way into a file."""

    def __init__(self, rpc: Rpc, file: NewFile, format: Format, settings: BackupSettings) -> None:
        self._rpc, self._hub = rpc, rpc.connection.hub
        self._file, self._format, self._settings = file, format, settings
        self._writer: BackupWriter = writer_of(format, file)
        self._teller = Teller(settings.on_progress)
        self._contents = Contents()
        self._rows = 0
        self._started = time.monotonic()

    def run(self, tables: list[str] | None) -> BackupResult:
        """All of it."""
        try:
            return self._run(tables)
        except BaseException:
            self._writer.abandon()
            raise

    def _run(self, tables: list[str] | None) -> BackupResult:
        if self._format.whole or not self._is_derived(tables):
            self._receive(tables)
        else:
            assert tables is not None
            self._query(tables[0])
        with file_errors(self._file.path):
            in_thread(self._writer.finish)
        size = in_thread(self._file.keep)
        contents = self._contents
        stored = [table for table in contents.tables if not table.derived]
        return BackupResult(
            self._file.path,
            str(self._format),
            contents.origin.version,
            contents.origin.epoch,
            {table.name: table.rows for table in contents.tables},
            tuple(session.name for session in contents.sessions),
            self._rows,
            size,
            time.monotonic() - self._started,
            () if self._format.whole else lost(self._format, stored[0].schema),
        )

    def _receive(self, tables: list[str] | None) -> None:
        """The server's stream."""
        request = hub_service_pb2.BackupRequest(
            parent=hub_name(self._hub),
            tables=[table_name(self._hub, name) for name in tables or ()],
            min_version=self._settings.min_version,
        )
        sessions = self._settings.sessions
        if sessions is not None or not self._format.whole:
            request.include_sessions = bool(sessions) and self._format.whole
        incoming = Incoming()
        for response in self._rpc.stream(self._rpc.hubs.Backup, request):
            in_thread(self._take, incoming, response)
        if not incoming.complete:
            raise BackupFailed(BackupReason.INCOMPLETE, "the server ended the backup before all was sent")

    def _take(self, incoming: Incoming, response: hub_service_pb2.BackupResponse) -> None:
        found = incoming.take(response)
        with file_errors(self._file.path):
            match found:
                case Began(contents):
                    self._contents = contents
                    self._writer.begin(contents)
                case Came(table, rows):
                    self._writer.rows(table, rows)
                    self._rows += len(rows)
                    self._teller.tell("backing up", table.name, self._rows, self._contents.rows)
                case TableEnded(table):
                    self._writer.end_table(table)
                case Ended():
                    self._teller.tell("backing up", "", self._rows, self._rows, now=True)

    # --- a derived table, whose rows a query gives

    def _is_derived(self, tables: list[str] | None) -> bool:
        assert tables is not None
        request = table_service_pb2.GetTableRequest(name=table_name(self._hub, tables[0]))
        return (self._rpc.call(self._rpc.tables.GetTable, request)).table.HasField("query")

    def _query(self, table: str) -> None:
        """The rows of a derived table at one version, as those of a stored one."""
        request = hub_service_pb2.GetHubRequest(name=hub_name(self._hub))
        hub = (self._rpc.call(self._rpc.hubs.GetHub, request)).hub
        known: TableBackup | None = None
        for page in self._pages(table):
            if known is None:
                known = _as_stored(table, page)
                origin = Origin(self._hub, hub.epoch, page.version, None)
                self._contents = Contents(origin, (known,))
                in_thread(self._writer.begin, self._contents)
            block = decode(page.rows, known.schema.types)
            if len(block):
                in_thread(self._writer.rows, known, block)
            self._rows += len(block)
            self._teller.tell("backing up", table, self._rows, known.rows)
        assert known is not None, "a query has at least one page"
        in_thread(self._writer.end_table, known)

    def _pages(self, table: str) -> Any:
        request = table_service_pb2.QueryStreamRequest(
            parent=hub_name(self._hub),
            query=query_of(self._hub, {"table": table}),
            window=window_of(0, None, None, None, None),
            min_version=self._settings.min_version,
        )
        return self._rpc.stream(self._rpc.tables.QueryStream, request)


def _as_stored(name: str, page: table_service_pb2.QueryStreamResponse) -> TableBackup:
    """A derived table as one of its own, with the columns that it shows."""
    table = schema_pb2.Table(columns=page.columns)
    for column in table.columns:
        column.expression = ""
    return TableBackup(name, page.total_count, table)
