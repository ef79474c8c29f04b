"""A table: rows in slots.

The key index leads from a key to its slot.

A slot that a removed row left is not used again until the changelog has forgotten the removal: until then its columns
stay readable as the row's last values, and a slot number means one row to everybody who reads history. So removing a
row copies nothing.

The table only stores. `transaction.py` decides what a commit does to it, `changelog.py` remembers what was done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Slots, Stored
from tesseract_grpc.engine.data.expiry import Expiry
from tesseract_grpc.engine.data.formulas import Formulas
from tesseract_grpc.engine.data.index import SecondaryIndex
from tesseract_grpc.engine.data.key_index import KeyIndex, Words, key_words
from tesseract_grpc.engine.data.layout import Layout
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.retention import MemoryLimit, Retention
from tesseract_grpc.engine.data.schema import IndexSchema, TableSchema
from tesseract_grpc.engine.data.vector import AnyArray, Batch

_SMALLEST = 64


class Table(Relation):
    """Rows by primary key."""

    def __init__(self, name: str, schema: TableSchema, version: int, history: HistoryLimits) -> None:
        super().__init__(name, schema, [Column(column) for column in schema.columns], version, history)
        self.keys = KeyIndex(self.key_columns)
        self.next_sequence = 0
        self.formulas: Formulas | None = None  # what works out its computed columns, if it has any
        self.retention: Retention | None = None
        self.memory_limit: MemoryLimit | None = None
        self.expiry: Expiry | None = None  # what finds the rows that leave by themselves
        self.born: dict[int, int] = {}
        """Of columns that came by an alteration: its version, before which nobody can say what is in them."""
        self.dropped: dict[int, int] = {}
        """Of positions whose column is gone: the version, up to which history may still speak of it."""
        self._quarantine: deque[tuple[int, Slots]] = deque()
        self._waiting_bytes = 0
        self._free: Slots = np.empty(0, np.int32)
        self._reserve(_SMALLEST)  # so that any slot number can be read, also the marks below zero of the key index

    # Slots

    def allocate(self, count: int) -> Slots:
        """Slots for new rows: free ones first, then new ones. O(count) amortised."""
        reused = self._free[len(self._free) - min(count, len(self._free)) :]
        if len(reused):
            self._free = self._free[: len(self._free) - len(reused)]
            self.in_order = False
        fresh = count - len(reused)
        start = self.high_water
        if start + fresh > len(self.alive):
            self._reserve(start + fresh)
        self.high_water += fresh
        slots = np.arange(start, start + fresh, dtype=np.int32)
        return np.concatenate((reused, slots)) if len(reused) else slots

    def _reserve(self, least: int) -> None:
        capacity = self._capacity_for(least)
        for column in self.columns:
            column.reserve(capacity)
        for array in (self.sequence, self.row_version, self.alive):
            array.resize(capacity, refcheck=False)

    def _capacity_for(self, least: int) -> int:
        """How many slots it gets when it needs so many: a quarter more than it had, and less near its memory limit."""
        have = len(self.alive)
        wanted = max(_SMALLEST, have + (have >> 2))
        if self.memory_limit is not None and have:
            room = self.memory_limit.max_bytes - self.memory_bytes()
            wanted = min(wanted, have + max(0, room) // self.slot_bytes)
        return max(_SMALLEST, least, wanted)

    @property
    def slot_bytes(self) -> int:
        """What one more slot takes."""
        columns = sum(c.values.itemsize + (c.valid is not None) for c in self.columns)
        return columns + self.sequence.itemsize + self.row_version.itemsize + self.alive.itemsize

    def missing_slots(self, rows: int) -> int:
        """How many of so many new rows have no slot yet. O(1)."""
        return max(0, rows - len(self._free) - (len(self.alive) - self.high_water))

    def growth(self, rows: int) -> int:
        """The bytes by which so many new rows would make slots and keys grow. O(columns)."""
        grown = self.keys.growth(rows)
        if missing := self.missing_slots(rows):
            grown += (self._capacity_for(len(self.alive) + missing) - len(self.alive)) * self.slot_bytes
        return grown

    @property
    def free(self) -> Slots:
        """The slots that hold no row, nor anything that history tells of."""
        return self._free

    @property
    def waiting(self) -> bool:
        """Whether there are slots that become free when history forgets."""
        return bool(self._quarantine)

    def release(self) -> None:
        """Frees the slots of rows whose removal history has forgotten. O(freed)."""
        freed: list[Slots] = []
        while self._quarantine and self._quarantine[0][0] <= self.changelog.since:
            freed.append(self._quarantine.popleft()[1])
            self._waiting_bytes -= freed[-1].nbytes
        if freed:
            fresh = np.concatenate(freed)
            self._free = np.concatenate((fresh, self._free))
            for column in self.columns:
                if column.dictionary is not None and not column.dictionary.fixed:
                    column.values[fresh] = 0  # it holds no text that may be let go

    # Rows

    def place(self, slots: Slots, values: Mapping[int, Stored], version: int) -> None:
        """Stores new rows; `values` has every column. The caller guarantees that their keys are distinct and absent."""
        where: Slots | slice = slots
        if len(slots) and int(slots[-1]) - int(slots[0]) + 1 == len(slots) and self.in_order:
            where = slice(int(slots[0]), int(slots[-1]) + 1)
        for position, (stored, valid) in values.items():
            self.columns[position].write(where, stored, valid)
        count = len(slots)
        self.sequence[where] = np.arange(self.next_sequence, self.next_sequence + count)
        self.row_version[where] = version
        self.alive[where] = True
        self.next_sequence += count
        self.row_count += count
        self.keys.add(self.key_words_at(slots), slots)
        for index in self.indexes.values():
            index.note(slots)
        if self.expiry is not None:
            self.expiry.came(slots)

    def unplace(self, slots: Slots) -> None:
        """Undoes `place`: the slots hold no row again and are free."""
        self.keys.remove(self.key_words_at(slots), slots)
        self.alive[slots] = False
        self.row_count -= len(slots)
        self.next_sequence -= len(slots)
        if np.array_equal(slots, np.arange(self.high_water - len(slots), self.high_water)):
            self.high_water -= len(slots)  # they were all new: as if they had never been
        else:
            self._free = np.concatenate((self._free, slots))

    def erase(self, slots: Slots) -> None:
        """Removes rows; their columns stay readable. `retire` must follow when the commit stands."""
        self.keys.remove(self.key_words_at(slots), slots)
        self.alive[slots] = False
        self.row_count -= len(slots)

    def unerase(self, slots: Slots) -> None:
        """Undoes `erase`."""
        self.keys.add(self.key_words_at(slots), slots)
        self.alive[slots] = True
        self.row_count += len(slots)
        for index in self.indexes.values():  # it may have been asked meanwhile, and have dropped them
            index.note(slots)
        if self.expiry is not None:
            self.expiry.came(slots)

    def retire(self, version: int, slots: Slots) -> None:
        """Puts the slots of erased rows aside until history has forgotten `version`."""
        if len(slots):
            self._quarantine.append((version, slots))
            self._waiting_bytes += slots.nbytes

    def note(self, positions: Iterable[int], slots: AnyArray) -> None:
        """Tells the indexes over these columns, and what orders rows by them, which rows were written."""
        if self.indexes or self.expiry is not None:
            written = set(positions)
            for index in self.indexes.values():
                if index.position in written:
                    index.note(slots)
            if self.expiry is not None:
                self.expiry.note(written, slots)

    # Alteration

    @property
    def layout(self) -> Layout:
        """What its columns are."""
        indexes = {name: (index, index.schema) for name, index in self.indexes.items()}
        return Layout(self.schema, tuple(self.columns), self.keys, indexes, self.formulas)

    def assume(self, layout: Layout) -> None:
        """Its columns are these from here on; rows keep their slots. O(columns). The caller sees to all who read it."""
        schema = self.schema = layout.schema
        self.columns[:] = layout.columns
        for column, described in zip(self.columns, schema.columns, strict=True):
            column.schema = described
        self.key_columns = [self.columns[position] for position in schema.key]
        self.keys = layout.keys
        self.indexes = {}
        for name, (index, described_so) in layout.indexes.items():
            index.schema = described_so
            self.indexes[name] = index
        self.formulas = layout.formulas
        self._shared_row = (-1, -1, {})

    # Keys

    def key_words_at(self, slots: AnyArray) -> list[NDArray[np.int64]]:
        """The key words of rows."""
        return [key_words(column, column.values[slots]) for column in self.key_columns]

    def find(self, keys: Batch) -> Slots:
        """The slots of the rows with these keys, whose texts are codes of the key columns; -1 where there is none."""
        return self.keys.find([key_words(c, keys.columns[c.schema.name].values) for c in self.key_columns])

    def located(self, values: Mapping[int, Stored], words: Words) -> Slots:
        """The same, given the stored values of key columns by position, and their words."""
        del values  # the words say it all
        return self.keys.find(words)

    # Indexes and upkeep

    def set_index(self, schema: IndexSchema) -> None:
        """Builds a secondary index. O(n log n)."""
        position = self.schema.position(schema.column)
        index = SecondaryIndex(schema, self.columns[position], position)
        index.build(self.live_slots())
        self.indexes[schema.column] = index

    @property
    def timely(self) -> bool:
        """Whether rows change or leave with time."""
        computed = self.formulas is not None and self.formulas.timely
        return computed or (self.retention is not None and self.retention.at_ticks)

    def set_retention(self, retention: Retention | None, memory_limit: MemoryLimit | None) -> None:
        """Says which rows leave by themselves from now on; both have been checked. O(n log n) where rows may leave."""
        self.retention, self.memory_limit = retention, memory_limit
        evicts = memory_limit is not None and memory_limit.evicts
        self.expiry = Expiry(self, retention or Retention(), evicts) if retention is not None or evicts else None

    def memory_bytes(self) -> int:
        """The memory held by columns, indexes, keys and rows, in bytes; not that of history."""
        columns = sum(column.memory_bytes() for column in self.columns)
        indexes = sum(index.memory_bytes() for index in self.indexes.values())
        return columns + indexes + self.keys.memory_bytes() + self.row_bytes()

    def row_bytes(self) -> int:
        """The memory of what belongs to rows and to no column, in bytes. O(1) amortised."""
        order = self.sequence.nbytes + self.row_version.nbytes + self.alive.nbytes
        return order + self._free.nbytes + self._waiting_bytes + (self.expiry.memory_bytes() if self.expiry else 0)

    def check(self) -> None:
        """Proves the invariants of the table and of all that it holds."""
        super().check()
        live = np.flatnonzero(self.alive[: self.high_water]).astype(np.int32)
        assert not len(live) or int(self.sequence[live].max()) < self.next_sequence
        self.keys.check(live)
        waiting = [slots for _, slots in self._quarantine]
        idle = np.concatenate([self._free, *waiting]) if waiting else self._free
        assert len(np.unique(idle)) == len(idle), "a slot is free twice"
        assert not self.alive[idle].any(), "a free slot holds a row"
        assert len(idle) + len(live) == self.high_water, "a slot is neither free nor held"
        for index in self.indexes.values():
            index.check(self.alive)
        if self.expiry is not None:
            self.expiry.check()
