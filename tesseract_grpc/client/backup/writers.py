"""What writes each format, and what each format does not keep."""

from __future__ import annotations

from typing import Protocol

from tesseract_grpc import __version__

from ..core.batch import Block
from ..core.datatype import BOOL, FLOAT64, INT64, STRING, name_of_type
from ..core.schema import Schema
from .container import ContainerWriter
from .definition import Contents, TableBackup
from .formats import Format
from .new_file import NewFile
from .parquet_file import ParquetWriter
from .text_files import CsvWriter, JsonLinesWriter, JsonWriter


class BackupWriter(Protocol):
    """Writes one backup. All of it may be called in a thread, one call after the other."""

    def begin(self, contents: Contents) -> None:
        """What follows."""

    def rows(self, table: TableBackup, block: Block) -> None:
        """Rows of the table that is at it."""

    def end_table(self, table: TableBackup) -> None:
        """All rows of this table came."""

    def finish(self) -> None:
        """Everything came."""

    def abandon(self) -> None:
        """Writes nothing more."""


def writer_of(format: Format, file: NewFile) -> BackupWriter:
    """What writes a format. Raises BackupFailed."""
    match format.name:
        case "container":
            return ContainerWriter(file, __version__)
        case "parquet":
            return ParquetWriter(file, __version__)
        case "json":
            return JsonWriter(file)
        case "jsonl":
            return JsonLinesWriter(file)
        case "csv":
            return CsvWriter(file)


_SURE = {"csv": (BOOL, INT64, FLOAT64, STRING), "jsonl": (BOOL, INT64, FLOAT64, STRING)}


def lost(format: Format, schema: Schema) -> tuple[str, ...]:
    """What a format does not keep of a table, for people."""
    if format.name not in _SURE:
        return ()
    found = ["a CSV file has no schema" if format.name == "csv" else "JSON lines have no schema"]
    found[0] += ": types, key, indexes and defaults are inferred again when it is restored, or given (columns, key)"
    others = [
        f"{column.name} ({name_of_type(column.type)})"
        for column in schema.columns
        if column.type not in _SURE[format.name]
    ]
    if others:
        found.append(f"types that are told by their values alone: {', '.join(others)}")
    computed = [column.name for column in schema.columns if column.expression]
    if computed:
        found.append(f"computed columns become plain ones: {', '.join(computed)}")
    return tuple(found)
