"""A query after tables that it reads were given other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, SubSession, TableSource, Union


def renamed(query: Query, names: Mapping[str, str]) -> Query:
    """The same query with tables called as `names` says by their names so far, wherever it reads them. O(parts)."""
    return replace(
        query,
        table=names.get(query.table, query.table),
        source=None if query.source is None else _source(query.source, names),
        joins=tuple(replace(join, source=_source(join.source, names)) for join in query.joins),
        computed=tuple(
            column
            if column.lookup is None
            else replace(column, lookup=replace(column.lookup, source=_source(column.lookup.source, names)))
            for column in query.computed
        ),
        sub_sessions=tuple((name, renamed(inner, names)) for name, inner in query.sub_sessions),
    )


def _source(found: RowSource, names: Mapping[str, str]) -> RowSource:
    match found:
        case TableSource(table):
            return TableSource(names.get(table, table))
        case QuerySource(inner):
            return QuerySource(renamed(inner, names))
        case Union(sources):
            return replace(found, sources=tuple(_source(each, names) for each in sources))
        case SessionSource() | SubSession():
            return found
    raise TypeError(f"a {type(found).__name__} is no source")
