"""What an image of a hub is made of: pieces with the rows of tables, and an ending with everything else.

`hub_image.py` takes images, `restoration.py` makes hubs of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.retention import MemoryLimit, Retention
from tesseract_grpc.engine.data.schema import IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.resolve_pivot import PivotValues
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.query import Query

Sequence64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TableBegun:
    """The rows of a table follow, under a number of their own."""

    table: int
    schema: TableSchema


@dataclass(frozen=True, slots=True)
class DerivedBegun:
    """The keys and versions of the rows of a derived table follow; everything else is derived again."""

    table: int


@dataclass(frozen=True, slots=True)
class RowsCopied:
    """Rows of a table with all columns (the key, of a derived one), their places in the order of insertion, and their
    versions."""

    table: int
    sequence: Sequence64
    row_version: Sequence64
    rows: Batch


@dataclass(frozen=True, slots=True)
class RowsGone:
    """Rows of a table that were copied and are no more."""

    table: int
    sequence: Sequence64


Piece = TableBegun | DerivedBegun | RowsCopied | RowsGone


@dataclass(frozen=True, slots=True)
class KeptQuery:
    """A query, what it stands for without reading sessions, and what was looked up when it was made."""

    given: Query
    closed: Query
    pivots: tuple[PivotValues, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptTable:
    """What is known of a table beside its rows; `query` is set when they are derived."""

    name: str
    number: int
    create_version: int
    update_version: int
    next_sequence: int
    indexes: tuple[IndexSchema, ...]
    query: KeptQuery | None = None
    retention: Retention | None = None
    memory_limit: MemoryLimit | None = None


@dataclass(frozen=True, slots=True)
class KeptSession:
    """A session."""

    name: str
    query: KeptQuery
    permanent: Filter | None
    generation: int


@dataclass(frozen=True, slots=True)
class Ending:
    """The last step: what of all tables is still to be told, and what there is at this version."""

    version: int
    now: int
    pieces: tuple[Piece, ...]
    tables: tuple[KeptTable, ...]
    sessions: tuple[KeptSession, ...]
