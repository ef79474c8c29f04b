"""Net change by row identity: what a slow reader is owed.

A reader that keeps up is served from history, where a slot means one row. When history is about to be forgotten under a
reader's feet, what it is owed is folded into a `Debt`: one entry a row, named by the row's place in the order of
insertion, which is never given twice. An entry says whether the reader has the row, whether the row is in the result
now, which columns may differ, and keeps the values that the reader must be told when the row is gone (its key, or on
request all its old values). Rows that came and went in the meantime are nothing. So a debt is bounded by what the
reader has plus what there is, however far it lags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.delta import ALL_COLUMNS, Delta, Slots, Stored, join_stored, stored_at
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray, Vector


@dataclass(slots=True, eq=False)
class Debt:
    """Net change by row; all arrays have one entry a row, by rising `sequence`."""

    sequence: NDArray[np.int64]
    slots: Slots  # where the row is, if it is in the result now
    was: BoolArray  # whether the reader has the row
    now: BoolArray  # whether the row is in the result
    changed: NDArray[np.uint64]
    reasons: NDArray[np.uint8]
    image: Batch  # the row as the reader has it, in the columns that it must be told of rows that are gone

    @classmethod
    def of(cls, delta: Delta, table: Relation, positions: Sequence[int]) -> Debt:
        """A delta by row identity. The caller guarantees that every slot of it still means the same row."""
        slots = np.concatenate((delta.inserted, delta.removed, delta.updated))
        counts = (len(delta.inserted), len(delta.removed), len(delta.updated))
        order = np.argsort(table.sequence[slots], kind="stable")
        return cls(
            table.sequence[slots][order],
            slots[order],
            np.repeat([False, True, True], counts)[order],
            np.repeat([True, False, True], counts)[order],
            np.concatenate((np.full(counts[0] + counts[1], ALL_COLUMNS), delta.changed))[order],
            np.concatenate((np.zeros(counts[0], np.uint8), delta.reasons, np.zeros(counts[2], np.uint8)))[order],
            old_rows(delta, table, positions).take(order),
        )

    def then(self, later: Debt) -> Debt:
        """This change and then a later one. O(n log n)."""
        sequence = np.concatenate((self.sequence, later.sequence))
        order = np.argsort(sequence, kind="stable")
        sequence = sequence[order]
        first = np.flatnonzero(np.concatenate(([True], sequence[1:] != sequence[:-1]))) if len(sequence) else order
        last = np.concatenate((first[1:], [len(sequence)]))[: len(first)] - 1
        was = np.concatenate((self.was, later.was))[order][first]
        now = np.concatenate((self.now, later.now))[order][last]
        changed = np.concatenate((self.changed, later.changed))[order]
        merged = np.bitwise_or.reduceat(changed, first) if len(first) else changed
        kept = np.flatnonzero(was | now)
        first, last = order[first[kept]], order[last[kept]]
        return Debt(
            np.concatenate((self.sequence, later.sequence))[first],
            np.concatenate((self.slots, later.slots))[last],
            was[kept],
            now[kept],
            merged[kept],
            np.concatenate((self.reasons, later.reasons))[last],
            _join(self.image, later.image).take(first),
        )

    def __len__(self) -> int:
        return len(self.sequence)


def old_rows(delta: Delta, table: Relation, positions: Sequence[int]) -> Batch:
    """The rows of a delta (inserted, removed, updated) as they were; inserted ones as they are."""
    columns: dict[str, Vector] = {}
    for position in positions:
        column = table.columns[position]
        stored: Stored = join_stored(stored_at(column, delta.inserted), delta.old_removed(table, position))
        stored = join_stored(stored, delta.old_updated(table, position))
        columns[column.schema.name] = column.vector(*stored)
    return Batch(len(delta), columns)


def _join(first: Batch, second: Batch) -> Batch:
    joined: dict[str, Vector] = {}
    for name, mine in first.columns.items():
        theirs = second.columns[name]
        values: AnyArray
        if mine.texts is not theirs.texts:  # texts have been let go in between, and codes may have been given again
            mine, theirs = _side_by_side(mine, theirs)
        values, valid = join_stored((mine.values, mine.valid), (theirs.values, theirs.valid))
        joined[name] = Vector(mine.type, values, valid, theirs.texts)
    return Batch(first.length + second.length, joined)


def _side_by_side(first: Vector, second: Vector) -> tuple[Vector, Vector]:
    """Two vectors of texts over one list of just the texts that they have. O(n log n)."""
    assert first.texts is not None and second.texts is not None
    texts: list[str] = []
    both: list[tuple[AnyArray, BoolArray | None]] = []
    for vector in (first, second):
        used, places = np.unique(vector.values, return_inverse=True)
        both.append(((places + len(texts)).astype(np.int32), vector.valid))
        assert vector.texts is not None
        known = vector.texts or [""]  # nulls alone have codes of no text
        texts.extend(known[code] for code in used.tolist())
    return Vector(first.type, *both[0], texts), Vector(first.type, *both[1], texts)
