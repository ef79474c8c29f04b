"""Reading CSV: once to see what the columns are, once for the rows.

A field that is empty and not quoted is null; "" in quotes is the empty text. Everything is read as text first, so that
007 stays 007 until it is decided what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..core.batch import Block
from ..core.datatype import INT64
from ..core.vector import Vector
from .definition import Contents, Origin, TableBackup
from .errors import BackupFailed, BackupReason, damaged
from .formats import load_pyarrow
from .inference import Inference, Looked, form_of_text, infer, key_candidates, see_values
from .options import RestoreSettings
from .table_names import table_id
from .text_source import TextSource
from .text_vectors import of_texts

BLOCK_BYTES = 2 << 20


class CsvFile:
    """A CSV file, open for reading. Raises BackupFailed."""

    format_name = "csv"

    def __init__(self, path: Path, *, gzipped: bool) -> None:
        load_pyarrow("reading CSV")
        self.path = path
        self._source = TextSource(path, gzipped=gzipped)
        self.bytes = self._source.bytes
        self.contents = Contents()
        self.inference: Inference | None = None

    @property
    def checked(self) -> bool:
        """Whether it has a checksum."""
        return self._source.gzipped

    def check(self, tell: Callable[[int], None]) -> None:
        """Raises BackupFailed when a compressed file is not whole; of a plain one nothing is known."""
        self._source.check(tell)

    def look(self, settings: RestoreSettings) -> None:
        """Sees what its columns are. O(file)."""
        name = table_id(self.path)
        looked: dict[str, Looked] = {}
        rows = 0
        for batch in self._batches():
            if not looked:
                looked = _looked(batch.schema.names, name, self.path)
            rows += batch.num_rows
            for column, seen in looked.items():
                see_values(seen, batch.column(column).to_pylist(), form_of_text)
        self.inference = infer(name, looked, rows, settings, documents=False)
        self.contents = Contents(Origin(), (self.inference.table,))

    def _batches(self) -> Iterator[Any]:
        """The rows as texts."""
        import pyarrow
        from pyarrow import csv

        rows = 0
        try:
            with self._source.open() as file:
                head = csv.open_csv(file, csv.ReadOptions(block_size=BLOCK_BYTES), _parse(csv), _convert(csv, {}))
                names = head.schema.names
            with self._source.open() as file:
                types = dict.fromkeys(names, pyarrow.string())
                options = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
                empty = pyarrow.schema(list(types.items()))
                yield pyarrow.RecordBatch.from_arrays(
                    [pyarrow.array([], pyarrow.string()) for _ in names], schema=empty
                )
                for batch in csv.open_csv(file, options, _parse(csv), _convert(csv, types)):
                    rows += batch.num_rows
                    yield batch
        except (pyarrow.ArrowException, OSError, EOFError) as error:
            raise damaged(self.path.name, f"it cannot be read behind row {rows:,}: {error}") from None

    def blocks(self, table: TableBackup) -> Iterator[Block]:
        """The rows, in their order."""
        assert self.inference is not None, "it has been looked at"
        types, numbered, row = table.schema.types, self.inference.numbered, 0
        for batch in self._batches():
            vectors: dict[str, Vector] = numbers(numbered, row, batch.num_rows)
            for name in batch.schema.names:
                vectors[name] = of_texts(types[name], batch.column(name).to_pylist(), name, row, self.path.name)
            row += batch.num_rows
            if batch.num_rows:
                yield Block(batch.num_rows, vectors)

    def close(self) -> None:
        """Nothing is open between calls."""


def numbers(name: str, row: int, count: int) -> dict[str, Vector]:
    """The column that numbers rows, where there is one."""
    import numpy as np

    return {name: Vector(INT64, np.arange(row + 1, row + count + 1, dtype=np.int64))} if name else {}


def _looked(names: list[str], table: str, path: Path) -> dict[str, Looked]:
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise BackupFailed(BackupReason.NOT_INFERRED, f"{path.name} has two columns called {double!r}")
    candidates = key_candidates(names, table)
    return {name: Looked(hashes=[] if name in candidates else None) for name in names}


def _parse(csv: Any) -> Any:
    return csv.ParseOptions(newlines_in_values=True)


def _convert(csv: Any, types: dict[str, Any]) -> Any:
    return csv.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
