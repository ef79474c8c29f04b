"""Joins as users write them.

    {"table": "airlines", "on": {"carrier": "code"}, "columns": ["name"], "prefix": "airline_", "kind": "left"}

`on` is {column of the rows: column of the source}, a list of such pairs, or the names of columns that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .words import list_of, malformed, text_of, words_of

SourceOf: TypeAlias = Callable[[Mapping[str, Any], str], query_pb2.Source]
"""Makes the source that the words of a join or a lookup name."""

SOURCE_WORDS = {
    "table": "table",
    "children_table": "table",
    "session": "session",
    "sub_session": "sub_session",
    "source": "source",
    "query": "query",
    "union": "union",
}
"""How a dict may say where rows come from."""

_WORDS = {
    **SOURCE_WORDS,
    "on": "on",
    "kind": "kind",
    "type": "kind",
    "how": "kind",
    "columns": "columns",
    "prefix": "prefix",
}
_KINDS = {"inner": query_pb2.JOIN_KIND_INNER, "left": query_pb2.JOIN_KIND_LEFT}


def join_of(given: object, source: SourceOf, field: str) -> query_pb2.Join:
    """One join."""
    words = words_of(given, _WORDS, "a join", field)
    kind = words.get("kind", "inner")
    number = _KINDS.get(kind.lower()) if isinstance(kind, str) else None
    if number is None:
        raise malformed(f"the kind of a join is inner or left, not {kind!r:.60}", f"{field}.kind")
    return query_pb2.Join(
        source=source(words, field),
        kind=number,
        on=keys_of(words.get("on"), f"{field}.on"),
        columns=_columns(words.get("columns"), f"{field}.columns"),
        prefix=text_of(words, "prefix", field),
    )


def keys_of(given: object, field: str) -> list[query_pb2.JoinKey]:
    """The pairs of columns that must be equal."""
    if isinstance(given, str):
        return [query_pb2.JoinKey(left=given, right=given)]
    if isinstance(given, Mapping):
        pairs: list[Any] = list(given.items())
    elif given is None:
        raise malformed("which columns must be equal is missing: {column of the rows: column of the source}", field)
    else:
        pairs = [(each, each) if isinstance(each, str) else each for each in list_of(given, "on", field)]
    found = []
    for at, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(each, str) for each in pair):
            raise malformed(f"a pair of columns is (column, column), not {pair!r:.60}", f"{field}[{at}]")
        found.append(query_pb2.JoinKey(left=pair[0], right=pair[1]))
    return found


def _columns(given: object, field: str) -> list[query_pb2.JoinColumn]:
    """The columns to take: names, or {new name: column}."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [_column({"name": name, "column": column}, field) for name, column in given.items()]
    return [_column(each, f"{field}[{at}]") for at, each in enumerate(list_of(given, "columns", field))]


def _column(given: object, field: str) -> query_pb2.JoinColumn:
    if isinstance(given, str):
        return query_pb2.JoinColumn(column=given)
    words = words_of(given, ("name", "column"), "a column of a join", field)
    return query_pb2.JoinColumn(column=text_of(words, "column", field), name=text_of(words, "name", field))
