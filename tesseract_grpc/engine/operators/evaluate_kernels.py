"""Operations on whole arrays, where arrays have a faster way than one value at a time.

Each kernel is the second implementation of an operation that `query/expression/scalar.py` defines, and equal to it
to the last bit. A kernel of a strict operation takes the arrays of values and returns the result, or the result and
where it has one. Whole numbers are never taken through doubles: what leaves INT64 is found out and made null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.query.expression.math_arrays import ARRAYS, on_arrays
from tesseract_grpc.engine.query.expression.scalar_time import FIRST, LAST

Kernel = Callable[..., Any]

_DAY = 86_400_000_000
_EXACT = 2.0**53
_LIMIT = 2.0**63


def _span(values: AnyArray) -> tuple[int, int]:
    return (int(values.min()), int(values.max())) if values.size else (0, 0)


def _fits(low: int, high: int) -> bool:
    return low >= INT64_MIN and high <= INT64_MAX


def add_int(left: AnyArray, right: AnyArray) -> Any:
    result = left + right
    (a, b), (c, d) = _span(left), _span(right)
    if _fits(a + c, b + d):
        return result
    return result, ((left ^ result) & (right ^ result)) >= 0


def sub_int(left: AnyArray, right: AnyArray) -> Any:
    result = left - right
    (a, b), (c, d) = _span(left), _span(right)
    if _fits(a - d, b - c):
        return result
    return result, ((left ^ right) & (left ^ result)) >= 0


def mul_int(left: AnyArray, right: AnyArray) -> Any:
    result = left * right
    (a, b), (c, d) = _span(left), _span(right)
    corners = (a * c, a * d, b * c, b * d)
    if _fits(min(corners), max(corners)):
        return result
    # Doubles are near enough to tell a product from one that is off by a multiple of 2**64.
    near = left.astype(np.float64) * right.astype(np.float64)
    return result, np.abs(near - result.astype(np.float64)) < 2.0**62


def mod_int(left: AnyArray, right: AnyArray) -> Any:
    # The remainder by -1 is 0, and by 1 too; the smallest number has no quotient by -1.
    safe = np.where((right == 0) | (right == -1), 1, right)
    return np.fmod(left, safe), right != 0


def neg_int(value: AnyArray) -> Any:
    return -value, value != INT64_MIN


def abs_int(value: AnyArray) -> Any:
    return np.abs(value), value != INT64_MIN


def divide(left: AnyArray, right: AnyArray) -> Any:
    return left / (right + 0.0)


def to_int(value: AnyArray) -> Any:
    whole = np.trunc(value)
    fits = (whole >= -_LIMIT) & (whole < _LIMIT)
    return np.where(fits, whole, 0.0).astype(np.int64), fits


def _least(choose: Any) -> Kernel:
    def kernel(*values: AnyArray) -> Any:
        result = values[0]
        for value in values[1:]:
            result = choose(result, value)
        return result

    return kernel


def from_millis(millis: AnyArray) -> Any:
    """From whole or from broken milliseconds to microseconds."""
    if millis.dtype == np.int64:
        return mul_int(millis, np.array(1000, np.int64))
    fits = np.abs(millis) < 1e16
    micros = np.floor(np.where(fits, millis, 0.0) * 1000 + 0.5)
    fits &= (micros >= -_LIMIT) & (micros < _LIMIT)
    return np.where(fits, micros, 0.0).astype(np.int64), fits


def add_millis(micros: AnyArray, millis: AnyArray) -> Any:
    distance, known = _with_mask(from_millis(millis))
    moved, fits = _with_mask(add_int(micros, distance))
    return moved, known & fits


def subtract_millis(micros: AnyArray, millis: AnyArray) -> Any:
    negative, known = _with_mask(neg_int(millis) if millis.dtype == np.int64 else -millis)
    moved, fits = _with_mask(add_millis(micros, np.asarray(negative)))
    return moved, known & fits


def _with_mask(result: Any) -> tuple[Any, Any]:
    return result if isinstance(result, tuple) else (result, np.True_)


def time_difference(left: AnyArray, right: AnyArray) -> Any:
    micros, fits = _with_mask(sub_int(left, right))
    return np.asarray(micros).astype(np.float64) / 1000, fits


def bucket(micros: AnyArray, size: AnyArray, origin: AnyArray) -> Any:
    start = micros - (micros % size - origin % size) % size
    return start, start <= micros


def _dates(micros: AnyArray) -> tuple[Any, BoolArray]:
    known = (micros >= FIRST) & (micros <= LAST)
    return (np.where(known, micros, 0) // _DAY).astype("datetime64[D]"), known


def year(micros: AnyArray) -> Any:
    days, known = _dates(micros)
    return days.astype("datetime64[Y]").astype(np.int64) + 1970, known


def month(micros: AnyArray) -> Any:
    days, known = _dates(micros)
    return days.astype("datetime64[M]").astype(np.int64) % 12, known


def date(micros: AnyArray) -> Any:
    days, known = _dates(micros)
    return (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1, known


def _on_arrays(function: Any) -> Kernel:
    def kernel(*values: AnyArray) -> Any:
        result = on_arrays(function, *values)
        return result if any(value.ndim for value in values) else result.reshape(())

    return kernel


KERNELS: Mapping[str, Kernel] = {
    **{name: _on_arrays(function) for name, function in ARRAYS.items()},
    "add_int": add_int,
    "sub_int": sub_int,
    "mul_int": mul_int,
    "mod_int": mod_int,
    "neg_int": neg_int,
    "abs_int": abs_int,
    "sign_int": np.sign,
    "min_int": _least(np.minimum),
    "max_int": _least(np.maximum),
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": divide,
    "mod": np.fmod,
    "neg": np.negative,
    "abs": np.abs,
    "min": _least(np.minimum),
    "max": _least(np.maximum),
    "to_float": lambda a: a.astype(np.float64),
    "to_int": to_int,
    "bool_int": lambda a: a.astype(np.int64),
    "is_nan": np.isnan,
    "is_finite": np.isfinite,
    "not": np.logical_not,
    "epoch_millis": lambda a: a // 1000,
    "year": year,
    "month": month,
    "date": date,
    "hours": lambda a: a // 3_600_000_000 % 24,
    "minutes": lambda a: a // 60_000_000 % 60,
    "seconds": lambda a: a // 1_000_000 % 60,
    "millis": lambda a: a // 1000 % 1000,
    "weekday": lambda a: (a // _DAY + 4) % 7,
    "from_millis": from_millis,
    "add_millis": add_millis,
    "subtract_millis": subtract_millis,
    "time_difference": time_difference,
    "bucket": bucket,
}
"""The strict operations that have a way for arrays; the others are called once a distinct combination of arguments."""

_PLAIN: Mapping[str, Any] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def comparison(op: str, left: np.dtype[Any], right: np.dtype[Any]) -> Kernel:
    """The comparison of numbers, times or truth values, by storage type: exact; NaN is above all and equals itself."""
    floats = (left == np.float64) + (right == np.float64)
    if not floats:
        return _PLAIN[op]  # type: ignore[no-any-return]
    if floats == 2:
        return lambda a, b: _compare_floats(op, a, b)
    if left == np.float64:
        mirrored = _MIRRORED[op]
        return lambda a, b: _compare_mixed(mirrored, b, a)
    return lambda a, b: _compare_mixed(op, a, b)


def _compare_floats(op: str, left: AnyArray, right: AnyArray) -> Any:
    if not right.ndim and not np.isnan(right):
        # Above a number is what is not at most that number, so NaN is above it.
        if op in ("gt", "ge"):
            return ~_PLAIN["le" if op == "gt" else "lt"](left, right)
        return _PLAIN[op](left, right)
    if op in ("eq", "ne"):
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        return same if op == "eq" else ~same
    if op in ("gt", "le"):
        left, right = right, left
    below = ~((left >= right) | np.isnan(left))
    return below if op in ("lt", "gt") else ~below


def _compare_mixed(op: str, whole: AnyArray, real: AnyArray) -> Any:
    """Whole numbers with doubles, by their exact values."""
    near = whole.astype(np.float64)
    if not real.ndim and abs(real) < _EXACT:
        return _PLAIN[op](near, real)  # next to such a double every whole number is a double
    tie = near == real
    inside = tie & (real < _LIMIT)
    exact = np.where(inside, real, 0.0).astype(np.int64)
    above = np.where(inside, whole > exact, ~tie & (near > real))
    below = np.where(inside, whole < exact, tie | ~(near >= real))
    equal = ~above & ~below
    return {"eq": equal, "ne": ~equal, "lt": below, "le": ~above, "gt": above, "ge": ~below}[op]
