"""A query after columns of the tables that it reads were given other names, or went.

A name means a column of a table only where nothing else has that name: each part of a query adds names and hides others.
So the query is walked through in the order in which its parts work, with what columns are called behind each of them;
what a query shows under a new name is what the query around it reads under that name.

A query is kept in two forms, as it was given and as it stands on its own (`closed.py`), and both are followed: where the
one names a session, the other has what that session showed, which tells what its columns are called now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.expression.rename import ColumnGone, Names, new_name, renamed_text
from tesseract_grpc.engine.query.filter_tree import AllOf, AnyOf, Custom, Expression, Filter, Negate
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import (
    Join,
    JoinColumn,
    JoinKey,
    QuerySource,
    RowSource,
    SessionSource,
    SubSession,
    TableSource,
    Union,
)
from tesseract_grpc.engine.query.window_column import WindowColumn

__all__ = ["ColumnGone", "Followed", "followed", "followed_filter"]


@dataclass(frozen=True, slots=True)
class Followed:
    """A query in both forms and its permanent filter, as they are now, and what its columns are called."""

    given: Query
    closed: Query
    permanent: Filter | None
    names: Names


def followed(given: Query, closed: Query, permanent: Filter | None, tables: Mapping[str, Names]) -> Followed:
    """A query where columns of `tables` have other names. O(its parts). Raises ColumnGone where it names one that went."""
    walk = _Walk(tables)
    whole, names = walk.query(closed, closed, {})
    asked, _ = walk.query(given, closed, {})
    inside = walk.before_filter(closed, closed, {})[1]
    return Followed(asked, whole, None if permanent is None else followed_filter(permanent, inside), names)


def followed_filter(filter: Filter, names: Names) -> Filter:
    """A filter, as it was asked, over columns under their new names. Raises ColumnGone."""
    match filter:
        case AllOf(filters) | AnyOf(filters):
            return replace(filter, filters=tuple(followed_filter(part, names) for part in filters))
        case Negate(inner):
            return Negate(followed_filter(inner, names))
        case Custom(text):
            return Custom(renamed_text(text, names))
        case Expression():
            raise TypeError("a filter is followed as it was asked, and not as it was checked")
    return replace(filter, column=new_name(filter.column, names))


_Subs = Mapping[str, tuple[Query, Query]]
"""The sub-sessions that can be named, in both forms."""


class _Walk:
    """One walk through a query. Every step takes a part in the form that is wanted and in the one that is closed."""

    def __init__(self, tables: Mapping[str, Names]) -> None:
        self.tables = tables

    def query(self, query: Query, closed: Query, subs: _Subs) -> tuple[Query, Names]:
        """The query now, and what the columns that it shows are called."""
        query, names = self.before_filter(query, closed, subs)
        where = None if query.filter is None else followed_filter(query.filter, names)
        group, names = self.group(query.group, names)
        having = None if query.having is None else followed_filter(query.having, names)
        windows = tuple(self.window(column, names) for column in query.window_columns)
        names = _without(names, (column.name for column in query.window_columns))
        shown = names if not query.columns else {name: names[name] for name in query.columns if name in names}
        query = replace(
            query,
            filter=where,
            group=group,
            having=having,
            window_columns=windows,
            columns=tuple(new_name(name, names) for name in query.columns),
            sort=_sort(query.sort, names),
            tree=new_name(query.tree, names) if query.tree else "",
        )
        return query, shown

    def before_filter(self, query: Query, closed: Query, subs: _Subs) -> tuple[Query, Names]:
        """The query with its sources, joins and computed columns followed, and what columns are called behind these."""
        inner = dict(subs)
        for (name, given), (_, whole) in zip(query.sub_sessions, closed.sub_sessions, strict=True):
            inner[name] = (given, whole)
        below = tuple((name, self.query(*inner[name], inner)[0]) for name, _ in query.sub_sessions)
        source, names = query.source, self.tables.get(query.table, {})
        if source is not None:
            assert closed.source is not None
            source, names = self.source(source, closed.source, inner)
        joins: list[Join] = []
        for join, whole_join in zip(query.joins, closed.joins, strict=True):
            join, names = self.join(join, whole_join, names, inner)
            joins.append(join)
        names = _without(names, (column.name for column in query.computed))
        computed = tuple(
            self.computed(column, whole_column, names, inner)
            for column, whole_column in zip(query.computed, closed.computed, strict=True)
        )
        return replace(query, source=source, joins=tuple(joins), computed=computed, sub_sessions=below), names

    def source(self, source: RowSource, closed: RowSource, subs: _Subs) -> tuple[RowSource, Names]:
        match source:
            case TableSource(table):
                return source, self.tables.get(table, {})
            case QuerySource(query):
                assert isinstance(closed, QuerySource)
                query, names = self.query(query, closed.query, subs)
                return QuerySource(query), names
            case SessionSource():
                assert isinstance(closed, QuerySource), "what a session showed stands in its place"
                return source, self.query(closed.query, closed.query, {})[1]
            case SubSession(name):
                found = subs.get(name)
                return source, {} if found is None else self.query(*found, subs)[1]
            case Union(sources):
                assert isinstance(closed, Union)
                parts = [self.source(each, whole, subs) for each, whole in zip(sources, closed.sources, strict=True)]
                return replace(source, sources=tuple(part for part, _ in parts)), parts[0][1] if parts else {}
        raise TypeError(f"a {type(source).__name__} is no source")

    def join(self, join: Join, closed: Join, left: Names, subs: _Subs) -> tuple[Join, Names]:
        """A join, and what columns are called behind it."""
        source, right = self.source(join.source, closed.source, subs)
        names = dict(left)
        compared = {pair.right for pair in join.on}
        if join.columns:
            for column in join.columns:
                if not column.name and column.column in right:
                    names[join.prefix + column.column] = join.prefix + new_name(column.column, right)
        else:
            for old, new in right.items():
                if old not in compared:
                    names[join.prefix + old] = None if new is None else join.prefix + new
        columns = tuple(JoinColumn(new_name(column.column, right), column.name) for column in join.columns)
        on = tuple(JoinKey(new_name(pair.left, left), new_name(pair.right, right)) for pair in join.on)
        return replace(join, source=source, on=on, columns=columns), names

    def computed(self, column: ComputedColumn, closed: ComputedColumn, names: Names, subs: _Subs) -> ComputedColumn:
        lookup = column.lookup
        if lookup is not None:
            assert closed.lookup is not None
            source, right = self.source(lookup.source, closed.lookup.source, subs)
            lookup = replace(
                lookup,
                source=source,
                on=tuple(JoinKey(new_name(pair.left, names), new_name(pair.right, right)) for pair in lookup.on),
                column=new_name(lookup.column, right) if lookup.column else "",
                expression=renamed_text(lookup.expression, right),
                template=renamed_text(lookup.template, right, template=True),
            )
        return replace(
            column,
            expression=renamed_text(column.expression, names),
            template=renamed_text(column.template, names, template=True),
            lookup=lookup,
        )

    def group(self, group: Grouping | None, names: Names) -> tuple[Grouping | None, Names]:
        """A grouping, and what the columns of the groups are called."""
        if group is None:
            return None, names
        by = {name: new_name(name, names) for name in group.by}
        split = group.split_by
        if split is not None:
            split = replace(split, column=new_name(split.column, names))
        aggregates = tuple(
            self.aggregate(each, by if each.function == "expression" else names) for each in group.aggregates
        )
        followed = replace(group, by=tuple(by.values()), aggregates=aggregates, split_by=split)
        known = names if group.include_leafs else {}
        return followed, _without({**known, **by}, (each.name for each in group.aggregates))

    def aggregate(self, aggregate: Aggregate, names: Names) -> Aggregate:
        def named(name: str) -> str:
            return new_name(name, names) if name else ""

        return replace(
            aggregate,
            column=named(aggregate.column),
            order_by=named(aggregate.order_by),
            weight=named(aggregate.weight),
            expression=renamed_text(aggregate.expression, names),
            filter=None if aggregate.filter is None else followed_filter(aggregate.filter, names),
        )

    def window(self, column: WindowColumn, names: Names) -> WindowColumn:
        return replace(
            column,
            column=new_name(column.column, names) if column.column else "",
            partition_by=tuple(new_name(name, names) for name in column.partition_by),
            order_by=_sort(column.order_by, names),
        )


def _sort(sort: tuple[SortKey, ...], names: Names) -> tuple[SortKey, ...]:
    return tuple(replace(key, column=new_name(key.column, names)) for key in sort)


def _without(names: Names, hidden: Iterable[str]) -> Names:
    """The same where these names mean something else from here on."""
    taken = set(hidden)
    return {old: new for old, new in names.items() if old not in taken} if names else names
