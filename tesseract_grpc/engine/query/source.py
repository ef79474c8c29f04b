"""Where the rows of a query come from, and what is joined to them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tesseract_grpc.engine.query.query import Query


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table of the hub."""

    table: str


@dataclass(frozen=True, slots=True)
class SessionSource:
    """What a session shows, as its definition is now."""

    session: str


@dataclass(frozen=True, slots=True)
class SubSession:
    """A query among the sub-sessions of the query that names it, or of one around that."""

    name: str


@dataclass(frozen=True, slots=True)
class QuerySource:
    """A query written in place."""

    query: Query


@dataclass(frozen=True, slots=True)
class Union:
    """Several sources, one after the other; a column tells which source a row is of."""

    sources: tuple[RowSource, ...]
    branch_column: str = "branch"


RowSource: TypeAlias = TableSource | SessionSource | SubSession | QuerySource | Union


class JoinKind(IntEnum):
    """Which rows a join keeps. The numbers are those of the wire."""

    INNER = 1
    LEFT = 2


@dataclass(frozen=True, slots=True)
class JoinKey:
    """A pair of columns that must be equal."""

    left: str
    right: str


@dataclass(frozen=True, slots=True)
class JoinColumn:
    """A column taken from a joined source; without a name of its own it is called prefix and column."""

    column: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """A join of the rows so far with those of a source where columns are equal."""

    source: RowSource
    on: tuple[JoinKey, ...]
    kind: JoinKind = JoinKind.INNER
    columns: tuple[JoinColumn, ...] = ()
    prefix: str = ""
