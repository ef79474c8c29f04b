"""What one part of a query leaves for the next: a source, the condition on its rows, and the columns that show.

Filters are no steps of their own: a condition waits here until a step needs the rows, and that step takes it into its
input, where commits are routed by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.live.source import Source
from tesseract_grpc.engine.query.filter import AllOf, Filter
from tesseract_grpc.engine.query.filter_parts import columns_named, conjuncts
from tesseract_grpc.engine.query.query import Limits, plan_filter


@dataclass(frozen=True, slots=True)
class Stage:
    """The rows of a source that a condition keeps, with some of its columns."""

    source: Source
    where: Filter | None = None  # checked and in normal form
    shown: tuple[str, ...] = ()  # the columns that the rest of the query can see, in order
    known: frozenset[Filter] = frozenset()  # conditions, as asked, that all rows satisfy: they were asked on the way

    @classmethod
    def of(cls, source: Source) -> Stage:
        """All rows of a source, with all columns that clients may see."""
        return cls(source, None, tuple(column.name for column in source.table.schema.visible))

    @property
    def schema(self) -> TableSchema:
        """All columns of the source, also those that do not show."""
        return self.source.table.schema

    def filtered(self, where: Filter | None, limits: Limits, field: str) -> Stage:
        """Its rows that a filter keeps, too. Raises InvalidRequest, LimitExceeded."""
        checked = plan_filter(where, self.schema, limits, field)
        if checked is None:
            return self
        self.see(columns_named(checked), field)
        if self.known:
            rest = tuple(part for part in conjuncts(where) if part not in self.known)
            checked = plan_filter(AllOf(rest), self.schema, limits, field)
            if checked is None:
                return self
        if self.where is None:
            return replace(self, where=checked)
        return replace(self, where=plan_filter(AllOf((self.where, checked)), self.schema, Limits(1_000, 10**9), field))

    def see(self, names: Iterable[str], field: str) -> None:
        """Raises InvalidRequest when a column does not show."""
        known = set(self.shown)
        for name in names:
            if name not in known:
                raise InvalidRequest(
                    Reason.UNKNOWN_COLUMN,
                    f"there is no column '{name[:140]}'; the columns are {', '.join(self.shown[:40])}",
                    field=field,
                )
