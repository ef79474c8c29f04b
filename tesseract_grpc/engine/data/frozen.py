"""Many rows of a table as they are now, to be gathered later, part by part.

Gathering a million rows in the order of a session takes the time of many commits, because it reads the columns in
random order; copying the columns as they lie takes a fifth of it. So a large result is taken by copying the columns,
and whoever reads it gathers as much of it as fits a message, while commits go on in between.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray, Batch, Vector

LARGE = 65_536
"""From so many rows on, copying the columns is worth its memory."""


class FrozenRows(Batch):
    """A batch whose columns are gathered when they are asked for; `slice` and `take` gather only what they return."""

    __slots__ = ("_kept", "_slots", "_stored")

    def __init__(self, table: Relation, slots: AnyArray, positions: Iterable[int]) -> None:
        stop = table.high_water
        self.length = len(slots)
        self._slots = np.array(slots)
        self._kept: dict[str, Vector] | None = None
        self._stored: dict[str, Vector] = {}
        for position in positions:
            column = table.columns[position]
            view = column.read(slice(0, stop))
            valid = None if view.valid is None else view.valid.copy()
            self._stored[column.schema.name] = Vector(view.type, view.values.copy(), valid, view.texts)

    @property
    def columns(self) -> dict[str, Vector]:  # type: ignore[override]  # what is a field there is computed here
        """All columns, gathered on first use. O(cells)."""
        if self._kept is None:
            self._kept = {name: vector.take(self._slots) for name, vector in self._stored.items()}
        return self._kept

    def slice(self, start: int, stop: int) -> Batch:
        """Rows `start` to `stop`, copied. O(cells returned)."""
        return self.take(np.arange(start, min(stop, self.length)))

    def take(self, indexes: AnyArray) -> Batch:
        """The rows at `indexes`, copied. O(cells returned)."""
        slots = self._slots[indexes]
        return Batch(len(slots), {name: vector.take(slots) for name, vector in self._stored.items()})


def read_rows(table: Relation, slots: AnyArray, positions: Iterable[int]) -> Batch:
    """Copies of the rows at `slots`; frozen when they are many and most of the table's."""
    if len(slots) >= LARGE and 3 * len(slots) >= table.high_water:
        return FrozenRows(table, slots, positions)
    return table.batch(slots, positions)
