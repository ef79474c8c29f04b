"""What holds the memory of tables: measured as it is allocated, column by column.

Arrays are counted with the room that they have, texts and dicts as the interpreter tells their size. A dictionary that
several columns share is counted once, where it comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.table import Table


@dataclass(frozen=True, slots=True)
class ColumnMemory:
    """The bytes of one column."""

    column: str
    values: int
    dictionary: int
    entries: int
    """How many texts are kept."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.values + self.dictionary


@dataclass(frozen=True, slots=True)
class TableMemory:
    """The bytes of one table."""

    columns: tuple[ColumnMemory, ...]
    indexes: tuple[tuple[str, int], ...]
    keys: int
    rows: int
    """What belongs to rows and to no column that is shown."""
    history: int

    @property
    def total(self) -> int:
        """All of it."""
        shown = sum(column.total for column in self.columns) + sum(size for _, size in self.indexes)
        return shown + self.keys + self.rows + self.history


def table_memory(table: Table) -> TableMemory:
    """What holds the memory of a table. O(columns + indexes), and what was written since it was asked for last."""
    seen: set[int] = set()
    shown = [table.columns[position] for position in table.schema.shown]
    columns = tuple(_column_memory(column, seen) for column in shown)
    indexes = tuple((index.schema.column, index.memory_bytes()) for index in table.indexes.values())
    aside = [column for column in table.columns if not any(column is each for each in shown)]
    rows = table.row_bytes() + sum(_column_memory(column, seen).total for column in aside)
    return TableMemory(columns, indexes, table.keys.memory_bytes(), rows, table.changelog.memory_bytes())


def memory_of(tables: Iterable[Table]) -> int:
    """The memory of tables together, without their histories, in bytes. O(columns + indexes)."""
    seen: set[int] = set()
    total = 0
    for table in tables:
        total += sum(_column_memory(column, seen).total for column in table.columns)
        total += sum(index.memory_bytes() for index in table.indexes.values())
        total += table.keys.memory_bytes() + table.row_bytes()
    return total


def _column_memory(column: Column, seen: set[int]) -> ColumnMemory:
    dictionary: Dictionary | None = column.dictionary
    values = column.values.nbytes + (0 if column.valid is None else column.valid.nbytes)
    if dictionary is None:
        return ColumnMemory(column.schema.name, values, 0, 0)
    known = id(dictionary) in seen
    seen.add(id(dictionary))
    return ColumnMemory(column.schema.name, values, 0 if known else dictionary.memory_bytes(), dictionary.count)
