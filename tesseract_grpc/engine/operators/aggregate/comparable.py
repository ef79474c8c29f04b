"""One int64 a value, such that the numbers compare as the values do.

The rule is that of `data.order`, in a form that can be turned back where values are not texts: -0.0 is 0.0, NaN stands
above every number, texts compare by their order labels (which are below 2**63), enums by declaration. The float
transform keeps the bits of positive numbers and flips all but the sign of negative ones; it is its own inverse.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import STORAGE, AnyArray
from tesseract_grpc.engine.operators.aggregate.arrays import Int64Array

_BELOW_SIGN = np.int64(2**63 - 1)


def comparable(column: Column, values: AnyArray) -> Int64Array:
    """The numbers by which stored values compare. O(n). Not to be written to: it may be the values themselves."""
    kind = column.type
    if kind is DataType.FLOAT64:
        return _of_floats(values)
    if column.dictionary is not None:
        labels = column.dictionary.labels().view(np.int64)
        numbers: Int64Array = labels.take(values) if len(labels) else np.zeros(len(values), np.int64)
        return numbers
    return values.astype(np.int64, copy=False)


def _of_floats(values: AnyArray) -> Int64Array:
    floats = values + 0.0  # -0.0 becomes 0.0
    if len(floats) and np.isnan(floats.max()):
        floats[np.isnan(floats)] = np.nan  # a NaN of either sign is the same NaN
    bits: Int64Array = floats.view(np.int64)
    flip = bits >> 63
    flip &= _BELOW_SIGN
    bits ^= flip
    return bits


def comparable_one(column: Column, value: bool | float) -> int:
    """The number by which one stored value compares. O(1)."""
    if column.type is DataType.FLOAT64:
        bits: int = struct.unpack("<q", struct.pack("<d", math.nan if value != value else value + 0.0))[0]
        return bits ^ 0x7FFFFFFFFFFFFFFF if bits < 0 else bits
    if column.dictionary is not None:
        return column.dictionary.labels().item(int(value))
    return int(value)


def restored(kind: DataType, numbers: Int64Array) -> AnyArray:
    """The stored values that have these numbers. Not for texts, whose labels move."""
    assert not kind.is_text
    if kind is DataType.FLOAT64:
        values: AnyArray = (numbers ^ ((numbers >> 63) & _BELOW_SIGN)).view(np.float64)
        return values
    return numbers.astype(STORAGE[kind])


def restored_one(kind: DataType, number: int) -> bool | float:
    """The stored value that has this number. O(1)."""
    if kind is DataType.FLOAT64:
        bits = number ^ 0x7FFFFFFFFFFFFFFF if number < 0 else number
        value: float = struct.unpack("<d", struct.pack("<q", bits))[0]
        return value
    return bool(number) if kind is DataType.BOOL else number
