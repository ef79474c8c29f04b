"""A query after columns of the tables that it reads were given other names, or went.

A name means a column of a table only where nothing else has that name: each part of a query adds names and hides
others. So the query is walked through in the order in which its parts work, with what columns are called behind each of
them; what a query shows under a new name is what the query around it reads under that name.

A query is kept in two forms, as it was given and as it stands on its own (`closed.py`), and both are followed: where
the one names a session, the other has what that session showed, which tells what its columns are called now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class Columns:
    """What columns are called now at some place of a query, and which of them name rows there, as they were called: a
    query shows these whether it lists them or not."""

    names: Names
    keys: frozenset[str] = frozenset()

    def without(self, taken: Iterable[str]) -> Columns:
        """The same where these names mean something else from here on."""
        hidden = set(taken)
        if hidden.isdisjoint(self.names):
            return self
        return Columns({old: new for old, new in self.names.items() if old not in hidden}, self.keys - hidden)


_NOTHING = Columns({})


def followed(given: Query, closed: Query, permanent: Filter | None, tables: Mapping[str, Columns]) -> Followed:
    """A query where columns of `tables` have other names. O(its parts).

    Raises ColumnGone where it names one that went.
    """
    walk = _Walk(tables)
    whole, shown = walk.query(closed, closed, {})
    asked, _ = walk.query(given, closed, {})
    inside = walk.before_filter(closed, closed, {})[1].names
    return Followed(asked, whole, None if permanent is None else followed_filter(permanent, inside), shown.names)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Sub:
    """A sub-session in both forms, and those that it can name itself."""

    given: Query
    closed: Query
    within: _Subs


_Subs: TypeAlias = "Mapping[str, _Sub]"
"""The sub-sessions that can be named."""


class _Walk:
    """One walk through a query. Every step takes a part in the form that is wanted and in the one that is closed."""

    def __init__(self, tables: Mapping[str, Columns]) -> None:
        self.tables = tables
        self._known: dict[_Sub, tuple[Query, Columns]] = {}

    def query(self, query: Query, closed: Query, subs: _Subs) -> tuple[Query, Columns]:
        """The query now, and what the columns that it shows are called."""
        query, there = self.before_filter(query, closed, subs)
        where = None if query.filter is None else followed_filter(query.filter, there.names)
        group, there = self.group(query.group, there)
        having = None if query.having is None else followed_filter(query.having, there.names)
        windows = tuple(self.window(column, there.names) for column in query.window_columns)
        there = there.without(column.name for column in query.window_columns)
        names = there.names
        shown = {*query.columns, *there.keys} if query.columns else set(names)
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
        return query, Columns({old: new for old, new in names.items() if old in shown}, there.keys)

    def before_filter(self, query: Query, closed: Query, subs: _Subs) -> tuple[Query, Columns]:
        """The query with its sources, joins and computed columns followed, and what columns are called behind these."""
        inner = dict(subs)
        for (name, given), (_, whole) in zip(query.sub_sessions, closed.sub_sessions, strict=True):
            inner[name] = _Sub(given, whole, inner)
        below = tuple((name, self.sub_session(inner[name])[0]) for name, _ in query.sub_sessions)
        source, there = query.source, self.tables.get(query.table, _NOTHING)
        if source is not None:
            assert closed.source is not None
            source, there = self.source(source, closed.source, inner)
        joins: list[Join] = []
        for join, whole_join in zip(query.joins, closed.joins, strict=True):
            join, there = self.join(join, whole_join, there, inner)
            joins.append(join)
        there = there.without(column.name for column in query.computed)
        computed = tuple(
            self.computed(column, whole_column, there.names, inner)
            for column, whole_column in zip(query.computed, closed.computed, strict=True)
        )
        return replace(query, source=source, joins=tuple(joins), computed=computed, sub_sessions=below), there

    def source(self, source: RowSource, closed: RowSource, subs: _Subs) -> tuple[RowSource, Columns]:
        match source:
            case TableSource(table):
                return source, self.tables.get(table, _NOTHING)
            case QuerySource(query):
                assert isinstance(closed, QuerySource)
                query, there = self.query(query, closed.query, subs)
                return QuerySource(query), there
            case SessionSource():
                assert isinstance(closed, QuerySource), "what a session showed stands in its place"
                return source, self.query(closed.query, closed.query, {})[1]
            case SubSession(name):
                found = subs.get(name)
                return source, _NOTHING if found is None else self.sub_session(found)[1]
            case Union(sources):
                assert isinstance(closed, Union)
                parts = [self.source(each, whole, subs) for each, whole in zip(sources, closed.sources, strict=True)]
                return replace(source, sources=tuple(part for part, _ in parts)), parts[0][1] if parts else _NOTHING
        raise TypeError(f"a {type(source).__name__} is no source")

    def sub_session(self, sub: _Sub) -> tuple[Query, Columns]:
        """A sub-session and what it shows, worked out once however often it is named."""
        known = self._known.get(sub)
        if known is None:
            known = self._known[sub] = self.query(sub.given, sub.closed, sub.within)
        return known

    def join(self, join: Join, closed: Join, left: Columns, subs: _Subs) -> tuple[Join, Columns]:
        """A join, and what columns are called behind it."""
        source, there = self.source(join.source, closed.source, subs)
        right = there.names
        names = dict(left.names)
        compared = {pair.right for pair in join.on}
        taken = {column.column: column.name for column in join.columns} or dict.fromkeys(right, "")
        taken = {**dict.fromkeys(there.keys, ""), **taken}
        for old, called in taken.items():
            if not called and old in right and old not in compared:
                new = right[old]
                names[join.prefix + old] = None if new is None else join.prefix + new
        columns = tuple(JoinColumn(new_name(column.column, right), column.name) for column in join.columns)
        on = tuple(JoinKey(new_name(pair.left, left.names), new_name(pair.right, right)) for pair in join.on)
        keys = left.keys | {join.prefix + key for key in there.keys - compared}
        return replace(join, source=source, on=on, columns=columns), Columns(names, keys)

    def computed(self, column: ComputedColumn, closed: ComputedColumn, names: Names, subs: _Subs) -> ComputedColumn:
        lookup = column.lookup
        if lookup is not None:
            assert closed.lookup is not None
            source, there = self.source(lookup.source, closed.lookup.source, subs)
            right = there.names
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

    def group(self, group: Grouping | None, there: Columns) -> tuple[Grouping | None, Columns]:
        """A grouping, and what the columns of the groups are called."""
        if group is None:
            return None, there
        names = there.names
        by = {name: new_name(name, names) for name in group.by}
        split = group.split_by
        if split is not None:
            split = replace(split, column=new_name(split.column, names))
        aggregates = tuple(
            self.aggregate(each, by if each.function == "expression" else names) for each in group.aggregates
        )
        followed = replace(group, by=tuple(by.values()), aggregates=aggregates, split_by=split)
        known = {**(names if group.include_leafs else {}), **{old: new for old, new in by.items() if old != new}}
        return followed, Columns(known, frozenset(by)).without(each.name for each in group.aggregates)

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
