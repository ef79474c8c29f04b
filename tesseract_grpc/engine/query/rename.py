"""A query after tables that it reads were given other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, SubSession, TableSource, Union


def renamed(query: Query, names: Mapping[str, str]) -> Query:
    """The same query with tables called as `names` says by their names so far, wherever it reads them. O(parts)."""

    def source(found: RowSource) -> RowSource:
        match found:
            case TableSource(table):
                return TableSource(names.get(table, table))
            case QuerySource(inner):
                return QuerySource(renamed(inner, names))
            case Union(sources):
                return replace(found, sources=tuple(source(each) for each in sources))
            case SessionSource() | SubSession():
                return found
        raise TypeError(f"a {type(found).__name__} is no source")

    return replace(
        query,
        table=names.get(query.table, query.table),
        source=None if query.source is None else source(query.source),
        joins=tuple(replace(join, source=source(join.source)) for join in query.joins),
        computed=tuple(
            column
            if column.lookup is None
            else replace(column, lookup=replace(column.lookup, source=source(column.lookup.source)))
            for column in query.computed
        ),
        sub_sessions=tuple((name, renamed(inner, names)) for name, inner in query.sub_sessions),
    )
