"""Extremes of runs of rows: for each row the least or greatest value from a first row up to itself.

Runs of any lengths are covered by two overlapping runs whose length is a power of two, and those are found by doubling
(a sparse table, of which only one level is held). So the cost is a pass for each bit of the longest run, however many
runs there are. Few long runs that all begin at the head of a stretch are accumulated one by one, a pass in all.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array
from tesseract_grpc.engine.operators.aggregate.comparable import comparable, restored

FEW_HEADS = 64
"""So many runs of their own are accumulated one by one."""
_LEAST, _GREATEST = -(2**63), 2**63 - 1


def running_extremes(column: Column, stored: Stored, first: Int64Array, least: bool) -> AnyArray:
    """The extreme of the values that are not null from row `first` of each row up to itself; anything where all are.

    `first` never falls.
    """
    values, valid = stored
    texts: AnyArray | None = None
    if column.dictionary is not None:
        # Labels cannot be turned back to codes: the rank among the codes that are here can.
        codes = np.unique(values if valid is None else values[valid])
        texts = codes[np.argsort(comparable(column, codes))]
        ranks = np.empty(len(codes), np.int64)
        ranks[np.searchsorted(codes, texts)] = np.arange(len(codes))
        numbers = ranks[np.searchsorted(codes, values).clip(max=max(len(codes) - 1, 0))] if len(codes) else None
    else:
        numbers = comparable(column, values)
    if numbers is None:
        return np.zeros(len(values), values.dtype)
    nothing = _GREATEST if least else _LEAST
    if valid is not None:
        numbers = np.where(valid, numbers, nothing)
    found = _accumulated(numbers, first, np.minimum if least else np.maximum)
    if texts is not None:
        picked: AnyArray = texts.take(found, mode="clip")
        return picked
    return restored(column.type, found)


def _accumulated(numbers: Int64Array, first: Int64Array, extreme: np.ufunc) -> Int64Array:
    rows = np.arange(len(numbers))
    begins = first == rows
    heads = begins.nonzero()[0]
    if len(heads) <= FEW_HEADS and np.array_equal(first, np.maximum.accumulate(np.where(begins, rows, 0))):
        parts = np.split(numbers, heads[1:]) if len(heads) > 1 else [numbers]
        found: Int64Array = np.concatenate([extreme.accumulate(part) for part in parts])
        return found
    return _by_doubling(numbers, first, extreme)


def _by_doubling(numbers: Int64Array, first: Int64Array, extreme: np.ufunc) -> Int64Array:
    rows = np.arange(len(numbers))
    level_of = np.frexp((rows - first + 1).astype(np.float64))[1] - 1  # the largest power of two that fits the run
    result = numbers.copy()
    table, length = numbers, 1
    for level in range(int(level_of.max(initial=0)) + 1):
        at = (level_of == level).nonzero()[0]
        result[at] = extreme(table[at], table[first[at] + length - 1])
        shorter = table
        table = shorter.copy()
        table[length:] = extreme(shorter[length:], shorter[:-length])  # across stretches too, which nobody reads
        length *= 2
    return result
