"""A checked filter as people read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Constant, Now, Rank, Type, Typed
from tesseract_grpc.engine.query.filter_tree import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    CompareOp,
    Custom,
    Expression,
    Filter,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
)
from tesseract_grpc.engine.query.literal import Literal, Timestamp

_SIGNS = {
    CompareOp.EQUAL: "==",
    CompareOp.NOT_EQUAL: "!=",
    CompareOp.LESS: "<",
    CompareOp.LESS_OR_EQUAL: "<=",
    CompareOp.GREATER: ">",
    CompareOp.GREATER_OR_EQUAL: ">=",
}
_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "mod": "%",
    "pow": "**",
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "and": "&&",
    "or": "||",
    "coalesce": "??",
}
MOST = 10
"""So many values of a list are written out."""


def filter_text(where: Filter | None) -> str:
    """What a filter keeps, in one line."""
    match where:
        case None | AllOf(()):
            return "every row"
        case AnyOf(()):
            return "no row"
        case AllOf(parts):
            return " && ".join(_inner(part) for part in parts)
        case AnyOf(parts):
            return " || ".join(_inner(part) for part in parts)
        case Negate(part):
            return f"!({filter_text(part)})"
        case Custom(text):
            return text
        case Expression(condition):
            return expression_text(condition)
    return _leaf(where)


def shown_name(name: str) -> str:
    """A column's name, also of one that was set aside to make room for another."""
    return name.lstrip("\0")


def literal_text(value: Literal) -> str:
    """A value as an expression writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, Timestamp):
        return f"'{_moment(value)}'"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _moment(micros: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return moment.isoformat().replace("+00:00", "Z")


def _inner(part: Filter) -> str:
    text = filter_text(part)
    return f"({text})" if isinstance(part, (AllOf, AnyOf)) else text


def _leaf(node: Compare | In | Between | Like | Regex | NullTest) -> str:
    column = shown_name(node.column)
    match node:
        case Compare(op=op, value=value):
            return f"{column} {_SIGNS[op]} {literal_text(value)}"
        case In(values=values, negated=negated):
            listed = ", ".join(literal_text(value) for value in values[:MOST])
            more = f", and {len(values) - MOST} more" if len(values) > MOST else ""
            return f"{column} {'not in' if negated else 'in'} ({listed}{more})"
        case Between(lower=lower, upper=upper):
            return f"{column} between {literal_text(lower)} and {literal_text(upper)}"
        case Like(pattern=pattern, negated=negated):
            return f"{column} {'notlike' if negated else 'like'} {literal_text(pattern)}"
        case Regex(pattern=pattern, case_insensitive=any_case, negated=negated):
            test = f"{column} matches /{pattern}/{'i' if any_case else ''}"
            return f"!({test})" if negated else test
    return f"{column} is {'not ' if node.negated else ''}null"


def expression_text(node: Typed) -> str:
    """What a checked expression works out; operations that have no sign are written as functions."""
    match node:
        case Constant(type=kind, value=value):
            return literal_text(Timestamp(value) if kind is Type.TIMESTAMP and isinstance(value, int) else value)
        case ColumnRef(name=name):
            return shown_name(name)
        case Rank(name=name):
            return f"rank({shown_name(name)})"
        case Now():
            return "now()"
        case Call(op=op, arguments=arguments):
            parts = [expression_text(argument) for argument in arguments]
            if op == "to_float":  # numbers of two kinds: nobody writes it
                return parts[0]
            sign = _INFIX.get(op.removesuffix("_int"))
            if sign is not None and len(parts) > 1:
                return f"({f' {sign} '.join(parts)})"
            return f"{op}({', '.join(parts)})"
    return type(node).__name__.lower()
