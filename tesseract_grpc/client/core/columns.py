"""The columns of a query as users write them: names, and dicts that say what to work out.

    ["id", {"name": "total", "expression": "price * qty"}, {"name": "who", "value": "${last}, ${first}"},
     {"name": "airline", "resolve": {"underlying_field": "carrier", "table": "airlines", "display_field": "name"}},
     {"name": "revenue", "value": "price * qty", "aggregator": "sum"}]

One list says what is shown, what is computed for it and, with `aggregator`, what is aggregated. A column that is
computed for groups is shown only where it is one of the grouping columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .aggregates import WORDS as AGGREGATE_WORDS
from .aggregates import aggregate_of, expression_text
from .joins import SOURCE_WORDS, SourceOf
from .words import list_of, malformed, name_of, text_of, texts_of, words_of

_WORDS = {
    **AGGREGATE_WORDS,
    "name": "name",
    "value": "value",
    "template": "template",
    "resolve": "resolve",
    "lookup": "resolve",
}
_COMPUTED_WORDS = {
    "name": "name",
    "expression": "expression",
    "value": "value",
    "template": "template",
    "resolve": "resolve",
    "lookup": "resolve",
}
_RESOLVE_WORDS = {
    **SOURCE_WORDS,
    "underlying_field": "left",
    "on": "left",
    "value_field": "right",
    "display_field": "column",
    "column": "column",
    "display_template": "template",
    "template": "template",
    "expression": "expression",
}


@dataclass(slots=True)
class Columns:
    """What a list of columns says."""

    shown: list[str] = field(default_factory=list)
    computed: list[query_pb2.ComputedColumn] = field(default_factory=list)
    aggregates: list[query_pb2.Aggregate] = field(default_factory=list)
    worked_out: list[str] = field(default_factory=list)
    """Those of `shown` that are computed for each row."""


def columns_of(given: object, source: SourceOf, field: str) -> Columns:
    """What a list of columns says."""
    found = Columns()
    for at, item in enumerate(list_of(given, "columns", field)):
        if isinstance(item, str):
            found.shown.append(item)
        else:
            _take(found, words_of(item, _WORDS, "a column", f"{field}[{at}]"), source, f"{field}[{at}]")
    return found


def computed_of(given: object, source: SourceOf, field: str) -> list[query_pb2.ComputedColumn]:
    """Computed columns: {name: expression}, or a list of dicts as among the columns."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        given = [
            {"name": name, **(what if isinstance(what, Mapping) else {"expression": what})}
            for name, what in given.items()
        ]
    found = Columns()
    for at, item in enumerate(list_of(given, "computed", field)):
        where = f"{field}[{at}]"
        words = words_of(item, _COMPUTED_WORDS, "a computed column", where)
        if words.keys() == {"name"}:
            raise malformed("a computed column needs one of expression, value, template and resolve", where)
        _take(found, words, source, where)
    return found.computed


def _take(found: Columns, words: dict[str, Any], source: SourceOf, field: str) -> None:
    """Adds what one column says."""
    name = name_of(words, "a column", field)
    found.shown.append(name)
    if "function" in words:
        _aggregated(found, name, words, source, field)
    elif words.keys() - {"name"}:
        found.computed.append(_computed(name, words, source, field))
        found.worked_out.append(name)


def _aggregated(found: Columns, name: str, words: dict[str, Any], source: SourceOf, field: str) -> None:
    """A column that is aggregated: of a column, of an expression, or of a value that is looked up first."""
    what = {word: value for word, value in words.items() if word not in ("name", "value", "resolve")}
    if "template" in words:
        raise malformed("a template cannot be aggregated; compute it first", f"{field}.template")
    if "value" in words:
        what["expression"] = words["value"]
    if "resolve" in words:
        resolve = words["resolve"]
        looked_up = name
        if "expression" in what and isinstance(resolve, Mapping):
            shown = resolve.get("display_field", resolve.get("displayField"))
            looked_up = shown if isinstance(shown, str) else name
        found.computed.append(_looked_up(looked_up, resolve, source, f"{field}.resolve"))
        if "expression" not in what:
            what["column"] = looked_up
    elif "expression" not in what and "column" not in what and what["function"] != "count":
        what["column"] = name
    found.aggregates.append(aggregate_of(name, what, field))


def _computed(name: str, words: dict[str, Any], source: SourceOf, field: str) -> query_pb2.ComputedColumn:
    """A column that is worked out for each row."""
    said = sorted(words.keys() - {"name"})
    if len(said) != 1 or said[0] not in ("expression", "value", "template", "resolve"):
        raise malformed(f"a column is one of expression, value, template and resolve, not {' and '.join(said)}", field)
    word, value = said[0], words[said[0]]
    if word == "resolve":
        return _looked_up(name, value, source, f"{field}.resolve")
    text = expression_text(value, f"{field}.{word}")
    if word == "template" or (word == "value" and "${" in text):
        return query_pb2.ComputedColumn(name=name, template=text)
    return query_pb2.ComputedColumn(name=name, expression=text)


def _looked_up(name: str, given: object, source: SourceOf, field: str) -> query_pb2.ComputedColumn:
    """A column that is looked up in another source, by its key when no value_field is named."""
    words = words_of(given, _RESOLVE_WORDS, "resolve", field)
    left = texts_of(words.get("left", ()), "underlying_field", f"{field}.underlying_field")
    right = texts_of(words.get("right", [""] * len(left)), "value_field", f"{field}.value_field")
    if not left or len(left) != len(right):
        raise malformed(
            "resolve needs an underlying_field, and a value_field for each of them", f"{field}.underlying_field"
        )
    lookup = query_pb2.Lookup(
        source=source(words, field), on=[query_pb2.JoinKey(left=a, right=b) for a, b in zip(left, right, strict=True)]
    )
    said = [word for word in ("column", "expression", "template") if word in words]
    if len(said) != 1:
        raise malformed("resolve needs one of display_field, display_template and expression", field)
    setattr(lookup, said[0], text_of(words, said[0], field))
    return query_pb2.ComputedColumn(name=name, lookup=lookup)
