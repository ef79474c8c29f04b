"""One key of a sort."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of a sort. Nulls stand last in both directions unless `nulls_first`."""

    column: str
    descending: bool = False
    nulls_first: bool = False
