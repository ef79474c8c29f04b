"""A query after a table that it reads was given another name."""

from __future__ import annotations

from dataclasses import replace

from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, SubSession, TableSource, Union


def renamed(query: Query, old: str, new: str) -> Query:
    """The same query with the table `old` called `new`, wherever it reads it."""

    def source(found: RowSource) -> RowSource:
        match found:
            case TableSource(table):
                return TableSource(new) if table == old else found
            case QuerySource(inner):
                return QuerySource(renamed(inner, old, new))
            case Union(sources):
                return replace(found, sources=tuple(source(each) for each in sources))
            case SessionSource() | SubSession():
                return found
        raise TypeError(f"a {type(found).__name__} is no source")

    return replace(
        query,
        table=new if query.table == old else query.table,
        source=None if query.source is None else source(query.source),
        joins=tuple(replace(join, source=source(join.source)) for join in query.joins),
        computed=tuple(
            column
            if column.lookup is None
            else replace(column, lookup=replace(column.lookup, source=source(column.lookup.source)))
            for column in query.computed
        ),
        sub_sessions=tuple((name, renamed(inner, old, new)) for name, inner in query.sub_sessions),
    )
