"""The functions of `Math` on arrays of doubles.

A row that is looked at alone must get the very value that it gets among a million others, to the last bit, or a live
result would contradict itself. Libraries differ in the last bit of a sine, so there is one implementation, and one
row is an array of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ArrayFunction = Callable[..., Any]


def power(base: Floats, exponent: Floats) -> Any:
    """`**` as JavaScript has it: 1 ** NaN and 1 ** Infinity are NaN; 0 ** -1 is Infinity."""
    base = base + 0.0
    undefined = np.isnan(exponent) | ((np.abs(base) == 1) & np.isinf(exponent))
    return np.where(undefined, np.nan, np.power(base, exponent))


def rounded(value: Floats) -> Any:
    """To the nearest whole number, halves up."""
    below = np.floor(value)
    return below + (value - below >= 0.5)


def atan2(y: Floats, x: Floats) -> Any:
    """The angle, with 0.0 as the only zero."""
    return np.arctan2(y + 0.0, x + 0.0)


def hypot(*values: Floats) -> Any:
    """The root of the sum of the squares."""
    result: Any = np.abs(values[0])
    for value in values[1:]:
        result = np.hypot(result, value)
    return result


ARRAYS: Mapping[str, ArrayFunction] = {
    "pow": power,
    "round": rounded,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "cbrt": np.cbrt,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": lambda a: np.log(a + 0.0),
    "log2": lambda a: np.log2(a + 0.0),
    "log10": lambda a: np.log10(a + 0.0),
    "log1p": np.log1p,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": atan2,
    "hypot": hypot,
}
"""Functions of doubles to a double, by their names under `Math`."""


def on_arrays(function: ArrayFunction, *values: Any) -> Floats:
    """The function of arrays, in one layout, because the library has a loop of its own for each."""
    arrays = np.broadcast_arrays(*(np.atleast_1d(value) for value in values))
    with np.errstate(all="ignore"):
        result: Floats = np.asarray(function(*(np.ascontiguousarray(array, np.float64) for array in arrays)))
    return result


def on_one(function: ArrayFunction) -> Callable[..., float]:
    """The function of numbers."""

    def one(*values: float) -> float:
        return float(on_arrays(function, *(np.array((value,), np.float64) for value in values))[0])

    return one
