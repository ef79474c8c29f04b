"""Aggregates as users write them, to what the wire has.

"count", "sum(price * qty)", ("sum", "qty"),
{"function": "percentile", "column": "price", "percentile": 0.95, "filter": [...]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .filters import filter_of
from .words import list_of, malformed, name_of, text_of, words_of

AggregateLike: TypeAlias = "str | tuple[str, str] | Mapping[str, Any]"
AggregatesLike: TypeAlias = "Mapping[str, AggregateLike] | list[Mapping[str, Any]]"
"""{name of the result column: what it holds}, or a list of dicts with names."""

FUNCTIONS = {
    name.removeprefix("AGGREGATE_FUNCTION_").lower(): number
    for name, number in query_pb2.AggregateFunction.items()
    if number
}
"""The functions by the names that users write."""

WORDS = {
    "function": "function",
    "aggregator": "function",
    "column": "column",
    "field": "column",
    "expression": "expression",
    "value": "expression",
    "filter": "filter",
    "percentile": "percentile",
    "order_by": "order_by",
    "weight": "weight",
    "separator": "separator",
    "limit": "limit",
}
"""What an aggregate may say, beside its name."""

_CALL = re.compile(r"\s*(\w+)\s*(?:\((.*)\)\s*)?", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*")


def aggregates_of(given: AggregatesLike | None, field: str) -> list[query_pb2.Aggregate]:
    """All aggregates of a grouping."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [aggregate_of(name, what, f"{field}[{name!r}]") for name, what in given.items()]
    found = []
    for at, each in enumerate(list_of(given, "aggregates", field)):
        words = words_of(each, {"name": "name", **WORDS}, "an aggregate", f"{field}[{at}]")
        name = name_of(words, "an aggregate", f"{field}[{at}]")
        del words["name"]
        found.append(aggregate_of(name, words, f"{field}[{at}]"))
    return found


def aggregate_of(name: object, what: object, field: str) -> query_pb2.Aggregate:
    """One aggregate: the name of its column, and what it holds."""
    if not isinstance(name, str):
        raise malformed(f"an aggregate needs a name, not {name!r:.60}", field)
    if isinstance(what, str):
        return called(name, what, field)
    if isinstance(what, tuple | list) and len(what) == 2 and all(isinstance(each, str) for each in what):
        return query_pb2.Aggregate(name=name, function=_function(what[0], field), column=what[1])
    if not isinstance(what, Mapping):
        raise malformed(f"an aggregate is 'count', 'sum(price)', (function, column) or a dict, not {what!r:.60}", field)
    return _of_words(name, words_of(what, WORDS, "an aggregate", field), field)


def called(name: str, text: str, field: str) -> query_pb2.Aggregate:
    """An aggregate in the form of a call: `count`, `sum(price)`, `sum(price * qty)`."""
    call = _CALL.fullmatch(text)
    if call is None:
        raise malformed(f"{text!r:.100} is not of the form function or function(column or expression)", field)
    function, operand = _function(call[1], field), (call[2] or "").strip()
    if _NAME.fullmatch(operand) and function != query_pb2.AGGREGATE_FUNCTION_EXPRESSION:
        return query_pb2.Aggregate(name=name, function=function, column=operand)
    return query_pb2.Aggregate(name=name, function=function, expression=operand)


def _of_words(name: str, words: dict[str, Any], field: str) -> query_pb2.Aggregate:
    percentile, limit = words.get("percentile", 0.0), words.get("limit", 0)
    if isinstance(percentile, bool) or not isinstance(percentile, int | float):
        raise malformed(f"percentile is a number from 0 to 1, not {percentile!r:.60}", f"{field}.percentile")
    if isinstance(limit, bool) or not isinstance(limit, int) or not -(2**31) <= limit < 2**31:
        raise malformed(f"limit is a whole number, not {limit!r:.60}", f"{field}.limit")
    return query_pb2.Aggregate(
        name=name,
        function=_function(words.get("function"), f"{field}.function"),
        column=text_of(words, "column", field),
        expression=expression_text(words.get("expression"), f"{field}.expression"),
        filter=filter_of(words.get("filter"), f"{field}.filter"),
        percentile=percentile,
        order_by=text_of(words, "order_by", field),
        weight=text_of(words, "weight", field),
        separator=text_of(words, "separator", field) if "separator" in words else None,
        limit=limit,
    )


def expression_text(value: object, field: str) -> str:
    """The text of an expression; a number stands for itself."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise malformed(f"an expression is a text, not {value!r:.60}", field)
    return value


def _function(name: object, field: str) -> query_pb2.AggregateFunction.ValueType:
    number = FUNCTIONS.get(name.strip().lower()) if isinstance(name, str) else None
    if number is None:
        raise malformed(f"there is no aggregate {name!r:.60}; there are {', '.join(FUNCTIONS)}", field)
    return number
