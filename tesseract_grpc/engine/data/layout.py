"""What an alteration exchanges of a table, all at once: what its columns are, not which rows there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.formulas import Formulas
from tesseract_grpc.engine.data.index import SecondaryIndex
from tesseract_grpc.engine.data.key_index import KeyIndex
from tesseract_grpc.engine.data.schema import IndexSchema, TableSchema


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table by position, how rows are found by key, and what follows from the columns."""

    schema: TableSchema
    columns: tuple[Column, ...]
    keys: KeyIndex
    indexes: Mapping[str, tuple[SecondaryIndex, IndexSchema]]
    """By column, with what they are called."""
    formulas: Formulas | None
