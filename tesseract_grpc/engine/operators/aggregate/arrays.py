"""Arrays with one entry a group, which grow as groups come."""

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
