"""Which columns of a file become the primary key, when the user does not say.

A key must name each row. A column called `id`, `key` or after the table (`user_id` for users) is tried first, then the
file's first column; the first of them without nulls and duplicates is taken, after looking at every row. If
none is, rows are numbered in a column `row` from 1, which at least keeps every row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tesseract_grpc.cli.data_file import DataFile
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.cli.inference import FileColumn
from tesseract_grpc.client.backup.inference import key_candidates

KEY_TYPES = {"bool", "int64", "timestamp", "string"}
LOOK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """The key columns, and why they were chosen. With `numbered` there is one, and it is not in the file."""

    columns: tuple[str, ...]
    why: str
    numbered: bool = False


def choose_key(file: DataFile, columns: list[FileColumn], table: str, asked: tuple[str, ...]) -> KeyChoice:
    """The key that the user asked for, or the best one that the file has."""
    types = {column.name: column.type for column in columns}
    for name in asked:
        _check_asked(name, types)
    if asked:
        return KeyChoice(asked, "as asked")
    candidates = _candidates(types, table)
    for name in candidates:
        if _is_unique(file, name):
            return KeyChoice((name,), "no nulls, no duplicates")
    number = "row"
    while number in types:
        number += "_"
    return KeyChoice((number,), f"rows numbered from 1, because {_why_not(candidates)}", numbered=True)


def numbered(batches: Iterator[Any], name: str) -> Iterator[Any]:
    """The batches with a column `name` in front that counts rows from 1."""
    import pyarrow as pa

    done = 0
    for batch in batches:
        numbers = pa.array(range(done + 1, done + 1 + batch.num_rows), pa.int64())
        done += batch.num_rows
        yield pa.RecordBatch.from_arrays([numbers, *batch.columns], names=[name, *batch.schema.names])


def _check_asked(name: str, types: dict[str, str]) -> None:
    if name not in types:
        raise BadArgument(
            f'the file has no column "{name}"',
            reason="UNKNOWN_COLUMN",
            field="--key",
            hint=f"its columns are {', '.join(types)}",
        )
    if types[name] not in KEY_TYPES:
        raise BadArgument(
            f'column "{name}" is {types[name]}, which cannot be a key',
            reason="BAD_SCHEMA",
            field="--key",
            hint=f"keys are {', '.join(sorted(KEY_TYPES))}",
        )


def _candidates(types: dict[str, str], table: str) -> list[str]:
    """Columns worth trying, the best first."""
    return [name for name in key_candidates(list(types), table) if types[name] in KEY_TYPES]


def _is_unique(file: DataFile, name: str) -> bool:
    """Whether a column of the file has neither nulls nor duplicates. Reads the column once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    chunks = [batch.column(name) for batch in file.batches(LOOK_ROWS, [name])]
    if not chunks:
        return True
    column = pa.chunked_array(chunks)
    return bool(column.null_count == 0 and pc.count_distinct(column).as_py() == len(column))


def _why_not(candidates: list[str]) -> str:
    if not candidates:
        return "no column looks like a key"
    return " and ".join(f'"{name}"' for name in candidates) + " has nulls or duplicates"
