"""What both sides of a migration must agree on: the number of rows, and for every column a sum.

A row's value of a column is hashed together with the row's key, and the hashes are added, modulo 2^64. So the order of
the rows makes no difference, a value that has moved to another row does, and the sums of parts can be added. What is
hashed is what the hub keeps: integers, the bits of doubles (one NaN, no negative zero), microseconds, and the bytes of
texts. These sums find mistakes; they are no protection against somebody who wants to make two tables look equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.batch import Block
from ..core.datatype import FLOAT64, TEXT_TYPES, UNSPECIFIED
from ..core.vector import Vector

Hashes = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_NULL = np.uint64(0x6E756C6C)
_MASK = 2**64 - 1


def mix(values: Hashes) -> Hashes:
    """Splitmix64: every bit of the input moves every bit of the result."""
    mixed = values + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    found: Hashes = mixed ^ (mixed >> np.uint64(31))
    return found


def hashes_of_texts(texts: Sequence[str]) -> Hashes:
    """64 bits of each text. Most of the time that a checksum takes goes here."""
    blake = hashlib.blake2b
    found = b"".join([blake(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts])
    return np.frombuffer(found, np.dtype("<u8")).astype(np.uint64, copy=False)


def hashes_of(vector: Vector, name: str) -> Hashes:
    """One hash for each value of a column. O(rows), and for texts O(distinct texts)."""
    salt = hashes_of_texts([name])[0]
    length = len(vector)
    if vector.type == UNSPECIFIED:
        raw = np.zeros(length, np.uint64)
    elif vector.type in TEXT_TYPES:
        known = hashes_of_texts(vector.texts)
        raw = known[vector.values] if len(known) else np.zeros(length, np.uint64)
    elif vector.type == FLOAT64:
        plain = vector.values.astype(np.float64, copy=False) + 0.0  # no negative zero
        raw = np.where(np.isnan(plain), np.nan, plain).view(np.uint64)
    else:
        raw = vector.values.astype(np.int64).view(np.uint64)
    found = mix(raw ^ salt)
    if vector.valid is not None:
        found = np.where(vector.valid, found, mix(np.full(length, _NULL ^ salt, np.uint64)))
    return found


def key_hashes(block: Block, key: Sequence[str]) -> Hashes:
    """One hash for the key of each row."""
    found = np.zeros(len(block), np.uint64)
    for name in key:
        found = mix(found ^ hashes_of(block.columns[name], name))
    return found


def cell_hashes(block: Block, key: Sequence[str]) -> dict[str, Hashes]:
    """One hash for each cell, bound to the key of its row; those of the key columns say whose row it is."""
    keys = key_hashes(block, key)
    return {name: mix(keys ^ hashes_of(vector, name)) for name, vector in block.columns.items()}


@dataclass(slots=True)
class Checksum:
    """A count, and a sum for each column."""

    count: int = 0
    columns: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, block: Block, key: Sequence[str]) -> Checksum:
        """That of some rows. O(cells)."""
        sums = {name: int(hashes.sum(dtype=np.uint64)) for name, hashes in cell_hashes(block, key).items()}
        return cls(len(block), sums)

    def add(self, other: Checksum) -> None:
        """Makes it that of both."""
        self.count += other.count
        for name, value in other.columns.items():
            self.columns[name] = (self.columns.get(name, 0) + value) & _MASK

    def differing(self, other: Checksum) -> list[str]:
        """The columns that differ."""
        names = {**self.columns, **other.columns}
        return [name for name in names if self.columns.get(name, 0) != other.columns.get(name, 0)]

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {"count": self.count, "columns": {name: f"{value:016x}" for name, value in self.columns.items()}}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> Checksum:
        """From a file."""
        return cls(int(given["count"]), {name: int(value, 16) for name, value in given["columns"].items()})
