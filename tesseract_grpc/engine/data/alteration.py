"""What can be done to the columns, the key and the indexes of a table that is in use: definitions, as they are asked.

`operators/altered_table.py` works them out, `live/altering.py` leads everybody who reads the table on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tesseract_grpc.engine.data.schema import ColumnSchema, IndexSchema

PARTS = ("type", "required", "default_value", "default_expression", "enum_values", "expression", "description")
"""What of a column can be changed."""


@dataclass(frozen=True, slots=True)
class AddColumn:
    """A new column: behind `after`, or the last. Rows get the value of `backfill`, or the column's default."""

    column: ColumnSchema
    backfill: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class DropColumn:
    """A column goes, with its index."""

    column: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """A column is called otherwise."""

    column: str
    new_name: str


@dataclass(frozen=True, slots=True)
class ChangeColumn:
    """Some `parts` (of PARTS) of a column become those of `definition`, whose name is of no matter.

    Rows get the value of the expression `using` over the columns as they were, or else their own value in the new type.
    """

    column: str
    definition: ColumnSchema
    parts: frozenset[str]
    using: str = ""


@dataclass(frozen=True, slots=True)
class SetKey:
    """Rows are named by these columns."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddIndex:
    """A new index; one over the same column is replaced."""

    index: IndexSchema


@dataclass(frozen=True, slots=True)
class DropIndex:
    """The index of a column goes."""

    column: str


Alteration: TypeAlias = AddColumn | DropColumn | RenameColumn | ChangeColumn | SetKey | AddIndex | DropIndex
