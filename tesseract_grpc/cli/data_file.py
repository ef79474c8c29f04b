"""A file of rows on disk: CSV, JSON lines or Parquet, looked at once and then read in batches.

The first look decides the types, so it reads the whole file: a type guessed from the first megabyte fails in the middle
of a load, when half of the rows are already in the table. It also counts the rows, which is what makes the
progress bar honest.

* **Parquet** says its types and its length in the footer.
* **CSV** is read in blocks. pyarrow guesses the types from the first block and refuses a later value that does not fit;
  then the column's type is widened one step (int64 -> float64 -> string, date -> timestamp -> string) and the look
  begins again. An empty field is null. NA, N/A, NULL and null are too where they cannot be a value, in columns of
  numbers, times and truth values; in a column of texts they are texts.
* **JSON lines** are read whole, because a field may appear for the first time in the last line; the memory of the
  Arrow table is the price.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tesseract_grpc.cli.errors import BadArgument, CommandFailed

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
HINTS = {
    "csv": "every line must have as many fields as the first, which names the columns",
    "tsv": "every line must have as many fields as the first, which names the columns",
    "json": "every line must be one JSON object, and a field must be of one type in all of them",
    "parquet": "the name says Parquet; the file may be something else",
}
CSV_BLOCK_BYTES = 4 << 20
CSV_NULLS = ["", "NA", "N/A", "NULL", "null"]


@dataclass(slots=True)
class DataFile:
    """One file. `look` must run before `batches`."""

    path: Path
    format: str
    overrides: dict[str, str] = field(default_factory=dict)
    row_count: int = 0
    schema: Any = None
    _json_table: Any = None
    _csv_types: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, overrides: dict[str, str]) -> DataFile:
        """The file, its format told by its name. Raises BadArgument for an unknown one."""
        name = FORMATS.get(path.suffix.lower())
        if name is None:
            raise BadArgument(
                f"cannot tell the format of {path.name}",
                reason="UNKNOWN_FORMAT",
                field="FILE",
                hint=f"the name must end in one of {' '.join(FORMATS)}",
            )
        return cls(path, name, overrides)

    def look(self) -> None:
        """Reads the file once, to know its types and its number of rows."""
        import pyarrow as pa

        try:
            if self.format == "parquet":
                self._look_parquet()
            elif self.format == "json":
                self._look_json()
            else:
                self._look_csv()
        except (pa.ArrowException, OSError) as error:
            raise CommandFailed(
                f"cannot read {self.path.name} as {self.format}: {error}",
                reason="UNREADABLE_FILE",
                hint=HINTS[self.format],
            ) from error
        duplicate = next((name for name in self.schema.names if self.schema.names.count(name) > 1), None)
        if duplicate is not None:
            raise CommandFailed(f'two columns of {self.path.name} are called "{duplicate}"', reason="BAD_SCHEMA")

    def batches(self, rows: int, columns: list[str]) -> Iterator[Any]:
        """The columns `columns` as Arrow record batches of at most `rows` rows, in the order of the file."""
        if self.format == "parquet":
            from pyarrow import parquet

            with parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=rows, columns=columns)
        elif self.format == "json":
            yield from self._json_table.select(columns).to_batches(max_chunksize=rows)
        else:
            with self._open_csv() as reader:
                for block in reader:
                    chosen = _with_nulls(block.select(columns))
                    for start in range(0, block.num_rows, rows):
                        yield chosen.slice(start, rows)

    def _look_parquet(self) -> None:
        from pyarrow import parquet

        with parquet.ParquetFile(self.path) as file:
            self.schema = file.schema_arrow
            self.row_count = file.metadata.num_rows

    def _look_json(self) -> None:
        from pyarrow import json

        self._json_table = json.read_json(self.path)
        self.schema = self._json_table.schema
        self.row_count = self._json_table.num_rows

    def _look_csv(self) -> None:
        import pyarrow as pa

        self._csv_types = {name: _csv_type(chosen) for name, chosen in self.overrides.items() if chosen != "timestamp"}
        while True:
            with self._open_csv() as reader:
                self.schema = reader.schema
                try:
                    self.row_count = sum(block.num_rows for block in reader)
                except pa.ArrowInvalid as error:
                    self._widen(error)
                else:
                    return

    def _widen(self, error: Exception) -> None:
        """Gives the column that the error names the next wider type; raises the error when that does not help."""
        found = re.search(r"In CSV column #(\d+)", str(error))
        if found is None:
            raise error
        column = self.schema.field(int(found[1]))
        wider = _wider(column.type)
        if wider is None or column.name in self.overrides:
            raise error
        self._csv_types[column.name] = wider

    def _open_csv(self) -> Any:
        from pyarrow import csv

        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=CSV_BLOCK_BYTES),
            parse_options=csv.ParseOptions(delimiter="\t" if self.format == "tsv" else ",", newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=self._csv_types, null_values=CSV_NULLS),
        )


def _with_nulls(block: Any) -> Any:
    """A block of a CSV file with nulls for the empty texts. pyarrow would make nulls of all CSV_NULLS, or of none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    null = pa.scalar(None, pa.string())
    arrays = [
        pc.if_else(pc.equal(array, ""), null, array) if pa.types.is_string(array.type) else array
        for array in block.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=block.schema.names)


def _csv_type(name: str) -> Any:
    """The Arrow type that reads a CSV column of a table type; texts for what is converted later."""
    import pyarrow as pa

    return {"bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64()}.get(name, pa.string())


def _wider(arrow: Any) -> Any:
    """The next type to try for a CSV column; None after string."""
    import pyarrow as pa

    if pa.types.is_null(arrow):
        return pa.int64()
    if pa.types.is_int64(arrow):
        return pa.float64()
    if pa.types.is_date(arrow):
        return pa.timestamp("us")
    return None if pa.types.is_string(arrow) else pa.string()
