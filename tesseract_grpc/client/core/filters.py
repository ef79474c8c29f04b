"""Filters as users write them: lists of dicts.

    [{"field": "age", "comparison": ">=", "value": 18}, {"or": [{...}, {...}]}, {"not": {...}},
     {"type": "custom", "value": 'name ~ "ad"'}]

A list means "all of these". A comparison that is not said is "==". Every word has its aliases in one table; what the
table does not know is refused with the place where it stands. Whether a column exists and a value fits it is the
server's to judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .errors import InvalidRequest, invalid
from .literals import value_of

FilterLike: TypeAlias = "Mapping[str, Any] | Sequence[Mapping[str, Any] | str] | str"
"""A filter: a list of conditions (all of them), one condition, or the text of an expression."""

_SPECIAL = re.compile(r"[%_\\]")
"""What a SQL pattern does not take as it is."""

_COMPARISONS: dict[str, query_pb2.ComparisonOperator.ValueType] = {
    "==": query_pb2.COMPARISON_OPERATOR_EQUAL,
    "=": query_pb2.COMPARISON_OPERATOR_EQUAL,
    "===": query_pb2.COMPARISON_OPERATOR_EQUAL,
    "eq": query_pb2.COMPARISON_OPERATOR_EQUAL,
    "!=": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "!==": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "<>": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "neq": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "ne": query_pb2.COMPARISON_OPERATOR_NOT_EQUAL,
    "<": query_pb2.COMPARISON_OPERATOR_LESS,
    "lt": query_pb2.COMPARISON_OPERATOR_LESS,
    "<=": query_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    "lte": query_pb2.COMPARISON_OPERATOR_LESS_OR_EQUAL,
    ">": query_pb2.COMPARISON_OPERATOR_GREATER,
    "gt": query_pb2.COMPARISON_OPERATOR_GREATER,
    ">=": query_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
    "gte": query_pb2.COMPARISON_OPERATOR_GREATER_OR_EQUAL,
}

_Builder = Callable[[str, Mapping[str, Any], bool, str], query_pb2.Filter]


def filter_of(given: FilterLike | None, field: str = "filter") -> query_pb2.Filter | None:
    """The tree that a user's filter means; None when there is none."""
    if given is None:
        return None
    if isinstance(given, str):
        return query_pb2.Filter(custom=given)
    if isinstance(given, Mapping):
        return _condition(given, field)
    if not isinstance(given, Iterable):
        raise _malformed(f"a filter is a list of conditions, not {given!r:.60}", field)
    inner = [_node(item, f"{field}[{at}]") for at, item in enumerate(given)]
    return inner[0] if len(inner) == 1 else query_pb2.Filter(all_of=query_pb2.FilterList(filters=inner))


def _node(given: Any, field: str) -> query_pb2.Filter:
    found = filter_of(given, field)
    if found is None:
        raise _malformed("None is not a condition", field)
    return found


def _malformed(message: str, field: str) -> InvalidRequest:
    return invalid("MALFORMED_FILTER", message, field)


def _condition(given: Mapping[str, Any], field: str) -> query_pb2.Filter:
    words = set(given)
    for word in ("all", "and"):
        if words == {word}:
            return query_pb2.Filter(all_of=_list(given[word], f"{field}.{word}"))
    for word in ("any", "or"):
        if words == {word}:
            return query_pb2.Filter(any_of=_list(given[word], f"{field}.{word}"))
    if words == {"not"}:
        return query_pb2.Filter(negate=_node(given["not"], f"{field}.not"))
    custom = [word for word in ("type", "comparison") if given.get(word) == "custom"]
    if custom:
        _only(words, {*custom, "value"}, field)
        if not isinstance(given.get("value"), str):
            raise _malformed("a custom condition needs the text of an expression as value", f"{field}.value")
        return query_pb2.Filter(custom=given["value"])
    _only(words, {"field", "comparison", "value", "case_insensitive"}, field)
    column = given.get("field")
    if not isinstance(column, str):
        raise _malformed("a condition needs the name of a column as field", f"{field}.field")
    return _comparison(column, given, field)


def _only(words: set[str], known: set[str], field: str) -> None:
    unknown = sorted(words - known, key=str)
    if unknown:
        known_words = ", ".join(sorted(known | {"and", "or", "not"}))
        raise _malformed(
            f"{unknown[0]!r} is not a word of a condition; known are {known_words}", f"{field}.{unknown[0]}"
        )


def _list(given: Any, field: str) -> query_pb2.FilterList:
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise _malformed("needs a list of conditions", field)
    return query_pb2.FilterList(filters=[_node(item, f"{field}[{at}]") for at, item in enumerate(given)])


def _comparison(column: str, given: Mapping[str, Any], field: str) -> query_pb2.Filter:
    word = given.get("comparison", "==")
    word = " ".join(word.lower().replace("_", " ").split()) if isinstance(word, str) else word
    if word in _COMPARISONS:
        value = value_of(given.get("value"), f"{field}.value")
        _only(set(given), {"field", "comparison", "value"}, field)
        return query_pb2.Filter(
            comparison=query_pb2.Comparison(column=column, operator=_COMPARISONS[word], value=value)
        )
    if word not in _BUILDERS:
        known = ", ".join([*_COMPARISONS, *_BUILDERS, "custom"])
        raise _malformed(f"unknown comparison {given.get('comparison')!r}; known are {known}", f"{field}.comparison")
    build, negated = _BUILDERS[word]
    if build is not _regex:
        _only(set(given), {"field", "comparison", "value"}, field)
    return build(column, given, negated, f"{field}.value")


def _membership(column: str, given: Mapping[str, Any], negated: bool, field: str) -> query_pb2.Filter:
    value = given.get("value")
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise _malformed("in needs a list of values", field)
    values = [value_of(item, f"{field}[{at}]") for at, item in enumerate(value)]
    return query_pb2.Filter(membership=query_pb2.Membership(column=column, values=values, negated=negated))


def _between(column: str, given: Mapping[str, Any], negated: bool, field: str) -> query_pb2.Filter:
    value = given.get("value")
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2 or all(v is None for v in value):
        raise _malformed("between needs a list of a lower and an upper bound; None leaves one of them open", field)
    between = query_pb2.Between(column=column)
    if value[0] is not None:
        between.lower.CopyFrom(value_of(value[0], f"{field}[0]"))
    if value[1] is not None:
        between.upper.CopyFrom(value_of(value[1], f"{field}[1]"))
    found = query_pb2.Filter(between=between)
    return query_pb2.Filter(negate=found) if negated else found


def _contains(column: str, given: Mapping[str, Any], negated: bool, field: str) -> query_pb2.Filter:
    """A text that is contained, whatever is in it: on the wire a "%" would make a pattern of it."""
    text = _pattern(given, field)
    if "%" in text:
        text = "%" + _SPECIAL.sub(r"\\\g<0>", text) + "%"
    return query_pb2.Filter(like=query_pb2.Like(column=column, pattern=text, negated=negated))


def _like(column: str, given: Mapping[str, Any], negated: bool, field: str) -> query_pb2.Filter:
    return query_pb2.Filter(like=query_pb2.Like(column=column, pattern=_pattern(given, field), negated=negated))


def _regex(column: str, given: Mapping[str, Any], negated: bool, field: str) -> query_pb2.Filter:
    insensitive = given.get("case_insensitive", False)
    if not isinstance(insensitive, bool):
        raise _malformed("case_insensitive is True or False", field)
    regex = query_pb2.Regex(
        column=column, pattern=_pattern(given, field), case_insensitive=insensitive, negated=negated
    )
    return query_pb2.Filter(regex=regex)


def _null_test(column: str, given: Mapping[str, Any], negated: bool, field: str) -> query_pb2.Filter:
    if given.get("value") is not None:
        raise _malformed("a null test takes no value", field)
    return query_pb2.Filter(null_test=query_pb2.NullTest(column=column, negated=negated))


def _pattern(given: Mapping[str, Any], field: str) -> str:
    value = given.get("value")
    if not isinstance(value, str):
        raise _malformed("needs a text as value", field)
    return value


_BUILDERS: dict[str, tuple[_Builder, bool]] = {
    "in": (_membership, False),
    "not in": (_membership, True),
    "notin": (_membership, True),
    "between": (_between, False),
    "not between": (_between, True),
    "like": (_like, False),
    "~": (_contains, False),
    "contains": (_contains, False),
    "not like": (_like, True),
    "notlike": (_like, True),
    "!~": (_contains, True),
    "regex": (_regex, False),
    "not regex": (_regex, True),
    "is null": (_null_test, False),
    "is not null": (_null_test, True),
}
