"""A checked filter as people read it, or its form alone: with ? in the place of values.

Forms are for statistics and records that must hold no values. A value hides in more places than literals: patterns,
paths into documents, names of columns that a pivot made of values. So a form has only names that its reader knows.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
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


HIDDEN = "?"
"""What stands in the place of a value."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text may hold: values, and which names (None: all of them)."""

    values: bool = True
    names: Container[str] | None = None

    def name(self, name: str) -> str:
        """A column's name, also of one that was set aside to make room for another."""
        shown = name.lstrip("\0")
        return shown if self.names is None or shown in self.names else HIDDEN

    def literal(self, value: Literal) -> str:
        """A value as an expression writes it."""
        return literal_text(value) if self.values else HIDDEN

    def listed(self, values: Sequence[Literal]) -> str:
        """Several of them; how many there are is no part of a form."""
        if not self.values:
            return HIDDEN
        more = f", and {len(values) - MOST} more" if len(values) > MOST else ""
        return ", ".join(literal_text(value) for value in values[:MOST]) + more


WHOLE = Wording()
"""Everything, as whoever asked has written it."""

FORM = Wording(values=False)
"""No values; all names."""


def filter_text(where: Filter | None, wording: Wording = WHOLE) -> str:
    """What a filter keeps, in one line. O(nodes)."""
    match where:
        case None | AllOf(()):
            return "every row"
        case AnyOf(()):
            return "no row"
        case AllOf(parts):
            return " && ".join(_inner(part, wording) for part in parts)
        case AnyOf(parts):
            return " || ".join(_inner(part, wording) for part in parts)
        case Negate(part):
            return f"!({filter_text(part, wording)})"
        case Custom(text):
            return text if wording.values else HIDDEN
        case Expression(condition):
            return expression_text(condition, wording)
    return _leaf(where, wording)


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


def _inner(part: Filter, wording: Wording) -> str:
    text = filter_text(part, wording)
    return f"({text})" if isinstance(part, (AllOf, AnyOf)) else text


def _leaf(node: Compare | In | Between | Like | Regex | NullTest, wording: Wording) -> str:
    column, literal = wording.name(node.column), wording.literal
    match node:
        case Compare(op=op, value=value):
            return f"{column} {_SIGNS[op]} {literal(value)}"
        case In(values=values, negated=negated):
            return f"{column} {'not in' if negated else 'in'} ({wording.listed(values)})"
        case Between(lower=lower, upper=upper):
            return f"{column} between {literal(lower)} and {literal(upper)}"
        case Like(pattern=pattern, negated=negated):
            return f"{column} {'notlike' if negated else 'like'} {literal(pattern)}"
        case Regex(pattern=pattern, case_insensitive=any_case, negated=negated):
            shown = pattern if wording.values else HIDDEN
            test = f"{column} matches /{shown}/{'i' if any_case else ''}"
            return f"!({test})" if negated else test
    return f"{column} is {'not ' if node.negated else ''}null"


def expression_text(node: Typed, wording: Wording = WHOLE) -> str:
    """What a checked expression works out; operations that have no sign are written as functions."""
    match node:
        case Constant(type=kind, value=value):
            return wording.literal(Timestamp(value) if kind is Type.TIMESTAMP and isinstance(value, int) else value)
        case ColumnRef(name=name):
            return wording.name(name)
        case Rank(name=name):
            return f"rank({wording.name(name)})"
        case Now():
            return "now()"
        case Call(op=op, arguments=arguments):
            parts = [expression_text(argument, wording) for argument in arguments]
            if op == "to_float":  # numbers of two kinds: nobody writes it
                return parts[0]
            sign = _INFIX.get(op.removesuffix("_int"))
            if sign is not None and len(parts) > 1:
                return f"({f' {sign} '.join(parts)})"
            return f"{op}({', '.join(parts)})"
    return type(node).__name__.lower()
