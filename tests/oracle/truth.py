"""When a filter is true for a row, in SQL's three values (True, False, None for unknown), and how values order."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from tests.oracle.asks import AllOf, AnyOf, Ask, Between, Compare, Custom, Field, In, IsNull, Like, Not, Regex, Row
from tests.oracle.expressions import evaluate, tested


def rank(field: Field, value: Any) -> tuple[int, Any]:
    """The place of a value that is not null: enums as declared, NaN above every number and equal to itself."""
    if field.type == "enum":
        return (0, field.names.index(value))
    if isinstance(value, float) and math.isnan(value):
        return (1, 0)
    return (0, value)


def holds(ask: Ask, row: Row, fields: Sequence[Field], now: int) -> bool | None:
    match ask:
        case AllOf(filters):
            return conjunction([holds(part, row, fields, now) for part in filters])
        case AnyOf(filters):
            return negation(conjunction([negation(holds(part, row, fields, now)) for part in filters]))
        case Not(inner):
            return negation(holds(inner, row, fields, now))
        case IsNull(column, negated):
            return (row[column] is None) != negated
        case Compare(column, operator, None):
            return (row[column] is None) == (operator == "==")
        case Custom(part):
            names = {field.name: field.names for field in fields if field.type == "enum"}
            return tested(part, evaluate(part, row, names, now))
    value = row[ask.column]
    if value is None:
        return None
    field = next(field for field in fields if field.name == ask.column)
    match ask:
        case Compare(_, operator, literal):
            mine, other = rank(field, value), rank(field, literal)
            return {
                "==": mine == other,
                "!=": mine != other,
                "<": mine < other,
                "<=": mine <= other,
                ">": mine > other,
                ">=": mine >= other,
            }[operator]
        case In(_, values, negated):
            if any(rank(field, value) == rank(field, literal) for literal in values if literal is not None):
                return not negated
            return None if None in values else negated
        case Between(_, lower, upper):
            above = lower is None or rank(field, value) >= rank(field, lower)
            return above and (upper is None or rank(field, value) <= rank(field, upper))
        case Like(_, pattern, negated):
            return like(pattern, value) != negated
        case Regex(_, pattern, any_case, negated):
            return (re.search(pattern, value, re.IGNORECASE if any_case else 0) is not None) != negated


def negation(value: bool | None) -> bool | None:
    return None if value is None else not value


def conjunction(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def like(pattern: str, text: str) -> bool:
    if "%" not in pattern:
        return pattern.lower() in text.lower()
    parts, escaped = [], False
    for letter in pattern.lower():
        if escaped or letter not in "%_\\":
            parts.append(re.escape(letter))
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            parts.append(".*" if letter == "%" else ".")
    return re.fullmatch("".join(parts), text.lower(), re.DOTALL) is not None
