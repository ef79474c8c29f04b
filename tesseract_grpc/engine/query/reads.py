"""Which tables a query reads."""

from __future__ import annotations

from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, SubSession, TableSource, Union


def tables_read(query: Query) -> frozenset[str]:
    """The names of the tables that a query reads, at any depth. Sessions that it names are not followed. O(parts)."""
    found: set[str] = set()
    _query(query, found)
    return frozenset(found)


def _query(query: Query, found: set[str]) -> None:
    if query.table:
        found.add(query.table)
    if query.source is not None:
        _source(query.source, found)
    for join in query.joins:
        _source(join.source, found)
    for column in query.computed:
        if column.lookup is not None:
            _source(column.lookup.source, found)
    for _, inner in query.sub_sessions:
        _query(inner, found)


def _source(source: RowSource, found: set[str]) -> None:
    match source:
        case TableSource(table):
            found.add(table)
        case QuerySource(query):
            _query(query, found)
        case Union(sources):
            for each in sources:
                _source(each, found)
        case SessionSource() | SubSession():
            pass
