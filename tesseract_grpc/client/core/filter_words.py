"""Filters from the wire, in the words in which users write them: what `filter_of` makes of them is the same again."""

from __future__ import annotations

from typing import Any

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .literals import python_of

_SIGNS = {
    query_pb2.COMPARISON_OPERATOR_EQUAL: "==",
    query_pb2.COMPARISON_OPERATOR_NOT_EQUAL: "!=",
    query_pb2.COMPARISON_OPERATOR_LESS: "<",
    query_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL: "<=",
    query_pb2.COMPARISON_OPERATOR_GREATER: ">",
    query_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL: ">=",
}


def filter_words(message: query_pb2.Filter) -> list[dict[str, Any]]:
    """The conditions of a filter, all of which hold. O(nodes)."""
    if message.WhichOneof("node") is None:
        return []
    if message.WhichOneof("node") == "all_of":
        return [_condition(each) for each in message.all_of.filters]
    return [_condition(message)]


def _condition(message: query_pb2.Filter) -> dict[str, Any]:
    match message.WhichOneof("node"):
        case "all_of":
            return {"and": [_condition(each) for each in message.all_of.filters]}
        case "any_of":
            return {"or": [_condition(each) for each in message.any_of.filters]}
        case "negate":
            return {"not": _condition(message.negate)}
        case "custom":
            return {"type": "custom", "value": message.custom}
        case "comparison":
            found = message.comparison
            return _words(found.column, _SIGNS.get(found.operator, "=="), python_of(found.value))
        case "membership":
            listed = message.membership
            values = [python_of(value) for value in listed.values]
            return _words(listed.column, "not in" if listed.negated else "in", values)
        case "between":
            bounds = message.between
            return _words(bounds.column, "between", [python_of(bounds.lower), python_of(bounds.upper)])
        case "like":
            return _words(message.like.column, "not like" if message.like.negated else "like", message.like.pattern)
        case "regex":
            regex = message.regex
            words = _words(regex.column, "not regex" if regex.negated else "regex", regex.pattern)
            return {**words, "case_insensitive": True} if regex.case_insensitive else words
        case "null_test":
            test = message.null_test
            return {"field": test.column, "comparison": "is not null" if test.negated else "is null"}
    return {"and": []}


def _words(column: str, comparison: str, value: Any) -> dict[str, Any]:
    return {"field": column, "comparison": comparison, "value": value}
