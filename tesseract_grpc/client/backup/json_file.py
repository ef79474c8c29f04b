"""Reading JSON: the layout of the guide, or a list of rows; and JSON lines.

A JSON file is read whole, because its rows stand in the middle of it: some times its size in memory. JSON lines are
read line by line, once to see what the columns are and once for the rows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import schema_pb2

from ..core.batch import Block
from ..core.schema import columns_of
from .csv_file import numbers
from .definition import Contents, Origin, TableBackup
from .definition import of_json as definition_of_json
from .errors import BackupFailed, BackupReason, damaged
from .inference import Inference, Looked, form_of_value, infer, see_values
from .options import RestoreSettings
from .table_names import table_id
from .text_source import TextSource
from .text_vectors import of_json

BLOCK_ROWS = 10_000
_CHECKSUM = re.compile(rb',\n"checksum": \{"sha256": "([0-9a-f]{64})"\}\n\}\n\Z')
Row = Mapping[str, Any]


class _JsonRows:
    """Rows that are JSON objects, once it is known what their columns are."""

    def __init__(self, path: Path, *, gzipped: bool) -> None:
        self.path = path
        self._source = TextSource(path, gzipped=gzipped)
        self.bytes = self._source.bytes
        self.contents = Contents()
        self.inference: Inference | None = None

    def check(self, tell: Callable[[int], None]) -> None:
        """Raises BackupFailed when a compressed file is not whole."""
        self._source.check(tell)

    def _rows(self) -> Iterator[list[Row]]:
        """The rows, some thousand at a time."""
        raise NotImplementedError

    def _infer(self, name: str, settings: RestoreSettings) -> Inference:
        looked: dict[str, Looked] = {}
        rows = 0
        for some in self._rows():
            for column in dict.fromkeys(column for row in some for column in row):
                if column not in looked:
                    looked[column] = Looked(hashes=[])
                    looked[column].rows = rows  # rows before the first that mentions it have none
            for column, seen in looked.items():
                see_values(seen, [row.get(column) for row in some], form_of_value)
            rows += len(some)
        if not looked:
            hint = "give its columns (columns=[{..}])"
            raise BackupFailed(BackupReason.NOT_INFERRED, f"{self.path.name} has no rows to infer from", hint=hint)
        return infer(name, looked, rows, settings, documents=True)

    def blocks(self, table: TableBackup) -> Iterator[Block]:
        """The rows, in their order."""
        types = {c.name: c.type for c in table.definition.columns if not c.expression}
        numbered, row = "" if self.inference is None else self.inference.numbered, 0
        known = {column.name for column in table.definition.columns}
        for some in self._rows():
            unknown = next((name for each in some for name in each if name not in known), None)
            if unknown is not None:
                raise damaged(self.path.name, f"a row behind row {row:,} has {unknown!r}, which is no column")
            vectors = numbers(numbered, row, len(some))
            for name, type in types.items():
                if name != numbered:
                    values = [each.get(name) for each in some]
                    vectors[name] = of_json(type, values, name, row, self.path.name)
            row += len(some)
            yield Block(len(some), vectors)

    def close(self) -> None:
        """Nothing is open between calls."""


class JsonLinesFile(_JsonRows):
    """JSON lines, open for reading. Raises BackupFailed."""

    format_name = "jsonl"

    @property
    def checked(self) -> bool:
        """Whether it has a checksum."""
        return self._source.gzipped

    def look(self, settings: RestoreSettings) -> None:
        """Sees what its columns are. O(file)."""
        self.inference = self._infer(table_id(self.path), settings)
        self.contents = Contents(Origin(), (self.inference.table,))

    def _rows(self) -> Iterator[list[Row]]:
        rows: list[Row] = []
        number = done = 0
        with self._source.open() as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(self._row(line, number, done))
                    if len(rows) >= BLOCK_ROWS:
                        yield rows
                        rows = []
                done += len(line)
        if rows:
            yield rows

    def _row(self, line: bytes, number: int, at: int) -> Row:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise damaged(self.path.name, f"line {number:,}, at byte {at:,}, is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise damaged(self.path.name, f"line {number:,}, at byte {at:,}, is no object")
        return found


class JsonFile(_JsonRows):
    """A JSON file, open for reading. Raises BackupFailed."""

    format_name = "json"
    checked = False

    def __init__(self, path: Path, *, gzipped: bool) -> None:
        super().__init__(path, gzipped=gzipped)
        self._data: Sequence[Row] = ()
        self._metadata: Mapping[str, Any] = {}
        self._schema: Any = None

    def check(self, tell: Callable[[int], None]) -> None:
        """Raises BackupFailed when it cannot be read, or its checksum or its number of rows are not right."""
        super().check(tell)
        with self._source.open() as file:
            content = file.read()
        found = _CHECKSUM.search(content, max(0, len(content) - 200))
        if found is not None:
            self.checked = True
            if hashlib.sha256(content[: found.start()]).hexdigest() != found[1].decode():
                raise damaged(self.path.name, f"it is altered: {self._where(content)}")
        self._parse(content)

    def _where(self, content: bytes) -> str:
        try:
            json.loads(content)
        except (ValueError, RecursionError) as error:
            return f"it is no JSON any more: {error}"
        return "a byte before its checksum is not the one that was written"

    def _parse(self, content: bytes) -> None:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise damaged(self.path.name, f"it breaks off or is altered: {error}") from None
        if isinstance(found, dict) and "checksum" in found and not self.checked:
            raise damaged(self.path.name, "its end, with its checksum, is not as it was written")
        if isinstance(found, dict) and isinstance(found.get("data"), list):
            self._data, self._schema = found["data"], found.get("schema")
            self._metadata = found.get("metadata") or {}
        elif isinstance(found, list):
            self._data = found
        else:
            hint = 'it is {"metadata": {..}, "schema": {..}, "data": [..]}, or a list of rows'
            raise BackupFailed(BackupReason.NOT_A_BACKUP, f"{self.path.name} is no backup of a table", hint=hint)
        for number, row in enumerate(self._data, 1):
            if not isinstance(row, dict):
                raise damaged(self.path.name, f"row {number:,} is no object")
        count = self._metadata.get("recordCount")
        if count is not None and count != len(self._data):
            raise damaged(self.path.name, f"it has {len(self._data):,} rows, and its metadata tell of {count:,}")

    def look(self, settings: RestoreSettings) -> None:
        """Takes the columns from its schema, or sees what they are where it has none. O(rows)."""
        metadata = self._metadata
        name = str(metadata.get("tableName") or table_id(self.path))
        time = metadata.get("backupDate")
        origin = Origin(
            str(metadata.get("hub", "")),
            str(metadata.get("epoch", "")),
            int(metadata.get("hubVersion", 0)),
            _time(time),
        )
        if self._schema is None or settings.columns is not None:
            self.inference = self._infer(name, settings)
            table = self.inference.table
        else:
            table = TableBackup(name, len(self._data), self._definition())
        self.contents = Contents(origin, (table,))

    def _definition(self) -> schema_pb2.Table:
        schema = self._schema
        if isinstance(schema, Mapping) and "definition" in schema:
            found: schema_pb2.Table = definition_of_json(schema["definition"], schema_pb2.Table(), self.path.name)
            return found
        columns = schema.get("columns") if isinstance(schema, Mapping) else schema
        messages, indexes = columns_of(columns if isinstance(columns, Sequence) else ())
        return schema_pb2.Table(columns=messages, indexes=indexes)

    def _rows(self) -> Iterator[list[Row]]:
        for start in range(0, len(self._data), BLOCK_ROWS):
            yield list(self._data[start : start + BLOCK_ROWS])


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
