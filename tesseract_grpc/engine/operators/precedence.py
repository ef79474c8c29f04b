"""Which of several rows counts as the first: the order in which a relation has its rows when nobody asks for another.

That is the order of insertion, but what is derived by groups, joins and unions was not inserted in an order that a
fresh evaluation would repeat, and stands in the order of its keys.
"""

from __future__ import annotations

import numpy as np

from tesseract_grpc.engine.data.delta import Slots
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.vector import AnyArray
from tesseract_grpc.engine.operators.sort_words import SortWords
from tesseract_grpc.engine.query.sort_key import SortKey


class Precedence:
    """Finds the first row of each of several sets."""

    def __init__(self, relation: Relation) -> None:
        keys = [SortKey(column.name) for column in relation.schema.key_columns] if relation.keyed_order else []
        self._words = SortWords(relation, keys)

    def first_of_each(self, sets: AnyArray, slots: Slots) -> tuple[AnyArray, Slots]:
        """The sets, ascending, and the first row of each; row by row `sets` says of which it is. O(n log n)."""
        order = np.lexsort((*self._words.rest(slots)[::-1], self._words.first_now(slots), sets))
        ordered = sets[order]
        first = np.ones(len(ordered), np.bool_)
        first[1:] = ordered[1:] != ordered[:-1]
        return ordered[first], slots[order[first]]
