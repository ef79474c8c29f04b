"""Everything that is known of a table when it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.data.filter_uses import FilterUse
from tesseract_grpc.engine.data.schema import IndexKind, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.table_memory import ColumnMemory, TableMemory, table_memory
from tesseract_grpc.engine.operators.column_profile import ColumnProfile
from tesseract_grpc.server.diagnosis.costs import SessionCosts


@dataclass(frozen=True, slots=True)
class IndexFact:
    """An index, and how often it was the one that brought candidates."""

    columns: tuple[str, ...]
    kind: IndexKind
    primary: bool
    uses: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How many rows came and left since uses are counted."""

    inserted: int
    insertions: int
    """In so many commits."""
    removed: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table at one moment."""

    name: str
    schema: TableSchema
    derived: bool
    rows: int
    slots: int
    """Places that hold a row or have held one."""
    memory: TableMemory
    indexes: tuple[IndexFact, ...]
    filters: tuple[FilterUse, ...]
    """Most frequent first."""
    large_results: int
    largest_result: int
    growth: Growth
    limited: bool
    """Whether rows leave by themselves: by age or number, or to keep to a limit of memory."""
    memory_limit: int
    """In bytes; 0 for none."""

    @property
    def reads(self) -> int:
        """How often rows were found by a filter."""
        return sum(use.uses for use in self.filters)

    def memory_of(self, column: str) -> ColumnMemory | None:
        """What holds the memory of a column."""
        return next((each for each in self.memory.columns if each.column == column), None)

    def index_of(self, column: str) -> IndexFact | None:
        """The index that answers for one column."""
        return next((each for each in self.indexes if each.columns == (column,)), None)


@dataclass(frozen=True, slots=True)
class Facts:
    """A table, what is in its columns, and what its sessions cost."""

    table: TableFacts
    columns: tuple[ColumnProfile, ...]
    sessions: SessionCosts

    def column(self, name: str) -> ColumnProfile | None:
        """What is in a column; None where the table has none of this name."""
        return next((each for each in self.columns if each.schema.name == name), None)


def table_facts(name: str, table: Table, *, derived: bool) -> TableFacts:
    """What a table says of itself, in one step. O(columns + indexes + filters that are counted)."""
    uses, limit = table.uses, table.memory_limit
    inserted = 0 if uses is None else table.next_sequence - uses.first_sequence
    return TableFacts(
        name,
        table.schema,
        derived,
        table.row_count,
        table.high_water,
        table_memory(table),
        _indexes(table),
        () if uses is None else tuple(uses.most_used()),
        0 if uses is None else uses.large_results,
        0 if uses is None else uses.largest_result,
        Growth(
            inserted,
            0 if uses is None else uses.insertions,
            0 if uses is None else uses.first_rows + inserted - table.row_count,
        ),
        table.retention is not None or (limit is not None and limit.evicts),
        0 if limit is None else limit.max_bytes,
    )


def _indexes(table: Table) -> tuple[IndexFact, ...]:
    """The index of keys, and the others by their column."""
    keys = tuple(column.name for column in table.schema.key_columns)
    primary = IndexFact(keys, IndexKind.HASH, True, table.keys.uses, table.keys.memory_bytes())
    others = (
        IndexFact((name,), index.schema.kind, False, index.uses, index.memory_bytes())
        for name, index in sorted(table.indexes.items())
    )
    return (primary, *others)
