"""Which rows of a table leave next, by its retention.

Rows are kept in queues by what decides when they leave (`row_queue.py`): by age, and by the order in which they leave
when there are too many: nulls first, then rising values, rows of equal value as they came. Where both are the same
column they are one queue. What the queues tell follows from the rows, the retention and the hub's clock alone, so a
history replays to the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import NO_SLOTS, Slots
from tesseract_grpc.engine.data.order import MAX_WORD, SIGN, Words, label_generation, order_words
from tesseract_grpc.engine.data.retention import Retention
from tesseract_grpc.engine.data.row_queue import RowQueue
from tesseract_grpc.engine.data.schema import INT64_MIN
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray

if TYPE_CHECKING:
    from tesseract_grpc.engine.data.table import Table

Erase = Callable[[Slots], None]
"""Removes rows, which ascend and exist."""


class Expiry:
    """The rows of one table in the order in which they leave."""

    def __init__(self, table: Table, retention: Retention, evicts: bool) -> None:
        """Reads all rows; `evicts` says that rows may have to leave for another reason. O(n log n)."""
        self.retention = retention
        self._table = table
        self._queues: list[tuple[int, RowQueue]] = []
        """With the position of the column that they follow; -1 where they follow none."""
        self._ages: RowQueue | None = None
        self._order: list[RowQueue] = []
        """What leaves when there are too many: all of the first, then of the next."""
        if retention.max_age_us:
            self._ages = self._values(table.schema.positions[retention.age_column])
        if not (retention.max_records or evicts):
            return
        if not retention.order:
            self._order.append(self._by_sequence(-1, lambda slots: None))
            return
        position = table.schema.positions[retention.order]
        if table.columns[position].schema.nullable:
            column = table.columns[position]
            self._order.append(self._by_sequence(position, lambda slots: _nulls(column, slots)))
        shared = self._ages is not None and retention.order == retention.age_column
        self._order.append(self._ages if shared and self._ages is not None else self._values(position))

    def _values(self, position: int) -> RowQueue:
        """The rows that have a value, by it."""
        column = self._table.columns[position]

        def read(slots: AnyArray) -> tuple[Words, BoolArray | None]:
            return order_words(column, column.values[slots]), None if column.valid is None else column.valid[slots]

        queue = RowQueue(self._table, read, lambda: label_generation(column))
        self._queues.append((position, queue))
        return queue

    def _by_sequence(self, position: int, belong: Callable[[AnyArray], BoolArray | None]) -> RowQueue:
        """Rows as they came."""
        table = self._table

        def read(slots: AnyArray) -> tuple[Words, BoolArray | None]:
            return table.sequence[slots].view(np.uint64), belong(slots)

        queue = RowQueue(table, read, by_sequence=True)
        self._queues.append((position, queue))
        return queue

    # Writing

    def came(self, slots: AnyArray) -> None:
        """New rows. O(n)."""
        for _, queue in self._queues:
            queue.note(slots)

    def note(self, positions: Collection[int], slots: AnyArray) -> None:
        """These columns of rows were written. O(n)."""
        for position, queue in self._queues:
            if position in positions:
                queue.note(slots)

    def note_one(self, positions: Collection[int], slot: int) -> None:
        """The same for one row."""
        for position, queue in self._queues:
            if position in positions:
                queue.note_one(slot)

    # Leaving

    def after_writes(self, erase: Erase) -> None:
        """The rows leave that are too many after a commit. O(rows log rows + log n) amortised."""
        if self.retention.max_records and not self.retention.interval_us:
            self._too_many(erase)

    def at_tick(self, before_us: int, now_us: int, erase: Erase) -> None:
        """The rows leave that time has made too old, or whose turn it is. O(rows log rows + log n) amortised."""
        retention = self.retention
        if not retention.at_ticks or not retention.due(before_us, now_us):
            return
        if self._ages is not None:
            bound = max(INT64_MIN, now_us - retention.max_age_us)
            old = self._ages.below((bound + SIGN) & MAX_WORD)
            if len(old):
                erase(old)
        if retention.max_records and retention.interval_us:
            self._too_many(erase)

    def _too_many(self, erase: Erase) -> None:
        excess = self._table.row_count - self.retention.max_records
        if excess > 0:
            erase(self.first(excess))

    def first(self, count: int) -> Slots:
        """Takes the rows that leave first, ascending; whoever asks must remove them in the same commit."""
        found: list[Slots] = []
        for queue in self._order:
            if count > 0:
                found.append(queue.first(count))
                count -= len(found[-1])
        if len(found) < 2:
            return found[0] if found else NO_SLOTS
        return np.sort(np.concatenate(found))

    @property
    def ordered(self) -> bool:
        """Whether it is known which rows leave first when there are too many."""
        return bool(self._order)

    @property
    def examined(self) -> int:
        """Entries that were looked at for finding the rows that leave."""
        return sum(queue.examined for _, queue in self._queues)

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""
        return sum(queue.memory_bytes() for _, queue in self._queues)

    def check(self) -> None:
        """Proves the invariants of the queues."""
        for _, queue in self._queues:
            queue.check()


def _nulls(column: Column, slots: AnyArray) -> BoolArray:
    return np.zeros(len(slots), np.bool_) if column.valid is None else ~column.valid[slots]
