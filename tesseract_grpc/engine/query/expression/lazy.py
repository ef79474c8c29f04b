"""The operations that are not strict, for one row: what need not be looked at is not computed.

Each makes a closure of those of its arguments. A closure takes an environment, which it only hands on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tesseract_grpc.engine.query.expression.scalar import truth

Closure = Callable[[Any], Any]
Maker = Callable[[Sequence[Closure]], Closure]


def _connected(decisive: bool) -> Maker:
    """`&&` and `||` of truth values: the decisive one when there is one, else unknown when there is an unknown one."""

    def make(parts: Sequence[Closure]) -> Closure:
        def closure(env: Any) -> bool | None:
            result: bool | None = not decisive
            for part in parts:
                value: bool | None = part(env)
                if value is decisive:
                    return decisive
                if value is None:
                    result = None
            return result

        return closure

    return make


def _coalesce(parts: Sequence[Closure]) -> Closure:
    def closure(env: Any) -> Any:
        for part in parts:
            value = part(env)
            if value is not None:
                return value
        return None

    return closure


def _first(wanted: bool) -> Maker:
    """`||` and `&&` of values: the first that counts as it is wanted, else the last."""

    def make(parts: Sequence[Closure]) -> Closure:
        def closure(env: Any) -> Any:
            value: Any = None
            for part in parts:
                value = part(env)
                if truth(value) is wanted:
                    break
            return value

        return closure

    return make


def _choose(parts: Sequence[Closure]) -> Closure:
    condition, then, otherwise = parts
    return lambda env: then(env) if condition(env) else otherwise(env)


def _of_one(function: Callable[[Any], Any]) -> Maker:
    def make(parts: Sequence[Closure]) -> Closure:
        (part,) = parts
        return lambda env: function(part(env))

    return make


LAZY: Mapping[str, Maker] = {
    "and": _connected(False),
    "or": _connected(True),
    "truth": _of_one(truth),
    "is_null": _of_one(lambda value: value is None),
    "not_null": _of_one(lambda value: value is not None),
    "coalesce": _coalesce,
    "choose": _choose,
    "first_true": _first(True),
    "first_false": _first(False),
    "array": lambda parts: lambda env: [part(env) for part in parts],
}
"""Every operation of `typed.NOT_STRICT`."""
