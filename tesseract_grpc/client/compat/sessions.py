"""Sessions in the ancestor's spelling, to what `create_session` and `query` take.

    {"id": "board", "table": "orders", "columns": [{"name": "customer", "resolve": {"underlyingField": "customerId",
     "childrenTable": "customers", "displayField": "name"}}], "filter": [...], "groupBy": [{"dataIndex": "customer"}]}

The translation is of words and shapes; what they mean, the client and the server decide, as for every other query. What
a session says again of a column of its table (columnType, primaryKey, secondaryKey) is not needed, for it follows
from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.words import list_of
from .filters import filter_of, sort_of
from .javascript import refuse_function
from .refusal import NotCarriedOver, read

Inherited = Callable[[str], Mapping[str, Mapping[str, Any]]]
"""What the columns of a table hand on to its sessions, by the name of the table."""

_SESSION = {
    "id": "id",
    "table": "table",
    "source": "source",
    "columns": "columns",
    "filter": "filter",
    "filters": "filter",
    "sort": "sort",
    "sorts": "sort",
    "group_by": "group_by",
    "include_leafs": "include_leafs",
    "sub_sessions": "sub_sessions",
    "permanent_filter": "permanent_filter",
    "start": "start",
    "offset": "start",
    "limit": "limit",
    "title": "description",
    "description": "description",
    # What the ancestor does not have, for those who move on piece by piece.
    "aggregates": "aggregates",
    "computed": "computed",
    "having": "having",
    "joins": "joins",
    "mode": "mode",
    "split_by": "split_by",
    "tree": "tree",
    "window_columns": "window_columns",
    "idle_timeout": "idle_timeout",
}
_NOT_OF_SESSIONS = {
    "use_indexes": "leave it out: the planner uses every index that helps; `explain` shows which",
    "batch_size": "leave it out: rows are streamed in pieces; getData takes start and limit",
    "deffered_data_update_time": "give min_interval to the watch or mirror that should be told less often",
    "reuse_session": "leave it out: creating a session with its id again returns it",
}
_PLACE = ("start", "limit")
_COLUMN = {
    "name": "name",
    "title": "title",
    "value": "value",
    "template": "template",
    "expression": "expression",
    "resolve": "resolve",
    "aggregator": "aggregator",
    "function": "aggregator",
    "column": "column",
    "field": "column",
    "filter": "filter",
    "percentile": "percentile",
    "order_by": "order_by",
    "weight": "weight",
    "separator": "separator",
    "limit": "limit",
    "hidden": "hidden",
    # Said of the table's column, which follows from the table here.
    "column_type": "said_again",
    "type": "said_again_type",
    "primary_key": "said_again_key",
    "secondary_key": "said_again_index",
}
_NOT_OF_COLUMNS = {
    "default_value": "write it into the expression, as in expression: 'price ?? 0'",
    "expression_tree": "write the expression as a text",
    "enum": "say it of the column of the table",
}
_RESOLVE = {
    "underlying_field": "underlying_field",
    "underlying_name": "underlying_field",
    "children_table": "table",
    "table": "table",
    "session": "session",
    "value_field": "value_field",
    "display_field": "display_field",
    "template": "display_template",
    "display_template": "display_template",
    "expression": "expression",
}


@dataclass(slots=True)
class SessionDefinition:
    """What a configuration says of a session."""

    id: str | None
    query: dict[str, Any]
    """The words that `create_session` and `query` take, `table` or `source` among them."""
    permanent_filter: Any = None
    description: str = ""
    idle_timeout: float | None = None
    start: int = 0
    limit: int | None = None
    aggregators: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of a session that does not group: what its columns say of groups, for `groupData`."""
    titles: dict[str, str] = field(default_factory=dict)


def session_of(config: object, inherited: Inherited | None = None, field: str = "session") -> SessionDefinition:
    """The session that a configuration means.

    Raises NotCarriedOver, which names the place and what to write instead."""
    return _Reader(inherited or (lambda _: {}), {}).session(config, field)


class _Reader:
    """Reads sessions; `subs` are the sub-sessions that may be named, as they are configured."""

    def __init__(self, inherited: Inherited, subs: Mapping[str, Any]) -> None:
        self._inherited, self._subs = inherited, subs

    def session(self, config: object, field: str) -> SessionDefinition:
        words = read(config, _SESSION, _NOT_OF_SESSIONS, "a session", field)
        subs = words.pop("sub_sessions", None) or {}
        inner = _Reader(self._inherited, {**self._subs, **subs})
        query: dict[str, Any] = {}
        if subs:
            query["sub_sessions"] = {
                name: inner._nested(each, f"{field}.subSessions.{name}") for name, each in subs.items()
            }
        found = SessionDefinition(
            words.pop("id", None),
            query,
            filter_of(words.pop("permanent_filter", None), f"{field}.permanentFilter"),
            str(words.pop("description", None) or ""),
            words.pop("idle_timeout", None),
            words.pop("start", None) or 0,
            words.pop("limit", None),
        )
        inner._source(query, words.pop("table", None), words.pop("source", None), field)
        group_by = words.pop("group_by", None)
        columns = words.pop("columns", None)
        inner._columns(found, columns, bool(group_by), field)
        if group_by:
            query["group_by"] = group_by
        for word, read_word in (("filter", filter_of), ("having", filter_of), ("sort", sort_of)):
            if word in words:
                query[word] = read_word(words.pop(word), f"{field}.{word}")
        query.update({word: value for word, value in words.items() if value is not None})
        if not query.get("include_leafs"):
            query.pop("include_leafs", None)
        else:
            _check_leafs(query, field)
        return found

    def _nested(self, config: object, field: str) -> dict[str, Any]:
        """A query inside of another: it has no place, no name and nobody who watches it."""
        found = self.session(config, field)
        if found.start or found.limit is not None:
            raise NotCarriedOver(
                "start and limit are of whoever reads", field, "filter by the rank of a window column instead"
            )
        if found.permanent_filter is not None:
            given = found.query.get("filter")
            found.query["filter"] = [found.permanent_filter] if given is None else [found.permanent_filter, given]
        return found.query

    def _source(self, query: dict[str, Any], table: Any, source: Any, field: str) -> None:
        """Where the rows come from: `table` may be a table, a sub-session or a query."""
        if table is None:
            table = source
        if isinstance(table, Mapping):
            query["source"] = self._nested(table, f"{field}.table")
        elif table is not None and (table is source or (isinstance(table, str) and table in self._subs)):
            query["source"] = table
        elif table is not None:
            query["table"] = table if isinstance(table, str) else getattr(table, "name", table)

    # --- columns

    def _columns(self, found: SessionDefinition, given: Any, grouped: bool, field: str) -> None:
        """The columns: their own words, and what the columns of the table hand on to those that are only named."""
        table = found.query.get("table")
        handed = dict(self._inherited(table)) if isinstance(table, str) else {}
        if given is None:
            given = _implied(handed, grouped)
            if given is None:
                lookups = self._lookups(handed, field)
                found.query.update({"computed": lookups} if lookups else {})
                found.aggregators = _aggregators(handed)
                return
        shown: list[Any] = []
        computed: list[Any] = []
        for at, each in enumerate(list_of(given, "columns", f"{field}.columns")):
            where = f"{field}.columns[{at}]"
            words = self._column({"name": each} if isinstance(each, str) else each, handed, where)
            name = words.get("name")
            title, hidden = words.pop("title", None), words.pop("hidden", False)
            if title:
                found.titles[str(name)] = str(title)
            if not grouped and "aggregator" in words:
                found.aggregators[str(name)] = words
                words = {word: value for word, value in words.items() if word not in _AGGREGATED}
            item = name if words.keys() == {"name"} else words
            if not hidden:
                shown.append(item)
            elif item is not name:
                computed.append(item)
        if shown:
            found.query["columns"] = shown
        if computed:
            found.query["computed"] = computed

    def _lookups(self, handed: Mapping[str, Mapping[str, Any]], field: str) -> list[Any]:
        """The lookups of a table's columns, which all of its sessions have."""
        return [
            {"name": name, "resolve": self._resolve(what["resolve"], f"{field}.columns.{name}.resolve")}
            for name, what in handed.items()
            if "resolve" in what
        ]

    def _column(self, given: object, handed: Mapping[str, Mapping[str, Any]], field: str) -> dict[str, Any]:
        words = read(given, _COLUMN, _NOT_OF_COLUMNS, "a column", field)
        words = {
            word: value for word, value in words.items() if value is not None and not word.startswith("said_again")
        }
        if words.get("aggregator") == "none":
            del words["aggregator"]
        for word, value in handed.get(str(words.get("name")), {}).items():
            if word == "aggregator" or not words.keys() & {"value", "template", "expression"}:
                words.setdefault(word, value)
        now = "write expression: 'price * qty', or value: '${lastName}, ${firstName}'"
        functions = "name a function: sum, avg, min, max, count, first, last, median, .., or 'expression'"
        for word in ("value", "template", "expression"):
            refuse_function(words.get(word), f"{field}.{word}", "expression", now)
        refuse_function(
            words.get("aggregator"), f"{field}.aggregator", "aggregator: 'expression', expression", functions
        )
        if "filter" in words:
            words["filter"] = filter_of(words["filter"], f"{field}.filter")
        if "resolve" in words:
            words["resolve"] = self._resolve(words["resolve"], f"{field}.resolve")
        return words

    def _resolve(self, given: object, field: str) -> dict[str, Any]:
        """A lookup. `childrenTable` and `session` may name a sub-session, and `session` may be a query."""
        refuse_function(given, field, "", "say {underlyingField, childrenTable, displayField}")
        words = read(given, _RESOLVE, {}, "resolve", field)
        for word in ("display_template", "expression"):
            refuse_function(words.get(word), f"{field}.{word}", word, "write the text of a template or an expression")
        table, session = words.pop("table", None), words.pop("session", None)
        if session is None and isinstance(table, str) and table in self._subs:
            session = table
        if isinstance(session, Mapping):
            words["query"] = self._nested(session, f"{field}.session")
            words.setdefault("value_field", _key_of(session))
        elif session is not None:
            words["session"] = session
            if session in self._subs:
                words.setdefault("value_field", _key_of(self._subs[session]))
        elif table is not None:
            words["table"] = table if isinstance(table, str) else getattr(table, "name", table)
        return words


def _check_leafs(query: Mapping[str, Any], field: str) -> None:
    """Among leafs, which show the columns of their rows, an aggregate needs a name of its own."""
    for at, column in enumerate(query.get("columns", ())):
        if (
            isinstance(column, Mapping)
            and "aggregator" in column
            and column.get("column", column["name"]) == column["name"]
        ):
            name, where = column["name"], f"{field}.columns[{at}].name"
            hint = f"write name: '{name}_{column['aggregator']}', column: {name!r}"
            raise NotCarriedOver(f"leafs have their own {name!r} beside the aggregate", where, hint)


def _key_of(config: object) -> str:
    """What names the rows of a sub-session where a lookup does not say: its key or what it groups by, else `id`."""
    if isinstance(config, Mapping):
        for column in config.get("columns") or ():
            if isinstance(column, Mapping) and column.get("primaryKey", column.get("primary_key")):
                return str(column.get("name"))
        for by in config.get("groupBy", config.get("group_by")) or ():
            return str(by.get("dataIndex", by.get("field")) if isinstance(by, Mapping) else by)
    return "id"


_AGGREGATED = frozenset({"aggregator", "column", "filter", "percentile", "order_by", "weight", "separator", "limit"})


def _implied(handed: Mapping[str, Mapping[str, Any]], grouped: bool) -> list[Any] | None:
    """The columns of a session that names none but groups: what its table says of groups."""
    if not grouped or not handed:
        return None
    return [dict(what) for what in handed.values()]


def _aggregators(handed: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: dict(what) for name, what in handed.items() if "aggregator" in what}
