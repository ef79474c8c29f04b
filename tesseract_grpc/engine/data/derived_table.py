"""A table whose rows an operator derives.

Its rows are named by a number that the operator chooses and keeps for good, because what makes them one row (the values
that a group has in common) may be null or a double, which no client may use as a key. Everything else is a table:
columns, slots, history, readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Slots, Stored
from tesseract_grpc.engine.data.key_index import KeyIndex, Words
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import AnyArray, Batch

Numbers = NDArray[np.int64]


class DerivedTable(Table):
    """Rows by number."""

    keyed_order = True

    def __init__(
        self,
        name: str,
        schema: TableSchema,
        version: int,
        history: HistoryLimits,
        number_of: Callable[[Batch], Numbers],
    ) -> None:
        """`number_of` tells the numbers of rows, given what names them to a client; -1 for rows that never were."""
        self._numbers = Column(ColumnSchema("number", DataType.INT64))
        self._number_of = number_of
        super().__init__(name, schema, version, history)
        self.keys = KeyIndex([self._numbers])

    def _reserve(self, least: int) -> None:
        super()._reserve(least)
        self._numbers.reserve(len(self.alive))

    def row_bytes(self) -> int:
        """The memory of what belongs to rows and to no column that is shown, in bytes."""
        return super().row_bytes() + self._numbers.memory_bytes()

    def place_rows(self, numbers: Numbers, values: Mapping[int, Stored], version: int) -> Slots:
        """Stores new rows under numbers that are distinct and absent; returns their slots."""
        slots = self.allocate(len(numbers))
        self._numbers.values[slots] = numbers
        self.place(slots, values, version)
        return slots

    def slots_of(self, numbers: Numbers) -> Slots:
        """The slots of rows, -1 where there is none."""
        return self.keys.find([numbers])

    def key_words_at(self, slots: AnyArray) -> list[NDArray[np.int64]]:
        """The numbers of rows."""
        return [self._numbers.values[slots]]

    def located(self, values: Mapping[int, Stored], words: Words) -> Slots:
        """The same, given the stored values of key columns by position. Rows have other names inside."""
        columns = [self.columns[position] for position in self.schema.key]
        stored = [values[position] for position in self.schema.key]
        vectors = {c.schema.name: c.vector(*each) for c, each in zip(columns, stored, strict=True)}
        return self.find(Batch(len(stored[0][0]), vectors))

    def find(self, keys: Batch) -> Slots:
        """The slots of the rows that clients name so, -1 where there is none."""
        return self.slots_of(self._number_of(keys))
