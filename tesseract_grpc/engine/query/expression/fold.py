"""Calls made and simplified: what does not depend on a row is computed once, here.

Only what is the same in every case is simplified, nulls included: `true && x` is x, but `x && !x` is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tesseract_grpc.engine.query.expression.document import constant_of, held
from tesseract_grpc.engine.query.expression.lazy import LAZY, Closure
from tesseract_grpc.engine.query.expression.scalar import specialise
from tesseract_grpc.engine.query.expression.typed import (
    FALSE,
    HIGHER,
    NOT_STRICT,
    TRUE,
    Call,
    Constant,
    Type,
    Typed,
)

_OPPOSITES = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_FLIPPED = _OPPOSITES | {f"json_{op}": f"json_{other}" for op, other in _OPPOSITES.items()}
_FLIPPED_NULL = {"is_null": "not_null", "not_null": "is_null"}


def call(type: Type, op: str, arguments: Sequence[Typed], line: int = 0, column: int = 0) -> Typed:
    """The call, or what it comes to. Arguments are simplified already."""
    args = tuple(arguments)
    if op in ("and", "or"):
        return _connected(op, args, line, column)
    if op == "not":
        return _negated(args[0], line, column)
    made = Call(type, op, args, line, column)
    if all(isinstance(argument, Constant) for argument in args):
        value = apply(made, [held(a) for a in args if isinstance(a, Constant)])
        return constant_of(type, value, line, column)
    if op not in NOT_STRICT and op not in HIGHER and any(isinstance(a, Constant) and a.value is None for a in args):
        return Constant(type, None, line, column)
    if op == "choose" and isinstance(args[0], Constant):
        return args[1] if args[0].value else args[2]
    if op == "coalesce":
        return _coalesced(made)
    return made


def apply(made: Call, values: Sequence[Any]) -> Any:
    """The value of a call whose arguments have these values."""
    if made.op not in NOT_STRICT:
        if any(value is None for value in values):
            return None
        function, taken = specialise(made)
        return function(*[values[place] for place in taken])
    return LAZY[made.op]([_given(value) for value in values])(None)


def _given(value: Any) -> Closure:
    return lambda env: value


def _connected(op: str, args: tuple[Typed, ...], line: int, column: int) -> Typed:
    neutral, decisive = (TRUE, FALSE) if op == "and" else (FALSE, TRUE)
    flat: list[Typed] = []
    for argument in args:
        flat.extend(argument.arguments if isinstance(argument, Call) and argument.op == op else (argument,))
    kept = [argument for argument in dict.fromkeys(flat) if argument != neutral]
    if decisive in kept:
        return Constant(Type.BOOL, decisive.value, line, column)
    if not kept:
        return Constant(Type.BOOL, neutral.value, line, column)
    return kept[0] if len(kept) == 1 else Call(Type.BOOL, op, tuple(kept), line, column)


def _negated(inner: Typed, line: int, column: int) -> Typed:
    """Values are totally ordered, so each comparison has a negation; null stays null under both."""
    if isinstance(inner, Constant):
        return Constant(Type.BOOL, None if inner.value is None else not inner.value, line, column)
    if isinstance(inner, Call):
        if inner.op == "not":
            return inner.arguments[0]
        other = _FLIPPED.get(inner.op) or _FLIPPED_NULL.get(inner.op)
        if other is not None:
            return Call(Type.BOOL, other, inner.arguments, line, column)
        if inner.op in ("and", "or"):
            parts = [_negated(argument, line, column) for argument in inner.arguments]
            return _connected("or" if inner.op == "and" else "and", tuple(parts), line, column)
    return Call(Type.BOOL, "not", (inner,), line, column)


def _coalesced(made: Call) -> Typed:
    kept: list[Typed] = []
    for argument in made.arguments:
        if isinstance(argument, Constant) and argument.value is None:
            continue
        kept.append(argument)
        if isinstance(argument, Constant):
            break
    if not kept:
        return Constant(made.type, None, made.line, made.column)
    return kept[0] if len(kept) == 1 else Call(made.type, "coalesce", tuple(kept), made.line, made.column)
