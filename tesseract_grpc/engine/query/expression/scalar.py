"""What each operation means for one row: functions of Python values, the definition of the language.

Folding uses them, texts use them (once a distinct text), and the test of a single row uses them. Where arrays have
a faster way, `operators/evaluate_kernels.py` has a second implementation, proven equal by tests. Arguments of strict
operations are never None; a result of None is null.

Whole numbers are exact and never wrap: a result outside of INT64 is null. Division gives doubles, by the rules of
IEEE 754, except that there is no negative zero: -0.0 divides as 0.0 does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.query.expression import scalar_json, scalar_text, scalar_time
from tesseract_grpc.engine.query.expression.math_arrays import ARRAYS, on_one
from tesseract_grpc.engine.query.expression.ordering import sort_key
from tesseract_grpc.engine.query.expression.typed import Call, Constant, Value

Scalar = Callable[..., Any]


def whole(value: int) -> int | None:
    """The number, or null when INT64 cannot hold it."""
    return value if INT64_MIN <= value <= INT64_MAX else None


def divide(left: float, right: float) -> float:
    """IEEE division, with 0.0 as the only zero."""
    if right:
        return left / right
    return math.nan if left != left or not left else math.copysign(math.inf, left)


def remainder(left: float, right: float) -> float:
    """`%` with the sign of the left side."""
    return math.fmod(left, right) if right and not math.isinf(left) else math.nan


def remainder_int(left: int, right: int) -> int | None:
    """`%` of whole numbers; null when the right side is zero."""
    if not right:
        return None
    result = abs(left) % abs(right)
    return -result if left < 0 else result


def _nan_first(choose: Scalar) -> Scalar:
    """Of several numbers; NaN when one of them is."""

    def chosen(*values: Any) -> Any:
        return math.nan if any(value != value for value in values) else choose(values)

    return chosen


def truncated(value: float) -> int | None:
    """The whole part of a double; null when it has none in INT64."""
    return whole(int(value)) if math.isfinite(value) else None


SCALARS: Mapping[str, Scalar] = {
    **{name: on_one(function) for name, function in ARRAYS.items()},
    **scalar_text.SCALARS,
    **scalar_time.SCALARS,
    **scalar_json.SCALARS,
    "eq": lambda a, b: sort_key(a) == sort_key(b),
    "ne": lambda a, b: sort_key(a) != sort_key(b),
    "lt": lambda a, b: sort_key(a) < sort_key(b),
    "le": lambda a, b: sort_key(a) <= sort_key(b),
    "gt": lambda a, b: sort_key(a) > sort_key(b),
    "ge": lambda a, b: sort_key(a) >= sort_key(b),
    "not": lambda a: not a,
    "add_int": lambda a, b: whole(a + b),
    "sub_int": lambda a, b: whole(a - b),
    "mul_int": lambda a, b: whole(a * b),
    "mod_int": remainder_int,
    "neg_int": lambda a: whole(-a),
    "abs_int": lambda a: whole(abs(a)),
    "sign_int": lambda a: (a > 0) - (a < 0),
    "min_int": min,
    "max_int": max,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": divide,
    "mod": remainder,
    "neg": lambda a: -a,
    "abs": abs,
    "min": _nan_first(min),
    "max": _nan_first(max),
    "to_float": float,
    "to_int": truncated,
    "bool_int": int,
    "is_nan": lambda a: a != a,
    "is_finite": math.isfinite,
}
"""Each strict operation. `SPECIALISED` makes those that are prepared from constant arguments."""


def specialise(call: Call) -> tuple[Scalar, tuple[int, ...]]:
    """The function of a strict call, and the places of the arguments that it takes.

    Patterns, lists and sizes are constants; what can be done with them once is done here.
    """
    make = _MAKERS.get(call.op)
    if make is None:
        return SCALARS[call.op], tuple(range(len(call.arguments)))
    fixed = [argument.value for argument in call.arguments[1:] if isinstance(argument, Constant)]
    assert len(fixed) == len(call.arguments) - 1, f"{call.op} takes constants"
    return make(*fixed), (0,)


def _one_of(*items: Value) -> Scalar:
    nan = any(item != item for item in items)
    listed = frozenset(items)
    return lambda value: value in listed or (nan and value != value)


_MAKERS: Mapping[str, Callable[..., Scalar]] = {
    **scalar_text.MAKERS,
    **scalar_json.MAKERS,
    "one_of": _one_of,
}


def truth(value: Any) -> bool:
    """Whether a value counts as true in a condition: null, false, 0, NaN and '' do not; arrays and objects do."""
    return (bool(value) and value == value) or isinstance(value, list | dict)
