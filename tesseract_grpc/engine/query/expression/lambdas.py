"""The operations that take a function (`items.filter(x => x.value > limit)`), as functions of values.

What of a function does not depend on its parameters is worked out before, once a row, and handed in beside the array:
so such an operation is a function of its arguments and of these *fixed* values, for arrays of rows as for one row.

An environment is a list: the steps that are left, the fixed values, the parameters. Each call of a function takes as
many steps as it has parts, and long texts and large values take more. An operation that has used up its `STEPS` for
one row is null there: functions within functions can ask for more work than anybody can do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tesseract_grpc.engine.query.expression.closures import compile_closure
from tesseract_grpc.engine.query.expression.document import Document, size
from tesseract_grpc.engine.query.expression.lazy import Closure
from tesseract_grpc.engine.query.expression.scalar import specialise
from tesseract_grpc.engine.query.expression.scalar_json import SMALL
from tesseract_grpc.engine.query.expression.typed import (
    HIGHER,
    NOT_STRICT,
    Call,
    Constant,
    Lambda,
    Parameter,
    Type,
    Typed,
    walk,
)

STEPS = 100_000
"""The most steps of one operation for one row."""

_COMPARISONS = frozenset(f"json_{op}" for op in ("eq", "ne", "lt", "le", "gt", "ge"))
_LARGE = (str, list, dict)
_SIZED = (Type.STRING, Type.ENUM, Type.JSON)

Env = list[Any]
Calls = Callable[[Env, Any, Any], Any]
"""Calls a function with an item and its place (for `reduce`: with what came before, and the item)."""


class _Spent(Exception):
    """The steps are used up."""


def applied(node: Call) -> tuple[Callable[..., Any], tuple[Typed, ...]]:
    """The operation as a function of values, and what these are the values of. Any of them may be null."""
    given = [argument for argument in node.arguments if not isinstance(argument, Lambda)]
    fixed: dict[Typed, int] = {}
    for argument in node.arguments:
        if isinstance(argument, Lambda):
            _gather(argument.body, fixed)
    # A function without parameters is given one all the same.
    parameters = max(each.first + max(each.count, 1) for each in walk(node) if isinstance(each, Lambda))
    run = _Bodies(fixed).operation(node)

    def operation(*values: Any) -> Any:
        env = [STEPS, *values[len(given) :], *[None] * parameters]
        try:
            return run(env, *values[: len(given)])
        except _Spent:
            return None

    return operation, (*given, *fixed)


def _gather(node: Typed, fixed: dict[Typed, int]) -> None:
    """Numbers the largest parts of a function's body that depend on no parameter of any function."""
    if isinstance(node, Constant | Parameter):
        return
    if isinstance(node, Lambda):
        _gather(node.body, fixed)
    elif not any(isinstance(each, Parameter) for each in walk(node)):
        fixed.setdefault(node, len(fixed))
    elif isinstance(node, Call):
        for argument in node.arguments:
            _gather(argument, fixed)


class _Bodies:
    """Compiles the functions of one operation, and of those within them."""

    def __init__(self, fixed: Mapping[Typed, int]) -> None:
        self.fixed = fixed
        self.start = 1 + len(fixed)

    def leaf(self, node: Typed) -> Closure | None:
        if isinstance(node, Parameter):
            return _place(self.start + node.number)
        known = self.fixed.get(node)
        if known is not None:
            return _place(1 + known)
        if not isinstance(node, Call):
            return None
        if node.op in HIGHER:
            return self.inner(node)
        if node.op in NOT_STRICT or node.op in SMALL:
            return None
        sized = [argument.type in _SIZED for argument in node.arguments]
        # A comparison with a number, a BOOL or a time looks at no more than that.
        light = node.op in _COMPARISONS and not all(sized)
        return self.charged(node) if not light and (node.type in _SIZED or any(sized)) else None

    def inner(self, node: Call) -> Closure:
        """An operation with a function inside of another function; it shares the steps."""
        run = self.operation(node)
        given = [compile_closure(each, self.leaf) for each in node.arguments if not isinstance(each, Lambda)]
        return lambda env: run(env, *[argument(env) for argument in given])

    def charged(self, node: Call) -> Closure:
        """A call that takes more steps the larger the values are that it takes and gives."""
        function, taken = specialise(node)
        arguments = [compile_closure(node.arguments[place], self.leaf) for place in taken]

        def closure(env: Env) -> Any:
            values = [argument(env) for argument in arguments]
            if any(value is None for value in values):
                return None
            left: int = env[0]
            for value in values:
                if type(value) in _LARGE:
                    left -= size(value, left)
            if left >= 0:
                result = function(*values)
                if isinstance(result, str):
                    left -= size(result, left)
            env[0] = left
            if left < 0:
                raise _Spent
            return result

        return closure

    def operation(self, node: Call) -> Callable[..., Any]:
        """The operation as a function of an environment and the values of the arguments that are no functions."""
        function = next(each for each in node.arguments if isinstance(each, Lambda))
        call = self.calls(function)
        if node.op == "json_reduce":
            return _reduce(call, self.start + function.first + 2, function.count > 2)
        way = _WAYS[node.op]
        return lambda env, items: way(env, items, call) if isinstance(items, list) else None

    def calls(self, function: Lambda) -> Calls:
        body = compile_closure(function.body, self.leaf)
        cost = sum(1 for _ in walk(function.body))
        first = self.start + function.first

        def call(env: Env, one: Any, other: Any) -> Any:
            left = env[0] = env[0] - cost
            if left < 0:
                raise _Spent
            env[first] = one
            return body(env)

        def call_with_two(env: Env, one: Any, other: Any) -> Any:
            env[first + 1] = other
            return call(env, one, other)

        return call if function.count < 2 else call_with_two


def _place(place: int) -> Closure:
    return lambda env: env[place]


def _filter(env: Env, items: Sequence[Document], call: Calls) -> list[Document]:
    return [item for place, item in enumerate(items) if call(env, item, place) is True]


def _map(env: Env, items: Sequence[Document], call: Calls) -> list[Document]:
    return [call(env, item, place) for place, item in enumerate(items)]


def _find(env: Env, items: Sequence[Document], call: Calls) -> Document:
    return next((item for place, item in enumerate(items) if call(env, item, place) is True), None)


def _find_index(env: Env, items: Sequence[Document], call: Calls) -> int:
    return next((place for place, item in enumerate(items) if call(env, item, place) is True), -1)


def _some(env: Env, items: Sequence[Document], call: Calls) -> bool:
    return any(call(env, item, place) is True for place, item in enumerate(items))


def _every(env: Env, items: Sequence[Document], call: Calls) -> bool:
    return all(call(env, item, place) is True for place, item in enumerate(items))


_WAYS: Mapping[str, Callable[[Env, Sequence[Document], Calls], Any]] = {
    "json_filter": _filter,
    "json_map": _map,
    "json_find": _find,
    "json_find_index": _find_index,
    "json_some": _some,
    "json_every": _every,
}


def _reduce(call: Calls, place: int, placed: bool) -> Callable[..., Any]:
    """From the first item on, or from a value that is given."""

    def reduce(env: Env, items: Any, *initial: Any) -> Document:
        if not isinstance(items, list) or not (items or initial):
            return None
        result = initial[0] if initial else items[0]
        for number in range(0 if initial else 1, len(items)):
            if placed:
                env[place] = number
            result = call(env, result, items[number])
        return result

    return reduce


assert set(_WAYS) | {"json_reduce"} == HIGHER
