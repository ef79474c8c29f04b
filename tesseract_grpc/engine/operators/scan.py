"""Finding the rows of a table for which a predicate is true: through an index where one helps, else by looking at all.

An index returns candidates, never an answer: the whole predicate is evaluated on them. The best index is the one with
the fewest candidates; one that would bring more than a quarter of the table loses to a pass over the columns, because
gathering costs more than streaming. The index of keys is one of them where a key is a single column.

What filters cost is counted at the tables where they are given here, too (`data/filter_uses.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tesseract_grpc.engine.data.delta import Slots, stored_at
from tesseract_grpc.engine.data.derived_table import DerivedTable
from tesseract_grpc.engine.data.extended_table import root
from tesseract_grpc.engine.data.key_index import key_words
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.operators.predicate import Predicate
from tesseract_grpc.engine.operators.routing_keys import EqualKey, RangeKey, RoutingKey
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.filter_shape import shape_of


class ScanResult:
    """The slots found, ascending; how many rows were examined; which index helped; whether time can change it."""

    __slots__ = ("examined", "index", "slots", "timely")

    def __init__(self, slots: Slots, examined: int, index: str | None) -> None:
        self.slots = slots
        self.examined = examined
        self.index = index
        self.timely = False


def scan(table: Relation, predicate: Predicate, keys: Sequence[RoutingKey], where: Filter | None = None) -> ScanResult:
    """The rows for which the predicate is true. O(candidates), O(n) without an index that helps.

    With `where`, the filter that the predicate was made of, the table counts what it cost.
    """
    base = root(table)
    uses = base.uses
    if where is None or uses is None:
        return _scan(table, predicate, keys)
    begun = uses.stopwatch()
    found = _scan(table, predicate, keys)
    if found.index is not None:
        _count_use(base, found.index)
    uses.note(
        shape_of(where),
        indexed=found.index is not None,
        examined=found.examined,
        returned=len(found.slots),
        nanoseconds=uses.stopwatch() - begun,
    )
    return found


def _count_use(base: Relation, name: str) -> None:
    """An index has brought the candidates."""
    index = base.indexes.get(name)
    if index is not None:
        index.uses += 1
    elif isinstance(base, Table):
        base.keys.uses += 1


def _scan(table: Relation, predicate: Predicate, keys: Sequence[RoutingKey]) -> ScanResult:
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
        slots = _by_key(root(table), key)
        return None if slots is None else (slots, name)
    if isinstance(key, RangeKey):
        if not index.sorted:
            return None
        return index.between(key.low, key.high), name
    return index.equal(key.values), name


def _by_key(base: Relation, key: RoutingKey) -> Slots | None:
    """The rows with these keys, where the column is the whole key of a table; None where it is not. O(values)."""
    if not isinstance(key, EqualKey) or base.schema.key != (key.column,):
        return None
    if not isinstance(base, Table) or isinstance(base, DerivedTable):  # what is derived has other names inside
        return None
    column = base.columns[key.column]
    if column.values.dtype.kind == "f":  # doubles are no keys that clients may give
        return None
    slots = base.keys.find([key_words(column, np.array(key.values, column.values.dtype))])
    return np.unique(slots[slots >= 0])
