"""Grouping: by which columns, on which levels, and what is aggregated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tesseract_grpc.engine.data.schema import Scalar
from tesseract_grpc.engine.query.filter_tree import Filter


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One column of a grouped result: a function over a column of the rows of each group.

    `function` is a name that the operators know, for example "sum"; `column` is empty for those that count rows. In its
    place, `expression` is worked out for each row; for the function "expression" it speaks of the group's columns.
    """

    name: str
    function: str
    column: str = ""
    expression: str = ""
    filter: Filter | None = None  # only rows that it keeps are aggregated
    percentile: float = 0.5
    order_by: str = ""
    weight: str = ""
    separator: str = ","
    limit: int | None = None


class GroupMode(IntEnum):
    """Which levels of a grouping there are. The numbers are those of the wire."""

    FLAT = 1
    ROLLUP = 2
    TOTAL = 3


@dataclass(frozen=True, slots=True)
class Pivot:
    """A column whose values make columns of the aggregates. No values: those that there are."""

    column: str
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows with equal values in the columns `by` become one row; null equals null. No columns: one group of all."""

    by: tuple[str, ...]
    aggregates: tuple[Aggregate, ...] = ()
    mode: GroupMode = GroupMode.FLAT
    include_leafs: bool = False
    split_by: Pivot | None = None
