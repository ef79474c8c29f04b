"""What is in a column: how many values, which, how often, how they are spread.

A profile is exact. Texts are counted by their codes, in one pass; numbers are put in order, in which equal ones stand
together. Everything is array work that lets go of the interpreter, over arrays that nobody else writes to: it is meant
for a worker thread. What is said in the order of values follows the rules of sorting: NaN stands above every number,
texts compare by code point, names of an ENUM by their declaration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray, Vector

STEPS = 20
"""The most steps of a histogram."""
_TEXTS = 4_096
"""So many texts are looked at in one go."""
_FIRST_LOOK = 1_024
"""So many rows are looked at first for examples."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """The counts of values in equal steps."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What is in a column."""

    schema: ColumnSchema
    rows: int
    distinct: int
    nulls: int
    minimum: Scalar = None
    maximum: Scalar = None
    mean: float | None = None
    samples: tuple[Scalar, ...] = ()
    """Different values, those of the rows that came first."""
    top: tuple[tuple[Scalar, int], ...] = ()
    """The most frequent values with their counts."""
    histogram: Histogram | None = None
    text_length: float = 0.0
    """The mean length of the values of a column of texts, in characters."""


def profile_column(schema: ColumnSchema, pieces: Sequence[Vector], top: int, samples: int) -> ColumnProfile:
    """The profile of a column whose rows come in pieces, in the order of insertion. O(n log n), O(n) for texts."""
    valid = _validity(pieces)
    rows = sum(map(len, pieces))
    nulls = 0 if valid is None else rows - int(np.count_nonzero(valid))
    if schema.type.is_text:
        codes, texts = _one_coding(pieces)
        present = codes if valid is None else codes[valid]
        return _of_texts(schema, present, texts, rows, nulls, top, samples)
    values = np.concatenate([piece.values for piece in pieces]) if pieces else np.zeros(0)
    present = values if valid is None else values[valid]
    return _of_numbers(schema, present, rows, nulls, top, samples)


def _validity(pieces: Sequence[Vector]) -> BoolArray | None:
    if all(piece.valid is None for piece in pieces):
        return None
    return np.concatenate([np.ones(len(piece), np.bool_) if piece.valid is None else piece.valid for piece in pieces])


def _one_coding(pieces: Sequence[Vector]) -> tuple[NDArray[Any], Sequence[str]]:
    """All codes, in one dictionary: that of the pieces where they share it, as they do but for rare moments."""
    if not pieces:
        return np.zeros(0, np.int32), ()
    texts = pieces[0].texts
    assert texts is not None, "a column of texts has its texts"
    if all(piece.texts is texts for piece in pieces):
        return np.concatenate([piece.values for piece in pieces]), texts
    known: dict[str, int] = {}
    coded: list[AnyArray] = []
    for piece in pieces:
        assert piece.texts is not None
        used, places = np.unique(
            piece.values if piece.valid is None else piece.values[piece.valid], return_inverse=True
        )
        own = np.array([known.setdefault(piece.texts[code], len(known)) for code in used.tolist()], np.int32)
        codes = np.zeros(len(piece), np.int32)
        codes[slice(None) if piece.valid is None else piece.valid] = own[places] if len(used) else 0
        coded.append(codes)
    return np.concatenate(coded), list(known)


def _of_texts(
    schema: ColumnSchema, codes: AnyArray, texts: Sequence[str], rows: int, nulls: int, top: int, samples: int
) -> ColumnProfile:
    if not len(codes):
        return ColumnProfile(schema, rows, 0, nulls)
    counts = np.bincount(codes, minlength=1)
    used = np.flatnonzero(counts)
    low, high, length = _look(schema, texts, used, counts)
    return ColumnProfile(
        schema,
        rows,
        len(used),
        nulls,
        low,
        high,
        samples=tuple(texts[code] for code in _first_different(codes, len(used), samples)),
        top=tuple((texts[int(used[at])], int(counts[used[at]])) for at in _most(counts[used], top)),
        text_length=length / len(codes),
    )


def _look(
    schema: ColumnSchema, texts: Sequence[str], used: AnyArray, counts: AnyArray
) -> tuple[str | None, str | None, int]:
    """The least and the greatest of the texts in use, and the length of all values together.

    A few texts at a time: what Python does over many objects in one call lets nobody else have a turn meanwhile.
    """
    rank = {name: place for place, name in enumerate(schema.enum_values)}.__getitem__ if schema.enum_values else None
    low = high = None
    length = 0
    for start in range(0, len(used), _TEXTS):
        codes = used[start : start + _TEXTS]
        some = [texts[code] for code in codes.tolist()]
        length += int((np.fromiter(map(len, some), np.int64, len(some)) * counts[codes]).sum())
        if schema.type is not DataType.JSON:
            least, most = min(some, key=rank), max(some, key=rank)
            low = least if low is None else min(low, least, key=rank)
            high = most if high is None else max(high, most, key=rank)
    return low, high, length


def _of_numbers(schema: ColumnSchema, values: AnyArray, rows: int, nulls: int, top: int, samples: int) -> ColumnProfile:
    if not len(values):
        return ColumnProfile(schema, rows, 0, nulls)
    ordered = np.sort(values)
    numbers = ordered
    if ordered.dtype.kind == "f":  # NaNs stand at the end, and each is another to arrays
        numbers = ordered[: int(np.searchsorted(ordered, np.nan))]
    starts = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1]))) if len(numbers) else np.zeros(0, int)
    counts = np.diff(np.append(starts, len(numbers)))
    distinct: AnyArray = numbers[starts]
    nans = len(ordered) - len(numbers)
    if nans:
        distinct, counts = np.append(distinct, np.nan), np.append(counts, nans)
    kind = schema.type
    return ColumnProfile(
        schema,
        rows,
        len(distinct),
        nulls,
        _scalar(kind, distinct[0]),
        _scalar(kind, distinct[-1]),
        _mean(numbers) if kind in (DataType.INT64, DataType.FLOAT64) else None,
        tuple(_scalar(kind, value) for value in _first_different(values, len(distinct), samples)),
        tuple((_scalar(kind, distinct[at]), int(counts[at])) for at in _most(counts, top)),
        None if kind is DataType.BOOL else _histogram(numbers),
    )


def _scalar(kind: DataType, value: Any) -> Scalar:
    if kind is DataType.BOOL:
        return bool(value)
    return float(value) if kind is DataType.FLOAT64 else int(value)


def _most(counts: AnyArray, top: int) -> list[int]:
    """The places of the largest counts, largest first; of equal ones those that come first."""
    if top <= 0:
        return []
    places = np.arange(len(counts))
    if len(counts) > top:
        least = np.partition(counts, len(counts) - top)[len(counts) - top]
        places = np.flatnonzero(counts >= least)
    found: list[int] = places[np.argsort(-counts[places], kind="stable")][:top].tolist()
    return found


def _first_different(values: AnyArray, distinct: int, wanted: int) -> list[Any]:
    """So many different values, in the order in which they come first. As few rows are looked at as it takes."""
    wanted = min(wanted, distinct)
    look = _FIRST_LOOK
    while wanted > 0:
        head = values[:look]
        found, first = np.unique(head, return_index=True)
        if len(found) >= wanted or look >= len(values):
            places = np.sort(first)[:wanted]
            chosen: list[Any] = head[places].tolist()
            return chosen
        look *= 4
    return []


def _mean(numbers: AnyArray) -> float | None:
    """The mean, without a sum that could overflow or lose what is small; None where there is none."""
    if not len(numbers):
        return None
    if numbers.dtype.kind == "i":
        high, low = numbers >> 32, numbers & 0xFFFF_FFFF
        return ((int(high.sum()) << 32) + int(low.sum())) / len(numbers)
    with np.errstate(invalid="ignore", over="ignore"):
        found = float(np.sum(numbers, dtype=np.longdouble) / len(numbers))
    return None if math.isnan(found) else found


def _histogram(numbers: AnyArray) -> Histogram | None:
    """The counts of finite numbers, given in order, in equal steps from the least to the greatest. O(log n)."""
    if numbers.dtype.kind == "f":
        first, last = np.searchsorted(numbers, (-np.finfo(np.float64).max, np.inf))
        numbers = numbers[first:last]
    if not len(numbers):
        return None
    low, high = numbers[0].item(), numbers[-1].item()
    steps = STEPS if high != low else 1
    if isinstance(low, int) and high - low < STEPS:  # each number has a step of its own
        edges = [low + step for step in range(1, high - low + 1)]
        counts = np.diff([0, *np.searchsorted(numbers, edges), len(numbers)])
        return Histogram(low - 0.5, high + 0.5, tuple(counts.tolist()))
    # Divided first, for the distance between two doubles may be none.
    inner = [low + (high / steps - low / steps) * step for step in range(1, steps)]
    counts = np.diff([0, *np.searchsorted(numbers, np.array(inner)), len(numbers)])
    return Histogram(float(low), float(high), tuple(counts.tolist()))
