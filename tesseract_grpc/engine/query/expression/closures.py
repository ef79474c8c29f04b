"""A checked expression as nested functions of Python values, for one row or for one call of a function.

A closure takes an *environment*, which it only hands on; what leaves make of it is told by whoever compiles. What an
operation need not look at is not computed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tesseract_grpc.engine.query.expression.document import held
from tesseract_grpc.engine.query.expression.lazy import LAZY, Closure
from tesseract_grpc.engine.query.expression.scalar import specialise
from tesseract_grpc.engine.query.expression.typed import Call, Constant, Type, Typed

Leaf = Callable[[Typed], "Closure | None"]


def compile_closure(node: Typed, leaf: Leaf) -> Closure:
    """The value of a checked expression. `leaf` is asked for each part first, and must know all but constants and
    calls."""
    found = leaf(node)
    if found is not None:
        return found
    if isinstance(node, Constant):
        value = held(node)
        return lambda env: value
    assert isinstance(node, Call), f"nobody knows {node}"
    return call_closure(node, [compile_closure(argument, leaf) for argument in node.arguments])


def call_closure(node: Call, arguments: list[Closure]) -> Closure:
    """The value of a call, given those of its arguments."""
    lazy = LAZY.get(node.op)
    if lazy is not None:
        return lazy(arguments)
    function, taken = specialise(node)
    return strict_closure(_plain_comparison(node) or function, [arguments[place] for place in taken])


def strict_closure(function: Callable[..., Any], wanted: Sequence[Closure]) -> Closure:
    """A function of arguments, null when one of them is."""
    if len(wanted) == 1:
        return _unary(function, wanted[0])
    if len(wanted) == 2:
        return _binary(function, *wanted)

    def several(env: Any) -> Any:
        values = [argument(env) for argument in wanted]
        return None if None in values else function(*values)

    return several


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _plain_comparison(node: Call) -> Callable[..., Any] | None:
    """Python's own comparison, where NaN cannot come."""
    plain = _PLAIN.get(node.op)
    if plain is None:
        return None
    limit = node.arguments[1]
    if limit.type is Type.FLOAT64 and not (isinstance(limit, Constant) and limit.value == limit.value):
        return None
    if node.arguments[0].type is not Type.FLOAT64:
        return plain
    if node.op in ("gt", "ge"):
        # Above a number is what is not at most that number, so NaN is above it.
        opposite = operator.le if node.op == "gt" else operator.lt
        return lambda left, right: not opposite(left, right)
    return plain


def _unary(function: Callable[..., Any], argument: Closure) -> Closure:
    def one(env: Any) -> Any:
        value = argument(env)
        return None if value is None else function(value)

    return one


def _binary(function: Callable[..., Any], left: Closure, right: Closure) -> Closure:
    def two(env: Any) -> Any:
        first = left(env)
        if first is None:
            return None
        second = right(env)
        return None if second is None else function(first, second)

    return two
