"""What a commit asks for and what it did.

A commit is a list of writes, applied in order, to one table or several: all or nothing. Each write is a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.vector import Batch, BoolArray


class WriteKind(Enum):
    """What a write does to its rows."""

    INSERT = "insert"
    UPSERT = "upsert"
    UPDATE = "update"
    DELETE = "delete"
    INCREMENT = "increment"


@dataclass(slots=True)
class Condition:
    """What a row must be before the write; where it is not, the commit is refused, or the row skipped."""

    if_version: int | None = None
    if_absent: bool = False
    if_filter: Hashable | None = None  # a filter of the query language, which this layer only passes on
    skip_unmatched: bool = False


@dataclass(slots=True)
class Write:
    """One batch of writes to one table. `filter` is for DELETE, instead of `rows`."""

    table: str
    kind: WriteKind
    rows: Batch | None = None
    filter: Hashable | None = None
    ignore_missing: bool = False
    must_exist: bool = False
    condition: Condition | None = None


@dataclass(slots=True)
class WriteCounts:
    """What one write did, in rows. `updated` counts rows that were written, whether or not a value changed."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    skipped: int = 0


class RowSelector(Protocol):
    """Finds rows by a filter, for deletes and conditions; the query layer provides it."""

    def rows(self, filter: Any) -> Slots:
        """The slots of all rows for which the filter is true."""

    def matching(self, filter: Any, slots: Slots) -> BoolArray:
        """For which of the rows at `slots` the filter is true."""


SelectorOf = Callable[[Any], RowSelector]
"""From a table to its selector."""


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """What a commit may hold."""

    max_rows_per_table: int = 100_000_000
    max_text_bytes: int = 1 << 20


def last_of_each(slots: Slots) -> np.ndarray[Any, np.dtype[np.intp]] | None:
    """The index of the last row of each slot, ascending; None when all slots differ."""
    if len(slots) < 2 or bool(np.all(slots[1:] > slots[:-1])):
        return None
    backwards = slots[::-1]
    kept, first = np.unique(backwards, return_index=True)
    if len(kept) == len(slots):
        return None
    return np.sort(len(slots) - 1 - first)
