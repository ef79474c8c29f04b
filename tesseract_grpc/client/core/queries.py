"""Queries as users write them, to what the wire has.

A query is a dict, or the same words as arguments of `create_session`: table or source, joins, computed, filter,
group_by and aggregates, having, window_columns, columns, sort, tree, sub_sessions. The dicts of sub-sessions, of
sources and of joined queries are queries too, so one builder reads all of them. Words may be written in camelCase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .aggregates import AggregatesLike, aggregates_of
from .columns import Columns, columns_of, computed_of
from .filters import FilterLike, filter_of
from .groupings import GroupByLike, PivotLike, by_of, mode_of, pivot_of
from .joins import SOURCE_WORDS, join_of
from .names import session_name, table_name
from .sorts import SortLike, sort_of
from .window_columns import window_columns_of
from .words import flag_of, list_of, malformed, snake, text_of, words_of

SourceLike: TypeAlias = "str | Mapping[str, Any] | Sequence[Any] | object"
"""Where rows come from: the name of a sub-session or a session, a handle of a table or a session, {"table": ..},
{"session": ..}, {"union": [..]}, a query as a dict, or a list of sources, which is their union."""


class GroupParts(TypedDict, total=False):
    """What a grouping may say, beside its columns."""

    aggregates: AggregatesLike | None
    mode: str | None
    include_leafs: bool
    split_by: PivotLike | None


class MoreParts(GroupParts, total=False):
    """What a query may say, beside where its rows come from, filter, columns and sort."""

    joins: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None
    computed: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
    group_by: GroupByLike | None
    having: FilterLike | None
    window_columns: Sequence[Mapping[str, Any]] | None
    tree: str | Mapping[str, Any] | None
    sub_sessions: Mapping[str, Mapping[str, Any]] | None


class QueryParts(MoreParts, total=False):
    """What a query may say, beside where its rows come from."""

    filter: FilterLike | None
    columns: Sequence[str | Mapping[str, Any]] | None
    sort: SortLike | None


_WORDS = {
    **{
        name: name
        for name in (
            "table",
            "source",
            *GroupParts.__annotations__,
            *MoreParts.__annotations__,
            *QueryParts.__annotations__,
        )
    },
    "join": "joins",
    "group_mode": "mode",
    "pivot": "split_by",
}
_GROUP_WORDS = ("group_by", "aggregates", "mode", "include_leafs", "split_by")


def query_of(hub: str, parts: Mapping[str, Any]) -> query_pb2.Query:
    """What is asked, as the wire has it. Words whose value is None are as if they were not there."""
    return _Builder(hub, frozenset()).query(parts, "")


def edit_of(hub: str, present: query_pb2.Query, parts: Mapping[str, Any]) -> tuple[query_pb2.Query, list[str]]:
    """An edit of the query `present`: what is new, and the parts that it names.

    Columns that are computed in a new list of columns come to those that there are, and what is not said of the
    grouping stays; all else takes the place of what was there, and None clears it."""
    words = words_of(parts, _WORDS, "a query", "query")
    found = _Builder(hub, frozenset(present.sub_sessions)).query(words, "", partial=True)
    names = [word for word in words if word not in _GROUP_WORDS]
    if "columns" in words and found.computed and "computed" not in words:
        new = {column.name for column in found.computed}
        kept = [column for column in present.computed if column.name not in new]
        merged = [*kept, *found.computed]
        del found.computed[:]
        found.computed.extend(merged)
    if found.computed and "computed" not in names:
        names.append("computed")
    if found.group.aggregates or any(word in words for word in _GROUP_WORDS):
        _regroup(found, present.group, words)
        names.append("group")
    return found, [f"query.{name}" for name in names]


def _regroup(found: query_pb2.Query, present: query_pb2.Grouping, words: Mapping[str, Any]) -> None:
    """Puts what is not said of the grouping in; without grouping columns and aggregates there is none any more."""
    group = found.group
    if "group_by" not in words:
        group.by.extend(present.by)
    if not group.aggregates and "aggregates" not in words:
        group.aggregates.extend(present.aggregates if "group_by" not in words or group.by else ())
    if "mode" not in words and "include_leafs" not in words:
        group.mode, group.include_leafs = present.mode, present.include_leafs
    if "split_by" not in words and present.HasField("split_by"):
        group.split_by.CopyFrom(present.split_by)
    if not group.by and not group.aggregates:
        found.ClearField("group")


def source_of(hub: str, given: SourceLike) -> query_pb2.Source:
    """A source that stands by itself."""
    return _Builder(hub, frozenset()).source(given, "source")


def _at(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


class _Builder:
    """Reads queries and sources of one hub; `names` are those of the sub-sessions that may be named."""

    def __init__(self, hub: str, names: frozenset[str]) -> None:
        self.hub = hub
        self.names = names

    def query(self, given: object, field: str, *, partial: bool = False) -> query_pb2.Query:
        """A query; a partial one needs no source."""
        words = {
            word: value
            for word, value in words_of(given, _WORDS, "a query", field or "query").items()
            if value is not None
        }
        subs = words.get("sub_sessions", {})
        if not isinstance(subs, Mapping):
            raise malformed(f"sub_sessions is a dict of queries by name, not {subs!r:.60}", _at(field, "sub_sessions"))
        inner = _Builder(self.hub, self.names | frozenset(map(str, subs)))
        query = query_pb2.Query(
            filter=filter_of(words.get("filter"), _at(field, "filter")),
            sort=sort_of(words.get("sort"), _at(field, "sort")),
            having=filter_of(words.get("having"), _at(field, "having")),
            window_columns=window_columns_of(words.get("window_columns"), _at(field, "window_columns")),
            joins=inner._joins(words.get("joins"), _at(field, "joins")),
            sub_sessions={
                str(name): inner.query(each, _at(field, f"sub_sessions[{name!r}]")) for name, each in subs.items()
            },
        )
        if "table" in words:
            query.table = self._table(words["table"], _at(field, "table"))
        if "source" in words:
            query.source.CopyFrom(inner.source(words["source"], _at(field, "source")))
        if not partial and not query.table and not query.HasField("source"):
            raise malformed("a query needs a table or a source", _at(field, "table"))
        if "tree" in words:
            query.tree.parent = _parent(words["tree"], _at(field, "tree"))
        inner._columns(query, words, field)
        return query

    def _columns(self, query: query_pb2.Query, words: dict[str, Any], field: str) -> None:
        """What is computed, grouped and shown, which users may say in one list."""
        source = self._source_in
        columns = columns_of(words.get("columns", ()), source, _at(field, "columns"))
        query.computed.extend(computed_of(words.get("computed"), source, _at(field, "computed")))
        query.computed.extend(columns.computed)
        if columns.aggregates or any(word in words for word in _GROUP_WORDS):
            by, computed = by_of(words.get("group_by", ()), _at(field, "group_by"))
            query.computed.extend(computed)
            query.group.CopyFrom(_grouping(words, by, columns, field))
            hidden = set(columns.worked_out) - set(by)
            query.columns.extend(name for name in columns.shown if name not in hidden)
        else:
            query.columns.extend(columns.shown)

    def _joins(self, given: object, field: str) -> list[query_pb2.Join]:
        if given is None:
            return []
        items = [given] if isinstance(given, Mapping) else list_of(given, "joins", field)
        return [join_of(each, self._source_in, f"{field}[{at}]") for at, each in enumerate(items)]

    def source(self, given: object, field: str) -> query_pb2.Source:
        """A source in any form."""
        kind = getattr(given, "source_kind", "")
        if kind == "table":
            return query_pb2.Source(table=self._table(given, field))
        if kind == "session":
            return query_pb2.Source(session=self._session(given, field))
        if isinstance(given, str):
            if given in self.names:
                return query_pb2.Source(sub_session=given)
            return query_pb2.Source(session=session_name(self.hub, given))
        if isinstance(given, Mapping):
            words = {snake(str(word)) for word in given}
            if len(words) == 1 and words <= SOURCE_WORDS.keys():
                return self._source_in(words_of(given, SOURCE_WORDS, "a source", field), field)
            return query_pb2.Source(query=self.query(given, field))
        return query_pb2.Source(union=self._union({"sources": given}, field))

    def _source_in(self, words: Mapping[str, Any], field: str) -> query_pb2.Source:
        """The source that the words of a join, a lookup or a source name."""
        said = [word for word in dict.fromkeys(SOURCE_WORDS.values()) if words.get(word) is not None]
        if len(said) != 1:
            raise malformed("needs one of table, session, sub_session, query, source and union", field)
        word, value = said[0], words[said[0]]
        where = f"{field}.{word}"
        match word:
            case "table":
                return query_pb2.Source(table=self._table(value, where))
            case "session" if isinstance(value, str) or hasattr(value, "source_kind"):
                return self.source(value, where)
            case "sub_session":
                return query_pb2.Source(sub_session=text_of(words, word, field))
            case "query":
                return query_pb2.Source(query=self.query(value, where))
            case "union":
                union = value if isinstance(value, Mapping) else {"sources": value}
                return query_pb2.Source(union=self._union(union, where))
        return self.source(value, where)

    def _union(self, given: Mapping[str, Any], field: str) -> query_pb2.Union:
        words = words_of(given, ("sources", "branch_column"), "a union", field)
        sources = list_of(words.get("sources", ()), "a union", f"{field}.sources")
        return query_pb2.Union(
            sources=[self.source(each, f"{field}.sources[{at}]") for at, each in enumerate(sources)],
            branch_column=text_of(words, "branch_column", field),
        )

    def _table(self, given: object, field: str) -> str:
        name = given if isinstance(given, str) else getattr(given, "name", None)
        if not isinstance(name, str) or getattr(given, "source_kind", "table") != "table":
            raise malformed(f"a table is its id or its handle, not {given!r:.60}", field)
        return table_name(self.hub, name)

    def _session(self, given: object, field: str) -> str:
        name = getattr(given, "name", None)
        if not isinstance(name, str):
            raise malformed(f"a session is its id or its handle, not {given!r:.60}", field)
        return session_name(self.hub, name)


def _grouping(words: dict[str, Any], by: list[str], columns: Columns, field: str) -> query_pb2.Grouping:
    grouping = query_pb2.Grouping(
        by=by, aggregates=[*columns.aggregates, *aggregates_of(words.get("aggregates"), _at(field, "aggregates"))]
    )
    if "include_leafs" in words:
        grouping.include_leafs = flag_of(words["include_leafs"], _at(field, "include_leafs"))
    if "mode" in words:
        grouping.mode = mode_of(words["mode"], _at(field, "mode"))
    elif grouping.include_leafs:
        grouping.mode = query_pb2.GROUP_MODE_ROLLUP  # only a tree has leafs
    if "split_by" in words:
        grouping.split_by.CopyFrom(pivot_of(words["split_by"], _at(field, "split_by")))
    return grouping


def _parent(given: object, field: str) -> str:
    if isinstance(given, Mapping):
        return text_of(words_of(given, ("parent",), "a tree", field), "parent", field)
    if not isinstance(given, str):
        raise malformed(f"a tree is the column of the parent's key, not {given!r:.60}", field)
    return given
