"""Queries, as plain data: where rows come from, and what becomes of them. Conditions and expressions are in asks.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tests.oracle.asks import Ask, Key
from tests.oracle.brief import Brief
from tests.oracle.part import Part

Mode = Literal["flat", "rollup", "total"]


@dataclass(frozen=True, repr=False)
class By(Brief):
    """One key of a sort."""

    column: str
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, repr=False)
class OfTable(Brief):
    table: str


@dataclass(frozen=True, repr=False)
class OfSession(Brief):
    """What a session shows; `question` is what it asked when it was named here."""

    session: str
    question: Question


@dataclass(frozen=True, repr=False)
class OfSub(Brief):
    """A query among `Question.subs`, of this question or of one around it."""

    name: str


@dataclass(frozen=True, repr=False)
class OfQuery(Brief):
    question: Question


@dataclass(frozen=True, repr=False)
class Together(Brief):
    """The rows of several sources; the column `branch` counts the sources."""

    origins: tuple[Origin, ...]
    branch: str = "branch"


Origin = OfTable | OfSession | OfSub | OfQuery | Together


@dataclass(frozen=True, repr=False)
class Join(Brief):
    """`on` are pairs of a column here and a column there; `columns` pairs of a column there and its name here."""

    origin: Origin
    on: tuple[tuple[str, str], ...]
    left: bool = False
    columns: tuple[tuple[str, str], ...] = ()
    prefix: str = ""


Template = tuple[str | Part, ...]
"""Texts, and expressions between them."""


@dataclass(frozen=True, repr=False)
class Lookup(Brief):
    """A value of the first row of another source with equal columns: a column, an expression or a template."""

    origin: Origin
    on: tuple[tuple[str, str], ...]
    value: str | Part | Template


@dataclass(frozen=True, repr=False)
class Computed(Brief):
    name: str
    value: Part | Template | Lookup


@dataclass(frozen=True, repr=False)
class Aggregate(Brief):
    """`of` is a column or an expression over the rows; for "expression", one over the group's columns."""

    name: str
    function: str
    of: str | Part = ""
    filter: Ask | None = None
    percentile: float = 0.5
    order_by: str = ""
    weight: str = ""
    separator: str = ","
    limit: int | None = None


@dataclass(frozen=True, repr=False)
class Grouping(Brief):
    """`pivot` is a column and its values; None are those that there are when the question is asked."""

    by: tuple[str, ...]
    aggregates: tuple[Aggregate, ...] = ()
    mode: Mode = "flat"
    leafs: bool = False
    pivot: tuple[str, tuple[Any, ...] | None] | None = None


@dataclass(frozen=True, repr=False)
class Windowed(Brief):
    """A window column: a function over the rows of a partition, in an order, up to this one."""

    name: str
    function: str
    column: str = ""
    partition_by: tuple[str, ...] = ()
    order_by: tuple[By, ...] = ()
    offset: int = 1
    rows: int | None = None


@dataclass(frozen=True, repr=False)
class Question(Brief):
    """A query: which table or origin, which rows, which columns (empty: all), in which order (empty: its own)."""

    table: str = ""
    filter: Ask | None = None
    columns: tuple[str, ...] = ()
    sort: tuple[By, ...] = ()
    origin: Origin | None = None
    joins: tuple[Join, ...] = ()
    computed: tuple[Computed, ...] = ()
    group: Grouping | None = None
    having: Ask | None = None
    windowed: tuple[Windowed, ...] = ()
    tree: str = ""
    subs: tuple[tuple[str, Question], ...] = ()
    permanent: Ask | None = None


@dataclass(frozen=True, repr=False)
class Open(Brief):
    """Which nodes of a tree are open: down to a depth (None: all), and these, and not those."""

    depth: int | None = None
    expanded: tuple[Key, ...] = ()
    collapsed: tuple[Key, ...] = ()


@dataclass(frozen=True, repr=False)
class Span(Brief):
    """A window of an answer: the rows [offset, offset + limit)."""

    offset: int = 0
    limit: int | None = None
    open: Open | None = None
