"""Queries that stand on their own.

A query may read what a session shows. Its definition is taken as it is at that moment: the session's query, which
stands on its own already, takes the session's place. So no later edit or end of the session can disturb who has read
it, and no circle of sessions can arise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tesseract_grpc.engine.data.errors import LimitExceeded, Reason
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, Union

MAX_QUERIES = 1_000
"""The most queries that one may be made of, with those of the sessions that it reads."""

MAX_DEPTH = 32
"""The most levels of queries in queries."""

Definition = Callable[[str, str], Query]
"""From a session's name, and the path of the field that names it, to a query that stands on its own."""


@dataclass(slots=True)
class _Walk:
    """One walk through a query and what it reads."""

    definition: Definition
    queries: int = 0

    def query(self, query: Query, field: str, depth: int) -> Query:
        self.queries += 1
        if self.queries > MAX_QUERIES or depth > MAX_DEPTH:
            most, what = (MAX_DEPTH, "levels") if depth > MAX_DEPTH else (MAX_QUERIES, "queries")
            raise LimitExceeded(
                Reason.LIMIT_EXCEEDED,
                f"the query is made of more than {most} {what}",
                field=field,
                metadata={"limit": f"max_query_{what}", "maximum": str(most)},
            )
        source = None if query.source is None else self.source(query.source, f"{field}.source", depth)
        joins = tuple(
            replace(join, source=self.source(join.source, f"{field}.joins[{index}].source", depth))
            for index, join in enumerate(query.joins)
        )
        computed = tuple(
            column
            if column.lookup is None
            else replace(
                column,
                lookup=replace(
                    column.lookup,
                    source=self.source(column.lookup.source, f"{field}.computed[{index}].lookup.source", depth),
                ),
            )
            for index, column in enumerate(query.computed)
        )
        inner = tuple(
            (name, self.query(each, f"{field}.sub_sessions[{name}]", depth + 1)) for name, each in query.sub_sessions
        )
        return replace(query, source=source, joins=joins, computed=computed, sub_sessions=inner)

    def source(self, source: RowSource, field: str, depth: int) -> RowSource:
        if isinstance(source, QuerySource):
            return QuerySource(self.query(source.query, f"{field}.query", depth + 1))
        if isinstance(source, SessionSource):
            path = f"{field}.session"
            return QuerySource(self.query(self.definition(source.session, path), path, depth + 1))
        if isinstance(source, Union):
            sources = tuple(
                self.source(each, f"{field}.union.sources[{index}]", depth + 1)
                for index, each in enumerate(source.sources)
            )
            return replace(source, sources=sources)
        return source


def closed(query: Query, definition: Definition) -> Query:
    """The query with sessions replaced by their definitions. Raises what `definition` raises, and LimitExceeded."""
    if query.source is None and not query.joins and not query.computed and not query.sub_sessions:
        return query
    return _Walk(definition).query(query, "query", 1)


class _Parting(_Walk):
    """Takes a query apart."""

    __slots__ = ("found",)

    def __init__(self, found: list[Query]) -> None:
        super().__init__(_no_definition)
        self.found = found

    def source(self, source: RowSource, field: str, depth: int) -> RowSource:
        if not isinstance(source, QuerySource):
            return super().source(source, field, depth)
        self.found.append(self.query(source.query, field, depth + 1))
        return SessionSource(f"{_PART}{len(self.found) - 1}")


_PART = "part_"


def _no_definition(name: str, field: str) -> Query:
    raise AssertionError(f"the query reads session '{name}' and does not stand on its own")


def parted(query: Query) -> tuple[Query, ...]:
    """A query that stands on its own as queries that hold no others but name them; the last is that of the whole."""
    found: list[Query] = []
    whole = _Parting(found).query(query, "query", 1)
    return (*found, whole)


def joined(parts: Sequence[Query]) -> Query:
    """The query that `parted` has taken apart. Raises ValueError when a part is missing."""

    def definition(name: str, field: str) -> Query:
        number = name.removeprefix(_PART)
        if not number.isdecimal() or int(number) >= len(parts) - 1:
            raise ValueError(f"a query names '{name}', which is not there")
        return parts[int(number)]

    return closed(parts[-1], definition)
