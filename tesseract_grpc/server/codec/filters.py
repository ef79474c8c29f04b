"""Filters between the wire and the engine.

A filter is a tree that a client sends, so its depth and its number of nodes are limited here, before anything walks
it by recursion. Fields of errors are named as the request has them: `query.filter.all_of.filters[2].comparison.value`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.query.filter_tree import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    CompareOp,
    Custom,
    Filter,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
)
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.values import decode_literal, encode_literal
from tesseract_grpc.server.errors import invalid, limit_exceeded

_OPERATORS: dict[int, str] = {int(member): member.name for member in CompareOp}

MAX_MEMBERS = 100_000
"""The most values of an `in`."""


@dataclass(slots=True)
class FilterLimits:
    """How large a filter may be."""

    depth: int
    nodes: int


def decode_filter(message: twin.query.Filter, limits: FilterLimits, field: str) -> Filter | None:
    """The engine's filter, or None for a filter that keeps every row."""
    if message.WhichOneof("node") is None:
        return None
    return _Reader(limits).read(message, field, 1)


class _Reader:
    """Reads one filter and counts its nodes."""

    def __init__(self, limits: FilterLimits) -> None:
        self.limits = limits
        self.nodes = 0

    def read(self, message: twin.query.Filter, field: str, depth: int) -> Filter:
        """The filter at one node."""
        self.nodes += 1
        if depth > self.limits.depth:
            raise limit_exceeded("max_filter_depth", self.limits.depth, "the filter is nested too deeply", field=field)
        if self.nodes > self.limits.nodes:
            raise limit_exceeded("max_filter_nodes", self.limits.nodes, "the filter has too many nodes", field=field)
        kind = message.WhichOneof("node")
        if kind is None:
            return AllOf(())
        where = f"{field}.{kind}"
        inner = getattr(message, kind)
        match kind:
            case "all_of":
                return AllOf(self._list(inner, where, depth))
            case "any_of":
                return AnyOf(self._list(inner, where, depth))
            case "negate":
                return Negate(self.read(inner, where, depth + 1))
        return _LEAVES[kind](inner, where)

    def _list(self, message: twin.query.FilterList, where: str, depth: int) -> tuple[Filter, ...]:
        return tuple(
            self.read(inner, f"{where}.filters[{index}]", depth + 1) for index, inner in enumerate(message.filters)
        )


def _comparison(message: twin.query.Comparison, where: str) -> Filter:
    if message.operator not in _OPERATORS:
        known = ", ".join(_OPERATORS.values())
        raise invalid(
            f"the comparison of column '{message.column[:140]}' needs an operator: one of {known}",
            f"{where}.operator",
            Reason.MALFORMED_FILTER,
        )
    return Compare(message.column, CompareOp(message.operator), decode_literal(message.value))


def _membership(message: twin.query.Membership, where: str) -> Filter:
    if len(message.values) > MAX_MEMBERS:
        raise limit_exceeded(
            "max_membership_values", MAX_MEMBERS, f"the list has {len(message.values)} values", field=f"{where}.values"
        )
    return In(message.column, tuple(decode_literal(value) for value in message.values), message.negated)


def _between(message: twin.query.Between, where: str) -> Filter:
    lower, upper = decode_literal(message.lower), decode_literal(message.upper)
    if lower is None and upper is None:
        raise invalid(
            f"between on column '{message.column[:140]}' has no bounds; set lower, upper or both",
            where,
            Reason.MALFORMED_FILTER,
        )
    return Between(message.column, lower, upper)


def _like(message: twin.query.Like, where: str) -> Filter:
    return Like(message.column, message.pattern, message.negated)


def _regex(message: twin.query.Regex, where: str) -> Filter:
    return Regex(message.column, message.pattern, message.case_insensitive, message.negated)


def _null_test(message: twin.query.NullTest, where: str) -> Filter:
    return NullTest(message.column, message.negated)


def _custom(text: str, where: str) -> Filter:
    return Custom(text)


_LEAVES: dict[str, Callable[[Any, str], Filter]] = {
    "comparison": _comparison,
    "membership": _membership,
    "between": _between,
    "like": _like,
    "regex": _regex,
    "null_test": _null_test,
    "custom": _custom,
}


def encode_filter(filter: Filter, message: twin.query.Filter) -> None:
    """Writes a filter into a message."""
    match filter:
        case AllOf(filters):
            message.all_of.SetInParent()
            for inner in filters:
                encode_filter(inner, message.all_of.filters.add())
        case AnyOf(filters):
            message.any_of.SetInParent()
            for inner in filters:
                encode_filter(inner, message.any_of.filters.add())
        case Negate(inner):
            encode_filter(inner, message.negate)
            message.negate.SetInParent()
        case Compare(column, op, value):
            message.comparison.column = column
            message.comparison.operator = cast("twin.query.ComparisonOperator.ValueType", int(op))
            message.comparison.value.CopyFrom(encode_literal(value))
        case In(column, values, negated):
            message.membership.column, message.membership.negated = column, negated
            message.membership.values.extend([encode_literal(value) for value in values])
        case Between(column, lower, upper):
            message.between.column = column
            if lower is not None:
                message.between.lower.CopyFrom(encode_literal(lower))
            if upper is not None:
                message.between.upper.CopyFrom(encode_literal(upper))
        case Like(column, pattern, negated):
            message.like.CopyFrom(twin.query.Like(column=column, pattern=pattern, negated=negated))
        case Regex(column, pattern, case_insensitive, negated):
            message.regex.CopyFrom(
                twin.query.Regex(column=column, pattern=pattern, case_insensitive=case_insensitive, negated=negated)
            )
        case NullTest(column, negated):
            message.null_test.CopyFrom(twin.query.NullTest(column=column, negated=negated))
        case Custom(text):
            message.custom = text
