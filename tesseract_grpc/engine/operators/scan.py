"""Finding the rows of a table for which a predicate is true: through an index where one helps, else by looking at all.

An index returns candidates, never an answer: the whole predicate is evaluated on them. The best index is the one with
the fewest candidates; one that would bring more than a quarter of the table loses to a pass over the columns, because
gathering costs more than streaming.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tesseract_grpc.engine.data.delta import Slots, stored_at
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.operators.predicate import Predicate
from tesseract_grpc.engine.operators.routing_keys import EqualKey, RangeKey, RoutingKey


class ScanResult:
    """The slots found, ascending; how many rows were examined; which index helped."""

    __slots__ = ("examined", "index", "slots")

    def __init__(self, slots: Slots, examined: int, index: str | None) -> None:
        self.slots = slots
        self.examined = examined
        self.index = index


def scan(table: Relation, predicate: Predicate, keys: Sequence[RoutingKey]) -> ScanResult:
    """The rows for which the predicate is true. O(candidates), O(n) without an index that helps."""
    if predicate.always is False or (keys and keys[0] == EqualKey(keys[0].column, ())):
        return ScanResult(np.empty(0, np.int32), 0, None)
    if predicate.always:
        return ScanResult(table.live_slots(), table.row_count, None)
    best: tuple[Slots, str] | None = None
    for key in keys:
        found = candidates(table, key)
        if found is not None and (best is None or len(found[0]) < len(best[0])):
            best = found
    columns = table.columns
    if best is not None and len(best[0]) < table.row_count // 4 + 64:
        slots = table.present(best[0])
        mask = predicate.mask(lambda p: stored_at(columns[p], slots), len(slots))
        return ScanResult(slots[mask], len(slots), best[1])
    end = table.high_water
    whole = slice(0, end)
    mask = predicate.mask(lambda p: stored_at(columns[p], whole), end)
    if not table.dense:
        mask &= table.alive[:end]
    return ScanResult(np.flatnonzero(mask).astype(np.int32), end, None)


def candidates(table: Relation, key: RoutingKey) -> tuple[Slots, str] | None:
    """What an index over the key's column offers, and the index's name; None where no index can answer."""
    name = table.schema.columns[key.column].name
    index = table.settled_index(name)
    if index is None:
        return None
    if isinstance(key, RangeKey):
        if not index.sorted:
            return None
        return index.between(key.low, key.high), name
    return index.equal(key.values), name
