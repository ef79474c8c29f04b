"""Grouping: by which columns, and what is aggregated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One column of a grouped result: a function over a column of the rows of each group.

    `function` is a name that the operators know, for example "sum"; `column` is empty for those that count rows.
    """

    name: str
    function: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows with equal values in the columns `by` become one row; null equals null. No columns: one group of all."""

    by: tuple[str, ...]
    aggregates: tuple[Aggregate, ...] = ()
