"""Queries between the wire and the engine.

A query holds sources and a source may hold a query, so both are read here, and what they contain beside each other is
read in the module of its noun. How deep queries stand in each other and of how many parts (sources, joins, columns,
aggregates) one request is made is limited while it is read, before anything walks it.

Resource names become bare ids, which is all that the engine knows; writing a query puts them back. Fields of errors are
named as the request has them: `session.query.joins[1].on[0].left`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import QuerySource, RowSource, SessionSource, SubSession, TableSource, Union
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.column_names import check_new_name
from tesseract_grpc.server.codec.computed import decode_computed, encode_computed
from tesseract_grpc.server.codec.filters import FilterLimits, decode_filter, encode_filter
from tesseract_grpc.server.codec.groupings import decode_grouping, encode_grouping
from tesseract_grpc.server.codec.joins import decode_join, encode_join
from tesseract_grpc.server.codec.sorts import decode_sort, encode_sort
from tesseract_grpc.server.codec.window_columns import decode_window_column, encode_window_column
from tesseract_grpc.server.errors import invalid, limit_exceeded

DEFAULT_BRANCH = "branch"


class Names(Protocol):
    """From resource names to ids and back. A name that means nothing is refused under its field."""

    def table(self, name: str, field: str) -> str:
        """The id of a table that exists."""

    def session(self, name: str, field: str) -> str:
        """The id of a session that exists."""

    def key_of(self, source: RowSource) -> str:
        """The key column of a table or session; empty where it has several, or is not known before the query is."""

    def of_table(self, id: str) -> str:
        """The resource name of a table."""

    def of_session(self, id: str) -> str:
        """The resource name of a session."""


@dataclass(slots=True)
class QueryLimits:
    """How large a query may be."""

    filter: FilterLimits
    depth: int
    parts: int


def decode_query(message: twin.query.Query, names: Names, limits: QueryLimits, field: str = "query") -> Query:
    """The engine's query."""
    return _Reader(names, limits).query(message, field, 1)


class _Reader:
    """Reads one query and those in it, and counts their parts."""

    def __init__(self, names: Names, limits: QueryLimits) -> None:
        self.names = names
        self.limits = limits
        self.parts = 0

    def query(self, message: twin.query.Query, field: str, depth: int) -> Query:
        """The query at one place."""
        self._count(message, field, depth)
        limits = self.limits.filter

        def source(inner: twin.query.Source, where: str) -> RowSource:
            return self.source(inner, where, depth)

        table, rows = self._rows(message, field, depth)
        has_group = message.HasField("group")
        return Query(
            table=table,
            source=rows,
            joins=tuple(decode_join(each, f"{field}.joins[{i}]", source) for i, each in enumerate(message.joins)),
            computed=tuple(
                decode_computed(each, f"{field}.computed[{i}]", source, self.names.key_of)
                for i, each in enumerate(message.computed)
            ),
            filter=decode_filter(message.filter, limits, f"{field}.filter") if message.HasField("filter") else None,
            group=decode_grouping(message.group, limits, f"{field}.group") if has_group else None,
            having=decode_filter(message.having, limits, f"{field}.having") if message.HasField("having") else None,
            window_columns=tuple(
                decode_window_column(each, f"{field}.window_columns[{i}]")
                for i, each in enumerate(message.window_columns)
            ),
            columns=tuple(message.columns),
            sort=decode_sort(message.sort, f"{field}.sort"),
            tree=_tree(message, field),
            sub_sessions=tuple(
                (name, self.query(message.sub_sessions[name], f"{field}.sub_sessions[{name[:140]}]", depth + 1))
                for name in sorted(message.sub_sessions)
            ),
        )

    def _count(self, message: twin.query.Query, field: str, depth: int) -> None:
        limits = self.limits
        if depth > limits.depth:
            raise limit_exceeded("max_query_depth", limits.depth, "queries are nested too deeply", field=field)
        aggregates = len(message.group.aggregates) if message.HasField("group") else 0
        self.parts += 1 + len(message.joins) + len(message.computed) + len(message.window_columns) + aggregates
        self._check_parts(field)

    def _check_parts(self, field: str) -> None:
        if self.parts > self.limits.parts:
            raise limit_exceeded("max_query_parts", self.limits.parts, "the query has too many parts", field=field)

    def _rows(self, message: twin.query.Query, field: str, depth: int) -> tuple[str, RowSource | None]:
        """The table or the source. Refuses both, and neither."""
        if not message.HasField("source"):
            return self.names.table(message.table, f"{field}.table"), None
        if message.table:
            raise invalid("the query names a table and a source; give one", f"{field}.source")
        return "", self.source(message.source, f"{field}.source", depth)

    def source(self, message: twin.query.Source, field: str, depth: int) -> RowSource:
        """The source at one place; a union is as deep as a query."""
        if depth > self.limits.depth:
            raise limit_exceeded("max_query_depth", self.limits.depth, "sources are nested too deeply", field=field)
        self.parts += 1
        self._check_parts(field)
        kind = message.WhichOneof("source")
        where = f"{field}.{kind}"
        match kind:
            case "table":
                return TableSource(self.names.table(message.table, where))
            case "session":
                return SessionSource(self.names.session(message.session, where))
            case "sub_session":
                if not message.sub_session:
                    raise invalid("the name of the sub-session is missing", where)
                return SubSession(message.sub_session)
            case "query":
                return QuerySource(self.query(message.query, where, depth + 1))
            case "union":
                return self._union(message.union, where, depth)
        raise invalid("where the rows come from is missing: give a table, session, query or union", field)

    def _union(self, message: twin.query.Union, field: str, depth: int) -> Union:
        if not message.sources:
            raise invalid("a union needs at least one source", f"{field}.sources")
        sources = tuple(
            self.source(each, f"{field}.sources[{index}]", depth + 1) for index, each in enumerate(message.sources)
        )
        branch_column = message.branch_column or DEFAULT_BRANCH
        check_new_name(branch_column, "the branch column", f"{field}.branch_column")
        return Union(sources, branch_column)


def _tree(message: twin.query.Query, field: str) -> str:
    if not message.HasField("tree"):
        return ""
    if not message.tree.parent:
        raise invalid("which column holds the key of a row's parent is missing", f"{field}.tree.parent")
    if message.HasField("group"):
        raise invalid("groups make no tree of rows; a rollup is a tree without being asked", f"{field}.tree")
    return message.tree.parent


def encode_query(query: Query, names: Names) -> twin.query.Query:
    """The query as a message."""

    def source(rows: RowSource) -> twin.query.Source:
        return encode_source(rows, names)

    message = twin.query.Query(
        columns=query.columns,
        sort=encode_sort(query.sort),
        joins=[encode_join(join, source) for join in query.joins],
        computed=[encode_computed(column, source) for column in query.computed],
        window_columns=[encode_window_column(column) for column in query.window_columns],
    )
    if query.source is None:
        message.table = names.of_table(query.table)
    else:
        message.source.CopyFrom(source(query.source))
    if query.filter is not None:
        encode_filter(query.filter, message.filter)
    if query.group is not None:
        encode_grouping(query.group, message.group)
    if query.having is not None:
        encode_filter(query.having, message.having)
    if query.tree:
        message.tree.parent = query.tree
    for name, inner in query.sub_sessions:
        message.sub_sessions[name].CopyFrom(encode_query(inner, names))
    return message


def encode_source(source: RowSource, names: Names) -> twin.query.Source:
    """A source as a message."""
    match source:
        case TableSource(table):
            return twin.query.Source(table=names.of_table(table))
        case SessionSource(session):
            return twin.query.Source(session=names.of_session(session))
        case SubSession(name):
            return twin.query.Source(sub_session=name)
        case QuerySource(query):
            return twin.query.Source(query=encode_query(query, names))
        case Union(sources, branch_column):
            union = twin.query.Union(
                sources=[encode_source(each, names) for each in sources], branch_column=branch_column
            )
            return twin.query.Source(union=union)
