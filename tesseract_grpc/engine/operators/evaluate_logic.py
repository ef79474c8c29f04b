"""The operations that can have a value though an argument is null: logic, choices, null tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.evaluate_cells import Cells, pick
from tesseract_grpc.engine.query.expression.scalar import truth


def holds(cells: Cells) -> BoolArray:
    """Where a value of any type counts as true: null, false, 0, NaN and '' do not."""
    values: AnyArray = cells.values
    result: BoolArray
    if cells.texts is not None:
        filled = np.fromiter(map(truth, cells.texts), np.bool_, len(cells.texts))
        result = filled.take(values, mode="clip") if filled.size else np.zeros(values.shape, np.bool_)
    elif values.dtype == np.float64:
        result = (values != 0) & ~np.isnan(values)
    else:
        result = values if values.dtype == np.bool_ else values != 0
    return result if cells.valid is None else result & cells.valid


def both(*parts: Cells) -> Cells:
    """`&&` of truth values: false when one is false, else unknown when one is unknown."""
    if all(part.valid is None for part in parts):
        values = parts[0].values
        for part in parts[1:]:
            values = values & part.values
        return Cells(np.asarray(values))
    true, false = parts[0].values & parts[0].mask(), ~parts[0].values & parts[0].mask()
    for part in parts[1:]:
        true = true & part.values & part.mask()
        false = false | (~part.values & part.mask())
    return Cells(np.asarray(true), np.asarray(true | false))


def either(*parts: Cells) -> Cells:
    """`||` of truth values: true when one is true, else unknown when one is unknown."""
    if all(part.valid is None for part in parts):
        values = parts[0].values
        for part in parts[1:]:
            values = values | part.values
        return Cells(np.asarray(values))
    true, false = parts[0].values & parts[0].mask(), ~parts[0].values & parts[0].mask()
    for part in parts[1:]:
        true = true | (part.values & part.mask())
        false = false & ~part.values & part.mask()
    return Cells(np.asarray(true), np.asarray(true | false))


def coalesce(*parts: Cells) -> Cells:
    """The first that is not null."""
    result = parts[-1]
    for part in reversed(parts[:-1]):
        result = pick(part.mask(), part, result)
    return result


def first_true(*parts: Cells) -> Cells:
    """`||` of values: the first that counts as true, else the last."""
    result = parts[-1]
    for part in reversed(parts[:-1]):
        result = pick(holds(part), part, result)
    return result


def first_false(*parts: Cells) -> Cells:
    """`&&` of values: the first that does not count as true, else the last."""
    result = parts[-1]
    for part in reversed(parts[:-1]):
        result = pick(~holds(part), part, result)
    return result


OPERATIONS: Mapping[str, Callable[..., Cells]] = {
    "and": both,
    "or": either,
    "truth": lambda a: Cells(np.asarray(holds(a))),
    "is_null": lambda a: Cells(~a.mask()),
    "not_null": lambda a: Cells(a.mask()),
    "coalesce": coalesce,
    "choose": lambda condition, then, otherwise: pick(holds(condition), then, otherwise),
    "first_true": first_true,
    "first_false": first_false,
}
"""Every operation of `typed.NOT_STRICT` but `array`, which no arrays of rows can hold."""
