"""Order words: one uint64 a value, such that words compare as values do.

Every ordering of the engine (sorts, sorted indexes, windows) compares words and nothing else, so that one rule decides
everywhere: numbers by size, -0.0 equal to 0.0, NaN above every number, texts by code point (their order label), enums
by declaration, false before true. Nulls are no values; whoever sorts places them.

The float transform is the classic one: flip all bits of negative numbers, the sign bit of the others, and IEEE 754
doubles order as unsigned integers.
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.vector import AnyArray

Words = NDArray[np.uint64]
SIGN = 1 << 63
MAX_WORD = 2**64 - 1
_SIGN = np.uint64(SIGN)
_ALL = np.uint64(MAX_WORD)


def order_words(column: Column, values: AnyArray) -> Words:
    """The order words of stored values of a column. O(n)."""
    kind = column.type
    if kind is DataType.FLOAT64:
        bits: Words = np.ascontiguousarray(values).view(np.uint64)
        # Negative: flip all; else: flip the sign. The arithmetic shift makes a mask of the sign without a branch.
        mask = (bits.view(np.int64) >> 63).view(np.uint64)
        words: Words = bits ^ (mask | _SIGN)
        return words
    if kind in (DataType.INT64, DataType.TIMESTAMP):
        flipped: Words = np.ascontiguousarray(values).view(np.uint64) ^ _SIGN
        return flipped
    if kind is DataType.BOOL:
        return values.astype(np.uint64)
    assert column.dictionary is not None
    labels = column.dictionary.labels()
    if not len(labels):
        return np.zeros(len(values), np.uint64)
    picked: Words = labels[values]
    return picked


def order_word(column: Column, value: bool | float | str) -> int:
    """The order word of one stored value."""
    kind = column.type
    if kind is DataType.FLOAT64:
        number = float(value)
        bits: int = struct.unpack("<Q", struct.pack("<d", math.nan if number != number else number + 0.0))[0]
        return bits ^ MAX_WORD if bits & SIGN else bits | SIGN
    if kind in (DataType.INT64, DataType.TIMESTAMP):
        return (int(value) + SIGN) & MAX_WORD
    if kind is DataType.BOOL:
        return int(value)
    assert column.dictionary is not None
    return column.dictionary.labels().item(int(value))


def label_generation(column: Column) -> int:
    """Rises when the order words of earlier values of the column are no longer true (texts only)."""
    return 0 if column.dictionary is None else column.dictionary.label_generation
