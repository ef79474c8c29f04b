"""Arrays with one entry a group, which grow as groups come, and rows of unequal length in one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.vector import AnyArray

Groups = NDArray[np.int64]
"""Group numbers."""
Int64Array = NDArray[np.int64]
FloatArray = NDArray[np.float64]

NO_GROUPS: Groups = np.empty(0, np.int64)


def grown(array: AnyArray, capacity: int, fill: int = 0) -> AnyArray:
    """The array with room for `capacity` groups, of which the new ones hold `fill`."""
    larger = np.full(capacity, fill, array.dtype) if fill else np.zeros(capacity, array.dtype)
    larger[: len(array)] = array
    return larger


def run_totals(values: Int64Array, first: Int64Array) -> Int64Array:
    """For each entry the sum of the values from entry `first` of it up to itself. Exact where the sums fit. O(n)."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    totals: Int64Array = sums[1:] - sums[first]
    return totals


def capacity_for(known: int, groups: int) -> int:
    """How large to make arrays that hold `known` groups so that growing one by one costs O(1) a group."""
    return max(groups, known + (known >> 1), 16)


def ragged(starts: AnyArray, lengths: AnyArray) -> Int64Array:
    """The places `start .. start + length` of each pair, one after the other.

    >>> ragged(np.array([7, 0]), np.array([2, 3])).tolist()
    [7, 8, 0, 1, 2]
    """
    ends = lengths.cumsum(dtype=np.int64)
    if not len(ends):
        return np.empty(0, np.int64)
    places: Int64Array = np.arange(int(ends[-1]))
    places += (starts - ends + lengths).repeat(lengths)
    return places


def stretches(array: AnyArray, starts: AnyArray, width: int) -> AnyArray:
    """Copies of the stretches `start .. start + width`, one a row. Several times faster than indexing by place.

    >>> stretches(np.arange(10), np.array([7, 0]), 3).tolist()
    [[7, 8, 9], [0, 1, 2]]
    """
    size = array.itemsize
    windows = np.ndarray((len(array) - width + 1, width), array.dtype, array.data, 0, (size, size))
    rows: AnyArray = windows[starts]
    return rows


def distinct(values: Int64Array) -> Int64Array:
    """The distinct values, ascending. Sorting is faster than `numpy.unique`, which hashes, while values are few."""
    ordered = np.sort(values)
    keep = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=keep[1:])
    return ordered[keep]


def powers_of_two(sizes: AnyArray) -> Int64Array:
    """The least powers of two that are at least these sizes, which are positive.

    >>> powers_of_two(np.array([1, 2, 3, 64, 65])).tolist()
    [1, 2, 4, 64, 128]
    """
    exponents = np.frexp(sizes - 0.5)[1]
    powers: Int64Array = np.left_shift(1, exponents, dtype=np.int64)
    return powers
