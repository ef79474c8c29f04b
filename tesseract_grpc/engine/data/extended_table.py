"""The rows of another relation, or some of them, with more columns.

An extended table shares the slots of the relation below it, and so its columns, the order of insertion and the keys: a
row is the same slot in both. Its own are only the columns that an operator adds, and which rows are there. So a
computed column over a million rows costs its values and a byte a row, and a row needs no second name.

Slots become free when the relation below says so; whoever follows an extended table must have forgotten what happened
before that (`live/source.py` sees to it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Delta, Slots, Stored, stored_at
from tesseract_grpc.engine.data.index import SecondaryIndex
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema, TableSchema
from tesseract_grpc.engine.data.vector import Batch


class ExtendedTable(Relation):
    """Rows of `base` with the columns `more` behind its own.

    It begins empty; `admit` and `dismiss` say who is there.
    """

    def __init__(
        self,
        name: str,
        base: Relation,
        more: Sequence[ColumnSchema],
        version: int,
        history: HistoryLimits,
        aside: Mapping[str, str] | None = None,
    ) -> None:
        """`aside` gives columns of `base` other names under which they are hidden."""
        self.base = base
        self.keyed_order = base.keyed_order
        self.added = [Column(column) for column in more]
        aside = aside or {}
        below = [
            replace(column, name=aside[column.name], hidden=True) if column.name in aside else column
            for column in base.schema.columns
        ]
        schema = TableSchema(tuple(below), base.schema.order).extended(more)
        super().__init__(name, schema, [*base.columns, *self.added], version, history)
        # Arrays grow where they are, so these stay the arrays of the relation below.
        self.sequence = base.sequence
        self.row_version = base.row_version
        self.make_room()

    def make_room(self) -> None:
        """Grows with the relation below. Call it before reading or writing slots that may be new."""
        capacity = len(self.base.alive)
        if len(self.alive) < capacity:
            self.alive.resize(capacity, refcheck=False)
            for column in self.added:
                column.reserve(capacity)
        self.high_water = self.base.high_water
        self.in_order = self.base.in_order

    def admit(self, slots: Slots) -> None:
        """These rows of the relation below are there from now on; they were not."""
        self.alive[slots] = True
        self.row_count += len(slots)

    def dismiss(self, slots: Slots) -> None:
        """These rows are no longer there; they were. Their columns stay readable."""
        self.alive[slots] = False
        self.row_count -= len(slots)

    def find(self, keys: Batch) -> Slots:
        """The slots of the rows with these keys, -1 where there is none."""
        slots = self.base.find(keys)
        there = (slots >= 0) & (slots < len(self.alive))
        there[there] = self.alive[slots[there]]
        return np.where(there, slots, np.int32(-1))

    def settled_index(self, column: str) -> SecondaryIndex | None:
        """The index of the relation below; what it offers may not be there."""
        return self.base.settled_index(column)

    def memory_bytes(self) -> int:
        """The memory held by what is its own, in bytes."""
        return self.alive.nbytes + sum(column.memory_bytes() for column in self.added)

    def check(self) -> None:
        """Proves the invariants."""
        super().check()
        assert self.sequence is self.base.sequence and self.row_version is self.base.row_version
        assert not (self.alive & ~self.base.alive[: len(self.alive)]).any(), "a row is there that is not there below"


def old_added(table: ExtendedTable, delta: Delta) -> Mapping[int, Stored]:
    """The before-images of rows that leave an extended table because they leave the relation below.

    Where that tells old values it is because the rows are still there, further below, and may come back with others;
    then the added columns, too, would be written over.
    """
    if not delta.removed_before:
        return delta.removed_before
    first = len(table.base.columns)
    images = dict(delta.removed_before)
    images.update((first + index, stored_at(column, delta.removed)) for index, column in enumerate(table.added))
    return images


def root(table: Relation) -> Relation:
    """The relation whose slots a relation shares, in the end."""
    while isinstance(table, ExtendedTable):
        table = table.base
    return table
