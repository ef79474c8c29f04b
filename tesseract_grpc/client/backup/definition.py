"""What a backup says of a table or a session, as JSON and back.

A definition is kept as protobuf writes messages in JSON, with all fields that a definition has: also those that a later
version adds. A program that does not know a field of it refuses the backup; it would lose something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, session_service_pb2

from ..core.names import id_of
from ..core.schema import Schema
from .errors import BackupFailed, BackupReason, damaged

_OUTPUT_ONLY = ("row_count", "memory_bytes", "memory", "create_version", "update_version", "create_time")
_SESSION_OUTPUT = (
    "columns",
    "generation",
    "total_count",
    "watcher_count",
    "statistics",
    "watchers",
    "create_time",
    "anonymous",
    "idle_timeout",
)


@dataclass(frozen=True, slots=True)
class TableBackup:
    """A table of a backup: its definition, and how many rows of it there are."""

    name: str
    rows: int
    definition: schema_pb2.Table

    @property
    def derived(self) -> bool:
        """Whether its rows are those of a query; then the backup has none."""
        return self.definition.HasField("query")

    @property
    def schema(self) -> Schema:
        """Its columns."""
        return Schema.of(self.definition.columns, self.definition.indexes)

    @classmethod
    def of(cls, table: schema_pb2.Table) -> TableBackup:
        """From the wire."""
        definition = schema_pb2.Table()
        definition.CopyFrom(table)
        for name in _OUTPUT_ONLY:
            definition.ClearField(name)  # type: ignore[arg-type]  # names of fields
        if definition.HasField("query"):
            del definition.columns[:]
        return cls(id_of(table.name), table.row_count, definition)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"name": self.name, "rows": self.rows, "definition": to_json(self.definition)}

    @classmethod
    def of_json(cls, given: Mapping[str, Any], where: str) -> TableBackup:
        """From a file. Raises BackupFailed."""
        return cls(str(given["name"]), int(given["rows"]), of_json(given["definition"], schema_pb2.Table(), where))


@dataclass(frozen=True, slots=True)
class SessionBackup:
    """A session of a backup."""

    name: str
    definition: session_service_pb2.Session

    @classmethod
    def of(cls, session: session_service_pb2.Session) -> SessionBackup:
        """From the wire."""
        definition = session_service_pb2.Session()
        definition.CopyFrom(session)
        for name in _SESSION_OUTPUT:
            definition.ClearField(name)  # type: ignore[arg-type]  # names of fields
        return cls(id_of(session.name), definition)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"name": self.name, "definition": to_json(self.definition)}

    @classmethod
    def of_json(cls, given: Mapping[str, Any], where: str) -> SessionBackup:
        """From a file. Raises BackupFailed."""
        return cls(str(given["name"]), of_json(given["definition"], session_service_pb2.Session(), where))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a backup come from, and of when they are."""

    hub: str = ""
    epoch: str = ""
    version: int = 0
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds."""

    origin: Origin = field(default_factory=Origin)
    tables: tuple[TableBackup, ...] = ()
    sessions: tuple[SessionBackup, ...] = ()

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables)


def to_json(message: Message) -> dict[str, Any]:
    """A definition as JSON."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found


def of_json(given: Any, message: Any, where: str) -> Any:
    """A definition from JSON, into `message`. Raises BackupFailed."""
    if not isinstance(given, Mapping):
        raise damaged(where, "a definition is no object")
    try:
        return ParseDict(dict(given), message)
    except ParseError as error:
        if "no field named" in str(error):
            hint = "restore it with the version of the client that wrote it, or a newer one"
            raise BackupFailed(
                BackupReason.NEWER_FORMAT,
                f"{where}: a definition has what this version does not know: {error}",
                hint=hint,
            ) from None
        raise damaged(where, f"a definition cannot be read: {error}") from None
