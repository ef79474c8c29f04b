"""The stream of a server's backup, checked as it comes: nothing is missing, and nothing is other than it was sent."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

import numpy as np

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2

from ..core.batch import Block, decode
from ..core.datatype import BOOL, FLOAT64, INT64, TIMESTAMP
from ..core.digest import FORMAT
from ..core.names import id_of
from ..core.schema import Schema
from ..core.vector import Mask, Vector
from .definition import Contents, Origin, SessionBackup, TableBackup
from .errors import BackupFailed, BackupReason

_NAN = np.uint64(0x7FF8_0000_0000_0000)


@dataclass(frozen=True, slots=True)
class Began:
    """What follows."""

    contents: Contents


@dataclass(frozen=True, slots=True)
class Came:
    """Rows of the table that is at it."""

    table: TableBackup
    rows: Block


@dataclass(frozen=True, slots=True)
class TableEnded:
    """All rows of this table came."""

    table: TableBackup


@dataclass(frozen=True, slots=True)
class Ended:
    """All came."""


class Incoming:
    """Follows one stream. Raises BackupFailed where it is not what it must be."""

    def __init__(self) -> None:
        self._contents: Contents | None = None
        self._waiting: list[TableBackup] = []
        self._schema: Schema | None = None
        self._rows = self._all = 0
        self._hash = hashlib.sha256()
        self.complete = False

    def take(self, response: hub_service_pb2.BackupResponse) -> Began | Came | TableEnded | Ended:
        """What a response is. O(cells)."""
        kind = response.WhichOneof("part")
        if kind == "begin" and self._contents is None:
            return self._begin(response.begin)
        if kind == "rows" and self._waiting:
            table = self._waiting[0]
            assert self._schema is not None
            block = decode(response.rows, self._schema.types)
            self._hash.update(digest_of(self._schema, block))
            self._rows += len(block)
            return Came(table, block)
        if kind == "table_end" and self._waiting:
            return self._end_table(response.table_end)
        if kind == "end" and self._contents is not None and not self._waiting and not self.complete:
            if response.end.row_count != self._all:
                raise _broken(f"{self._all:,} rows came, and {response.end.row_count:,} were sent")
            self.complete = True
            return Ended()
        raise _broken(f"a piece of kind {kind!r} came at the wrong place")

    def _begin(self, begin: hub_service_pb2.BackupBegin) -> Began:
        hub = begin.hub
        origin = Origin(id_of(hub.name), hub.epoch, hub.version, begin.time.ToDatetime(UTC))
        tables = tuple(map(TableBackup.of, begin.tables))
        self._contents = Contents(origin, tables, tuple(map(SessionBackup.of, begin.sessions)))
        self._waiting = [table for table in tables if not table.derived]
        self._next_table()
        return Began(self._contents)

    def _next_table(self) -> None:
        self._rows = 0
        self._hash = hashlib.sha256()
        self._schema = self._waiting[0].schema if self._waiting else None

    def _end_table(self, end: hub_service_pb2.BackupTableEnd) -> TableEnded:
        table = self._waiting.pop(0)
        if id_of(end.table) != table.name:
            raise _broken(f"table {id_of(end.table)!r} ended, and {table.name!r} was at it")
        if not self._rows == end.row_count == table.rows:
            raise _broken(f"table {table.name!r} has {table.rows:,} rows, and {self._rows:,} came")
        if self._hash.digest() != end.digest:
            raise _broken(f"the rows of table {table.name!r} are not those that the server sent: their digests differ")
        self._all += self._rows
        self._next_table()
        return TableEnded(table)


def _broken(message: str) -> BackupFailed:
    return BackupFailed(BackupReason.INCOMPLETE, f"the backup broke: {message}")


def digest_of(schema: Schema, rows: Block) -> bytes:
    """The digest of rows, as docs/GUARANTEES.md defines it, straight from columns. O(cells)."""
    found = hashlib.sha256(FORMAT + struct.pack("<II", len(rows), len(schema.types)))
    for name, kind in schema.types.items():
        text = name.encode()
        found.update(struct.pack("<I", len(text)) + text + bytes((kind,)))
        vector = rows.columns[name]
        valid = np.ones(len(rows), np.bool_) if vector.valid is None else vector.valid
        found.update(valid.astype(np.uint8).tobytes())
        for part in _values(vector, kind, valid):
            found.update(part)
    return found.digest()


def _values(vector: Vector, kind: int, valid: Mask) -> Sequence[bytes]:
    """The values of a column; null is 0, false or empty."""
    values = vector.values
    if kind == BOOL:
        return (np.where(valid, values.astype(np.uint8), 0).astype(np.uint8).tobytes(),)
    if kind in (INT64, TIMESTAMP):
        return (np.where(valid, values, 0).astype("<i8").tobytes(),)
    if kind == FLOAT64:
        plain = np.where(valid, values, 0.0).astype(np.float64)
        bits = np.where(np.isnan(plain), _NAN, (plain + 0.0).view(np.uint64))  # -0.0 + 0.0 is 0.0
        return (bits.astype("<u8").tobytes(),)
    encoded = [text.encode() for text in vector.texts]
    lengths = np.zeros(len(valid), "<u4")
    codes = values[valid]
    if len(codes):
        lengths[valid] = np.fromiter(map(len, encoded), np.uint32, len(encoded))[codes]
    return lengths.tobytes(), b"".join(map(encoded.__getitem__, codes.tolist()))
