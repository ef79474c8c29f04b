"""A relation as it was before a change that has been made, as far as an operator that is hydrated over it looks.

It shares everything with the relation but the columns that were written, of which it has copies with the old values,
and the knowledge of which rows there are. Rows that left are still in their slots, because history has not forgotten
them.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Delta, Slots, Stored, stored_at
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.group_keys import GroupKeys


class RelationBefore(Relation):
    """The rows of `relation` before a net change of it. A view: it is true until the relation changes again."""

    def __init__(self, relation: Relation, change: Delta, needed: Collection[int]) -> None:
        """`needed` are the columns that will be read, by position. O(rows) for each of them that was written."""
        columns = list(relation.columns)
        for position in needed:
            if position in change.before or position in change.removed_before:
                columns[position] = _before(relation, change, position)
        super().__init__(relation.name, relation.schema, columns, change.version, relation.changelog.limits)
        self.keyed_order = relation.keyed_order
        self.sequence, self.row_version = relation.sequence, relation.row_version
        self.high_water, self.in_order = relation.high_water, relation.in_order
        self.alive = relation.alive.copy()
        self.alive[change.inserted] = False
        self.alive[change.removed] = True
        self.row_count = relation.row_count - len(change.inserted) + len(change.removed)
        self._relation = relation
        self._removed = change.removed
        self._keys = GroupKeys(self.key_columns)
        numbers = self._numbers([stored_at(column, change.removed) for column in self.key_columns], add=True)
        self._by_number: Slots = np.full(self._keys.count + 1, -1, np.int32)  # the last one is for keys not known
        self._by_number[numbers] = change.removed

    def _numbers(self, keys: list[Stored], *, add: bool = False) -> NDArray[np.int64]:
        return self._keys.numbers(keys, len(keys[0][0]), add=add)

    def find(self, keys: Batch) -> Slots:
        """The slots of the rows with these keys then; -1 where there was none."""
        now = self._relation.find(keys)
        stayed = now >= 0
        stayed[stayed] = self.alive[now[stayed]]
        vectors = [keys.columns[column.schema.name] for column in self.key_columns]
        gone = self._by_number[self._numbers([(vector.values, vector.valid) for vector in vectors])]
        return np.where(stayed, now, gone).astype(np.int32)


def _before(relation: Relation, change: Delta, position: int) -> Column:
    """A copy of a column with its old values."""
    column = copy(relation.columns[position])
    column.values = column.values.copy()
    column.valid = None if column.valid is None else column.valid.copy()
    column.write(change.updated, *change.old_updated(relation, position))
    column.write(change.removed, *change.old_removed(relation, position))
    return column
