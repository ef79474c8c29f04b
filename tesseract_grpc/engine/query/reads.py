"""Which tables a query reads, and under which prefixes it shows columns of what it joins."""

from __future__ import annotations

from collections.abc import Iterator

from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, SubSession, TableSource, Union


def tables_read(query: Query) -> frozenset[str]:
    """The names of the tables that a query reads, at any depth. Sessions that it names are not followed. O(parts)."""
    tables = [each.table for each in _queries(query) if each.table]
    tables += [source.table for source in _sources(query) if isinstance(source, TableSource)]
    return frozenset(tables)


def join_prefixes(query: Query) -> frozenset[str]:
    """The prefixes of joined columns, at any depth. O(parts)."""
    return frozenset(join.prefix for each in _queries(query) for join in each.joins if join.prefix)


def _queries(query: Query) -> Iterator[Query]:
    """A query and those within it."""
    yield query
    for _, inner in query.sub_sessions:
        yield from _queries(inner)
    for source in _named(query):
        for each in _parts(source):
            if isinstance(each, QuerySource):
                yield from _queries(each.query)


def _sources(query: Query) -> Iterator[RowSource]:
    """All sources that a query names, and the queries within it."""
    for each in _queries(query):
        for source in _named(each):
            yield from _parts(source)


def _named(query: Query) -> Iterator[RowSource]:
    """The sources that a query names itself."""
    if query.source is not None:
        yield query.source
    for join in query.joins:
        yield join.source
    for column in query.computed:
        if column.lookup is not None:
            yield column.lookup.source


def _parts(source: RowSource) -> Iterator[RowSource]:
    """A source, or the sources of a union."""
    match source:
        case Union(sources):
            for each in sources:
                yield from _parts(each)
        case TableSource() | QuerySource() | SessionSource() | SubSession():
            yield source
