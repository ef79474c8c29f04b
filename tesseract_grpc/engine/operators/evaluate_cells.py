"""Columns of values in flight: what the parts of an expression hand to each other.

`Cells` are an array of values and a mask of which are not null, as in a `Vector`; what is the same for every row is an
array without dimensions, and NumPy spreads it. The value at a null has no meaning. Texts are codes into `texts`, in
which a text may stand twice. JSON values are codes too, into a list of what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tesseract_grpc.engine.data.vector import STORAGE, AnyArray, BoolArray
from tesseract_grpc.engine.query.expression.document import held
from tesseract_grpc.engine.query.expression.typed import Constant, Type

_COMBINED = 1 << 40
"""Codes of several arguments are combined into one number; beyond this it is made small again first."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Values, which of them are not null (None: all), and for texts what the codes stand for."""

    values: AnyArray
    valid: BoolArray | None = None
    texts: Sequence[Any] | None = None

    def mask(self) -> BoolArray:
        """Which values are not null, as an array of the shape of the values."""
        return np.ones(self.values.shape, np.bool_) if self.valid is None else self.valid


def constant(node: Constant) -> Cells:
    """A constant, as an array without dimensions."""
    return single(node.type, held(node))


def single(type: Type, value: Any) -> Cells:
    """One value for every row, as an array without dimensions."""
    dtype, valid = STORAGE[type.data_type], None if value is not None else np.zeros((), np.bool_)
    if _is_text(type):
        return Cells(np.zeros((), dtype), valid, ["" if value is None else value])
    return Cells(np.array(0 if value is None else value, dtype), valid)


def all_valid(cells: Sequence[Cells]) -> BoolArray | None:
    """Where none of several is null; None for everywhere."""
    valid: BoolArray | None = None
    for each in cells:
        if each.valid is not None:
            valid = each.valid if valid is None else valid & each.valid
    return valid


def pick(where: BoolArray, one: Cells, other: Cells) -> Cells:
    """The values of `one` where the mask is true, else those of `other`."""
    valid = None
    if one.valid is not None or other.valid is not None:
        valid = np.where(where, one.mask(), other.mask())
    if one.texts is None or other.texts is None:
        return Cells(np.where(where, one.values, other.values), valid)
    if one.texts is other.texts:
        return Cells(np.where(where, one.values, other.values), valid, one.texts)
    first, texts = compact(one)
    second, more = compact(other)
    codes = np.where(where, first, second + np.int32(len(texts)))
    return Cells(codes, valid, [*texts, *more] or [""])


def compact(cells: Cells) -> tuple[AnyArray, list[Any]]:
    """Codes into only the texts that occur, and these. Codes at nulls are 0. O(n + texts), O(n log n) when few."""
    assert cells.texts is not None
    texts = cells.texts or [""]  # slots that hold no row have the code 0, of a text that may never have come
    codes, valid, total = cells.values, cells.valid, len(texts)
    if valid is not None:
        codes, valid = np.broadcast_arrays(codes, valid)
    if codes.ndim and total <= 4 * codes.size + 16:
        used = np.zeros(total, np.bool_)
        used[codes if valid is None else codes[valid]] = True
        found = np.flatnonzero(used)
        place = np.zeros(total, np.int32)
        place[found] = np.arange(len(found), dtype=np.int32)
        return place.take(codes, mode="clip"), [texts[code] for code in found.tolist()]
    distinct, inverse = np.unique(codes if valid is None else codes[valid], return_inverse=True)
    placed = np.zeros(codes.shape, np.int32)
    if valid is None:
        placed[...] = inverse.reshape(codes.shape)
    else:
        placed[valid] = inverse.reshape(-1)
    return placed, [texts[code] for code in distinct.tolist()]


def map_distinct(function: Callable[..., Any], arguments: Sequence[Cells], type: Type) -> Cells:
    """A function of Python values, None for null, called once for each distinct combination of arguments."""
    varying = [place for place, each in enumerate(arguments) if each.values.ndim]
    if not varying:
        return single(type, function(*map(_alone, arguments)))
    key, lists = _distinct([_coded(arguments[place]) for place in varying])
    count = len(lists[0])
    columns = [[_alone(each) if count else None] * count for each in arguments if not each.values.ndim]
    rows = iter(columns)
    varied = dict(zip(varying, lists, strict=True))
    given = [varied[place] if place in varied else next(rows) for place in range(len(arguments))]
    results = listed([function(*row) for row in zip(*given, strict=True)], type)
    return Cells(results.values[key], None if results.valid is None else results.valid[key], results.texts)


def listed(results: Sequence[Any], type: Type) -> Cells:
    """Python values as cells."""
    present = np.fromiter((result is not None for result in results), np.bool_, len(results))
    valid, dtype = None if present.all() else present, STORAGE[type.data_type]
    if _is_text(type):
        texts = ["" if result is None else result for result in results]
        return Cells(np.arange(len(results), dtype=dtype), valid, texts or [""])
    return Cells(np.array([0 if result is None else result for result in results], dtype), valid)


def _alone(cells: Cells) -> Any:
    """The value of cells without dimensions; None for null."""
    if cells.valid is not None and not cells.valid:
        return None
    return cells.values.item() if cells.texts is None else cells.texts[cells.values.item()]


def _coded(cells: Cells) -> tuple[AnyArray, list[Any]]:
    """Values as codes into the distinct ones; None is one of them where some are null."""
    if cells.valid is None:
        return _present(cells)
    valid = np.broadcast_to(cells.valid, cells.values.shape)
    codes, items = _present(Cells(cells.values[valid], None, cells.texts))
    placed = np.full(cells.values.shape, len(items), np.int64)
    placed[valid] = codes
    return placed, [*items, None]


def _present(cells: Cells) -> tuple[AnyArray, list[Any]]:
    """The same of values without nulls."""
    if cells.texts is not None:
        return compact(cells)
    distinct, inverse = np.unique(cells.values, return_inverse=True)
    return inverse, distinct.tolist()


def _distinct(coded: Sequence[tuple[AnyArray, list[Any]]]) -> tuple[AnyArray, list[list[Any]]]:
    """For each row the number of its combination, and for each argument its value in each combination."""
    if len(coded) == 1:
        return coded[0][0], [coded[0][1]]
    key = coded[0][0].astype(np.int64)
    span = len(coded[0][1])
    for codes, items in coded[1:]:
        if span * len(items) > _COMBINED:
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
            span = len(key)
        key = key * len(items) + codes
        span *= len(items)
    _, first, combined = np.unique(key, return_index=True, return_inverse=True)
    return combined, [[items[code] for code in codes[first].tolist()] for codes, items in coded]


def _is_text(type: Type) -> bool:
    return type.data_type.is_text
