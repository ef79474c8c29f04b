"""Definitions of tables in the ancestor's spelling, to what `create_tesseract` takes.

    {"columns": [{"name": "id", "primaryKey": True}, {"name": "name", "columnType": "text", "secondaryKey": True}]}

What differs, and how it is bridged. The ancestor finds out value by value what a column holds; here a column has a
type, so a column that names none gets it from the first rows (`untyped`), and until then is a text, or a whole number
where it is the key. A "number" is a double, which cannot name a row, so a number that names one is a whole number: a
key, a column by which a lookup of the table goes, and one that is called `..Id` or `.._id`. Lookups (`resolve`) and
aggregators of a table's columns belong to queries here: they are kept for the sessions (`inherited`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.datatype import FLOAT64, type_of_name
from ..core.words import list_of, snake
from .javascript import refuse_function
from .refusal import NotCarriedOver, read

_TABLE = {
    "columns": "columns",
    "id": "id",
    "name": "id",
    "primary_key": "key",
    "id_property": "key",
    "title": "description",
    "description": "description",
    "session": "session",
    "auto_cleanup": "auto_cleanup",
    "retention": "retention",
    "memory_limit": "memory_limit",
}
_CLEANUP = {
    "max_age": "max_age",
    "max_records": "max_records",
    "interval": "interval",
    "age_column": "age_column",
    "order_column": "order_column",
}
_DURABLE = "hubs are durable when the server runs with --data DIR"
_NOT_OF_TABLES = {
    "cluster_sync": _DURABLE,
    "persistent": _DURABLE,
    "deffered_data_update_time": "give min_interval to the watch or mirror that should be told less often",
    "deferred_data_update_time": "give min_interval to the watch or mirror that should be told less often",
    "secondary_indexes": "say secondaryKey: true on the columns that are filtered by; `diagnose` proposes them",
    "compression_threshold": "texts are always kept once; nothing has to be set",
    "resolve": "say resolve on the column that is looked up",
    "namespace": "connect to a hub of its own: EventHorizon(address, hub=...)",
}
_COLUMN = {
    "name": "name",
    "type": "type",
    "column_type": "type",
    "primary_key": "primary_key",
    "secondary_key": "index",
    "index": "index",
    "required": "required",
    "enum": "enum",
    "default_value": "default",
    "default": "default",
    "default_expression": "default_expression",
    "value": "value",
    "expression": "expression",
    "title": "description",
    "description": "description",
    "aggregator": "aggregator",
    "resolve": "resolve",
}
_NOT_OF_COLUMNS = {
    "hidden": "a session shows the columns that it names",
    "expression_tree": "write the expression as a text",
    "editable": "who may write is decided by roles of tokens",
}
_TYPES = {"text": "string", "dimension": "string", "metric": "number"}
"""The ancestor's types that are called otherwise here; those that both have are not named."""

_REFERENCE = re.compile(r"(?:^id|Id|_id|ID)$")
"""Columns that name rows, by the custom of their names."""

_DATES = ("date", "datetime", "timestamp")

UNTYPED_KEY, UNTYPED = "int64", "string"


@dataclass(slots=True)
class TableDefinition:
    """What a configuration says of a table."""

    columns: list[dict[str, Any]]
    """As `create_tesseract` takes them."""
    description: str = ""
    query: object = None
    """Of a derived table: the session that its rows come from, in the ancestor's spelling."""
    untyped: tuple[str, ...] = ()
    """The columns that named no type."""
    inherited: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What sessions take from a column that they only name: resolve, aggregator."""
    options: dict[str, Any] = field(default_factory=dict)
    """What else `create_tesseract` takes."""


def table_of(config: object, field: str = "table") -> TableDefinition:
    """The definition that a configuration means. A list is its columns.

    Raises NotCarriedOver, which names the place and what to write instead."""
    if isinstance(config, list | tuple):
        config = {"columns": config}
    words = read(config, _TABLE, _NOT_OF_TABLES, "a table", field)
    options = {word: words[word] for word in ("retention", "memory_limit") if words.get(word) is not None}
    description = str(words.get("description") or "")
    if words.get("session") is not None:
        return TableDefinition([], description, query=words["session"])
    found = TableDefinition([], description, options=options)
    untyped: list[str] = []
    for at, given in enumerate(list_of(words.get("columns", ()), "columns", f"{field}.columns")):
        where = f"{field}.columns[{at}]"
        column = read({"name": given} if isinstance(given, str) else given, _COLUMN, _NOT_OF_COLUMNS, "a column", where)
        _take(found, untyped, column, where)
    _choose_key(found, words.get("key"), field)
    references = _references(found)
    for column in found.columns:
        naming = column.get("primary_key") or column["name"] in references or _REFERENCE.search(column["name"])
        if column["name"] in untyped:
            column["type"] = UNTYPED_KEY if column.get("primary_key") else UNTYPED
        elif naming and "type" in column and type_of_name(column["type"], field) == FLOAT64:
            column["type"] = "int64"
    found.untyped = tuple(untyped)
    if words.get("auto_cleanup"):
        found.options["retention"] = _retention(words["auto_cleanup"], found, f"{field}.autoCleanup")
    return found


def _retention(given: object, found: TableDefinition, field: str) -> dict[str, Any]:
    """What leaves by itself: the ancestor counts milliseconds, and goes by `created_at` or else by `timestamp`."""
    words = {
        word: value for word, value in read(given, _CLEANUP, {}, "autoCleanup", field).items() if value is not None
    }
    for word in ("max_age", "interval"):
        if word in words:
            words[word] = words[word] / 1000
    dates = [column["name"] for column in found.columns if column.get("type") in _DATES]
    by_custom = [name for name in ("created_at", "createdAt", "timestamp") if name in dates]
    age = words.get("age_column", next(iter([*by_custom, *dates]), None))
    if age is None and "max_age" in words:
        hint = "give the table a column of the type date, and name it with ageColumn"
        raise NotCarriedOver("no column says how old a row is", f"{field}.maxAge", hint)
    if age is not None and ("max_age" in words or "order_column" not in words):
        words["age_column" if "max_age" in words else "order_column"] = age
    return words


def _references(found: TableDefinition) -> set[str]:
    """The columns by which the table's own lookups go."""
    names = [
        {snake(str(word)): name for word, name in what["resolve"].items()}
        for what in found.inherited.values()
        if isinstance(what.get("resolve"), Mapping)
    ]
    return {str(words.get("underlying_field", words.get("underlying_name"))) for words in names}


def _take(found: TableDefinition, untyped: list[str], words: dict[str, Any], field: str) -> None:
    """Adds what one column says."""
    name = words.get("name")
    if not isinstance(name, str) or not name:
        raise NotCarriedOver("a column needs a name", f"{field}.name", "write a name", "BAD_SCHEMA")
    kept = {word: words.pop(word) for word in ("resolve", "aggregator") if words.get(word) not in (None, "none")}
    words.pop("resolve", None)
    words.pop("aggregator", None)
    for word, value in kept.items():
        refuse_function(value, f"{field}.{word}", "expression", _INSTEAD[word])
    if kept:
        found.inherited[name] = {"name": name, **kept}
    if "resolve" in kept:  # looked up in sessions, not stored
        return
    column = {word: value for word, value in words.items() if value is not None and value is not False}
    _value(column, field)
    if "index" in column:  # a name of an index, in the ancestor, is as good as true
        column["index"] = column["index"] if column["index"] in ("hash", "sorted") else True
    if "enum" in column:
        column["enum"] = _names(column["enum"], f"{field}.enum")
    if isinstance(column.get("type"), str):
        column["type"] = _TYPES.get(column["type"].lower(), column["type"])
        type_of_name(column["type"], f"{field}.type")
    elif not column.keys() & {"expression", "enum"}:
        untyped.append(name)
    found.columns.append(column)


_INSTEAD = {
    "resolve": "say which column to find, and where: {underlyingField, childrenTable, displayField}",
    "aggregator": "name a function (sum, avg, min, max, count, first, last, ..), or 'expression' with an expression "
    "over the other aggregates",
}


def _value(column: dict[str, Any], field: str) -> None:
    """What the column is worked out from, which the ancestor says in several ways."""
    now = "write expression: 'price * qty', or default_expression: 'now()' for what is stored when a row is added"
    refuse_function(column.get("expression"), f"{field}.expression", "expression", now)
    refuse_function(column.get("value"), f"{field}.value", "expression", now)
    refuse_function(
        column.get("default"), f"{field}.defaultValue", "defaultExpression", "write defaultExpression: 'now()'"
    )
    if "value" not in column:
        return
    value = column.pop("value")
    if "expression" in column:
        raise NotCarriedOver("value and expression are the same thing", field, "leave one of them out")
    column["expression"] = f"`{value}`" if isinstance(value, str) and "${" in value else str(value)


def _names(given: object, field: str) -> list[str]:
    """The names of an enum: a list, or the ancestor's {name: value} where values are texts, for those are what rows
    hold."""
    values = list(given.values()) if isinstance(given, Mapping) else given
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        hint = "let rows hold names, and write enum: ['low', 'high']"
        raise NotCarriedOver("an enum is a list of names here", field, hint)
    return list(values)


def _choose_key(found: TableDefinition, named: object, field: str) -> None:
    """The key: what is marked, else what the table names, else the column `id`, as in the ancestor."""
    if any(column.get("primary_key") for column in found.columns):
        return
    names = [named] if isinstance(named, str) else list(named) if isinstance(named, list | tuple) else ["id"]
    by_name = {column["name"]: column for column in found.columns}
    missing = [name for name in names if name not in by_name]
    if missing:
        hint = "say primaryKey: true on the column that names a row"
        raise NotCarriedOver(f"there is no key, and no column {missing[0]!r}", f"{field}.columns", hint, "BAD_SCHEMA")
    for name in names:
        by_name[name]["primary_key"] = True
