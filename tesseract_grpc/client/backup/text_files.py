"""Files of one table that people can read: CSV, JSON lines, and JSON with the layout of the guide.

CSV and JSON lines hold rows and nothing else, so that every tool reads them; what the table was is inferred again when
they are restored. In CSV null is nothing, and the empty text is "". In JSON lines NaN and the infinities are texts.

JSON is one object: `metadata` (tableName, backupDate, version, recordCount), `schema` (the columns as
`create_tesseract` takes them, and the whole definition), `data` (one object a row and line), and at last `checksum`,
the SHA-256 of all that stands before its comma.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import IO, Any

from ..core.batch import Block
from ..core.schema import Schema
from .definition import Contents, TableBackup, to_json
from .new_file import NewFile
from .value_texts import INFINITY, MINUS_INFINITY, NAN, csv_field, csv_texts, json_texts

LAYOUT = "2.0"
"""The version of the layout, as the guide has it."""


class CsvWriter:
    """Rows with commas between the values; the first line has the names."""

    def __init__(self, file: NewFile) -> None:
        self._stream = file.stream

    def begin(self, contents: Contents) -> None:
        """What follows: one table."""
        (table,) = contents.tables
        self._stream.write((",".join(map(csv_field, table.schema.types)) + "\n").encode())

    def rows(self, table: TableBackup, block: Block) -> None:
        """Some rows."""
        columns = [csv_texts(block.columns[name], name) for name in table.schema.types]
        if len(block):
            self._stream.write(("\n".join(map(",".join, zip(*columns, strict=True))) + "\n").encode())

    def end_table(self, table: TableBackup) -> None:
        """All rows came."""

    def finish(self) -> None:
        """Everything came."""

    def abandon(self) -> None:
        """Writes nothing more."""


class JsonLinesWriter:
    """One JSON object a line."""

    def __init__(self, file: NewFile) -> None:
        self._stream = file.stream

    def begin(self, contents: Contents) -> None:
        """What follows: one table."""

    def rows(self, table: TableBackup, block: Block) -> None:
        """Some rows."""
        if len(block):
            self._stream.write(("\n".join(_objects(table.schema, block)) + "\n").encode())

    def end_table(self, table: TableBackup) -> None:
        """All rows came."""

    def finish(self) -> None:
        """Everything came."""

    def abandon(self) -> None:
        """Writes nothing more."""


class _Hashed:
    """A stream that knows the hash of what it was given."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def write(self, text: str) -> None:
        """Writes a text."""
        content = text.encode()
        self._hash.update(content)
        self._stream.write(content)

    @property
    def hash(self) -> str:
        """That of all so far."""
        return self._hash.hexdigest()


class JsonWriter:
    """One object, with the layout of the guide."""

    def __init__(self, file: NewFile) -> None:
        self._stream = _Hashed(file.stream)
        self._first = True

    def begin(self, contents: Contents) -> None:
        """What follows: one table."""
        (table,) = contents.tables
        origin = contents.origin
        metadata = {
            "tableName": table.name,
            "backupDate": _iso(origin.time or datetime.now(UTC)),
            "version": LAYOUT,
            "recordCount": table.rows,
            "hub": origin.hub,
            "epoch": origin.epoch,
            "hubVersion": origin.version,
        }
        schema = {"columns": _columns(table.schema), "definition": to_json(table.definition)}
        self._stream.write(f'{{\n"metadata": {_json(metadata)},\n"schema": {_json(schema)},\n"data": [')

    def rows(self, table: TableBackup, block: Block) -> None:
        """Some rows."""
        if len(block):
            start = "\n" if self._first else ",\n"
            self._first = False
            self._stream.write(start + ",\n".join(_objects(table.schema, block)))

    def end_table(self, table: TableBackup) -> None:
        """All rows came."""

    def finish(self) -> None:
        """Everything came."""
        self._stream.write("\n]")
        self._stream.write(f',\n"checksum": {{"sha256": "{self._stream.hash}"}}\n}}\n')

    def abandon(self) -> None:
        """Writes nothing more."""


def _objects(schema: Schema, block: Block) -> list[str]:
    """One JSON object a row."""
    columns = []
    for name in schema.types:
        label = json.dumps(name, ensure_ascii=False) + ":"
        columns.append([label + text for text in json_texts(block.columns[name], name)])
    return ["{" + ",".join(row) + "}" for row in zip(*columns, strict=True)]


def _columns(schema: Schema) -> list[dict[str, Any]]:
    """The columns as `create_tesseract` takes them, and as JSON can say them."""
    dicts = schema.to_dicts()
    return [{**column, **({"default": _said(column["default"])} if "default" in column else {})} for column in dicts]


def _said(default: Any) -> Any:
    if isinstance(default, float) and not math.isfinite(default):
        return NAN if math.isnan(default) else INFINITY if default > 0 else MINUS_INFINITY
    return default if isinstance(default, str | bool | int | float | list | dict) else _iso(default)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _iso(value: Any) -> str:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
