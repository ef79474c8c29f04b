"""Limits of memory: what a write is asked before it is put into the log.

Whether memory is short is measured, and what is measured (capacities, what a dictionary happens to hold) is no part of
what a hub keeps. So it decides nothing when a record is applied: a write that would be too much is refused before there
is a record of it, and where rows are to leave for it, a record of its own says how many (`Kind.EVICT`).

A write is asked only by how much it would make its table grow: while there are free places a table may be written to,
even above its limit. Measuring costs a look at every column, so it is not done at every write: what was free the last
time is used up by the upper bounds of what came since, and only then is measured again.

Where room is short, the table's recent history is given up first: the places of removed rows wait for it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from google.protobuf.message import Message

from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.data.retention import MemoryLimit
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.table_memory import memory_of
from tesseract_grpc.engine.data.transaction import RowsRefused, Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.writing import BY_SLOT
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.names import of_table

if TYPE_CHECKING:
    from tesseract_grpc.server.host import Host

_ENTRY = 140
"""Bytes that a new text takes beside its own: its object, its place in a list and a dict, and an order label."""
_INDEXED = 24
"""Bytes that a row takes in an index, or in the order in which rows leave."""
_SLACK = 20
"""One row in so many leaves beside those that must, so that the next write does not need the same again."""


@dataclass(slots=True, eq=False)
class _Need:
    """What the writes of one request bring to one table."""

    table: Table
    batches: list[tuple[Batch, bool]] = field(default_factory=list)
    """And whether rows may be new."""
    rows: int = 0
    """How many rows are new, or more."""
    texts: int = 0
    """The bytes of new texts, or more."""
    fresh: set[str] | None = None
    """The new texts, once they have been looked for: then rows and texts are what they are."""

    def estimate(self, payload: int) -> None:
        """The most that it can be; `payload` is the size of the request. O(columns)."""
        schema, columns = self.table.schema, self.table.columns
        cells = sum(
            len(batch)
            for batch, _ in self.batches
            for name in batch.columns
            if name in schema.positions and columns[schema.positions[name]].dictionary is not None
        )
        self.rows = sum(len(batch) for batch, creates in self.batches if creates)
        self.texts = 4 * payload + _ENTRY * cells

    def measure(self, known: set[str]) -> None:
        """What it is: rows whose keys are not found, texts that no row has and that are not `known`. O(cells)."""
        self.rows = sum(_absent(self.table, batch) for batch, creates in self.batches if creates)
        self.fresh = set().union(*(_unknown_texts(self.table, batch) for batch, _ in self.batches)) - known
        self.texts = sum(map(getsizeof, self.fresh)) + _ENTRY * len(self.fresh)


class _Coming:
    """What writes that have been admitted, and are not applied yet, bring to a table."""

    def __init__(self) -> None:
        self.rows = 0
        self.texts = 0
        self.leaving = 0
        """Rows that have been told to leave."""
        self._needs: set[_Need] = set()
        self._known: set[str] = set()
        """The texts of those that have been measured."""

    def add(self, need: _Need) -> None:
        """It has been admitted."""
        self._needs.add(need)
        self.rows += need.rows
        self.texts += need.texts
        self._known |= need.fresh or set()

    def remove(self, need: _Need) -> None:
        """It has been applied, or refused."""
        self._needs.discard(need)
        self.rows -= need.rows
        self.texts -= need.texts
        self._known -= need.fresh or set()

    def measure(self, need: _Need) -> None:
        """Measures what was only estimated, and the next one. O(rows + texts) of those on their way."""
        for each in tuple(self._needs):
            if each.fresh is None:
                self.remove(each)
                each.measure(self._known)
                self.add(each)
        need.measure(self._known)

    def growth(self, need: _Need) -> int:
        """The bytes that the table grows by when one more is admitted. O(columns)."""
        table, rows = need.table, self.rows + need.rows
        aside = rows * _INDEXED * (len(table.indexes) + (table.expiry is not None)) if table.missing_slots(rows) else 0
        return table.growth(rows) + aside + self.texts + need.texts


class Admission:
    """Writes that may be made; what they bring is counted until they have been."""

    def __init__(self, parts: Sequence[tuple[_Coming, _Need]]) -> None:
        self._parts = parts
        for coming, need in parts:
            coming.add(need)

    def until(self, offer: Callable[[], Any]) -> Any:
        """What `offer` returns: the response, or a future of it. Raises what it raises."""
        answer = None
        try:
            answer = offer()
            return answer
        finally:
            if isinstance(answer, asyncio.Future):
                answer.add_done_callback(lambda _: self._over())
            else:
                self._over()

    def _over(self) -> None:
        for coming, need in self._parts:
            coming.remove(need)


class MemoryGuard:
    """The limits of memory of one hub and its tables."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._coming: WeakKeyDictionary[Table, _Coming] = WeakKeyDictionary()
        self._room: WeakKeyDictionary[Table, tuple[MemoryLimit, int]] = WeakKeyDictionary()
        """For each table with a limit the bytes that were free when it was measured, less what may have come since."""
        self._hub_room = 0
        self._swept: WeakKeyDictionary[Table, int] = WeakKeyDictionary()
        """How many rows had been written when history and texts of a table were given up last."""

    def admit(self, writes: Sequence[Write], request: Message) -> Admission | None:
        """Lets the writes of a request pass, when necessary after rows have been told to leave.

        None when no limit concerns them. Raises Refusal with MEMORY_LIMIT. O(writes) without limits, O(columns) with
        one, O(rows + texts) near it.
        """
        limited = self._host.config.hub_memory_limit > 0
        needs: dict[str, _Need] = {}
        for write in writes:
            table = self._host.hub.tables.get(write.table)
            if table is None or write.rows is None or write.kind not in _ADDING:
                continue
            if limited or table.memory_limit is not None:
                need = needs.setdefault(write.table, _Need(table))
                need.batches.append((write.rows, write.kind in _CREATING))
        if not needs:
            return None
        payload = request.ByteSize()
        parts: list[tuple[_Coming, _Need]] = []
        for need in needs.values():
            coming = self._coming.setdefault(need.table, _Coming())
            parts.append((coming, need))
            need.estimate(payload)
            bound = coming.growth(need)
            if need.table.memory_limit is not None:
                self._admit_to_table(need, coming, need.table.memory_limit, bound)
            if limited:
                self._admit_to_hub(need, coming, bound)
        return Admission(parts)

    def _admit_to_table(self, need: _Need, coming: _Coming, limit: MemoryLimit, bound: int) -> None:
        table = need.table
        known, room = self._room.get(table, (None, 0))
        if known is limit and bound <= room:
            self._room[table] = (limit, room - bound)
            return

        def free() -> int:
            return limit.max_bytes - table.memory_bytes()

        self._room[table] = (limit, free() - bound)
        if self._fits(need, coming, free) or (limit.evicts and self._evicted(need, coming, free(), limit.max_bytes)):
            return
        raise _short(
            f"table '{table.name}' takes {table.memory_bytes()} bytes; its memory limit is {limit.max_bytes}",
            of_table(self._host.name, table.name),
            limit.max_bytes,
        )

    def _admit_to_hub(self, need: _Need, coming: _Coming, bound: int) -> None:
        config, table = self._host.config, need.table
        if bound <= self._hub_room:
            self._hub_room -= bound
            return
        self._hub_room = self._hub_free() - bound
        if self._fits(need, coming, self._hub_free):
            return
        gives = table.retention is not None or (table.memory_limit is not None and table.memory_limit.evicts)
        most = config.hub_memory_limit
        if config.hub_memory_policy == "evict" and gives and self._evicted(need, coming, self._hub_free(), most):
            return
        message = f"the tables of hub '{self._host.name}' take {most - self._hub_free()} bytes; its limit is {most}"
        raise _short(message, "", most)

    def _hub_free(self) -> int:
        """O(tables · columns)."""
        return self._host.config.hub_memory_limit - memory_of(self._host.hub.tables.values())

    def _fits(self, need: _Need, coming: _Coming, free: Callable[[], int]) -> bool:
        """Whether there is room; when it must be, after history has been given up, and texts that no row has."""
        if need.fresh is None:
            coming.measure(need)
        if coming.growth(need) <= max(0, free()):
            return True
        hub, table = self._host.hub, need.table
        if self._swept.get(table) == table.changelog.recorded:
            return False  # nothing was written since
        self._swept[table] = table.changelog.recorded
        hub.forget_history(table.name)
        hub.drop_texts(table.name)
        return coming.growth(need) <= max(0, free())

    def _evicted(self, need: _Need, coming: _Coming, free: int, most: int) -> bool:
        """Tells rows to leave so that there is room; False where even that would not be enough."""
        table = need.table
        rows = need.rows + coming.rows - self._room_for(need, coming, free)
        if (short := need.texts + coming.texts - max(0, free)) > 0:
            rows += -(-short * table.row_count // table.memory_bytes())
        if rows <= coming.leaving:
            return True
        rows += table.row_count // _SLACK - coming.leaving
        if need.texts + need.rows * table.slot_bytes > most or rows > table.row_count + coming.rows - coming.leaving:
            return False
        coming.leaving += rows
        answer = self._host.journal.offer(twin.schema.Eviction(table=table.name, rows=rows))
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(lambda _: self._left(coming, rows))
        else:
            self._left(coming, rows)
        return True

    def _room_for(self, need: _Need, coming: _Coming, free: int) -> int:
        """How many of the new rows fit into free places and the bytes that are left. O(columns log rows)."""
        table, most = need.table, need.rows + coming.rows
        left = max(0, free - need.texts - coming.texts)
        return bisect_right(range(1, most + 1), left, key=table.growth)

    def _left(self, coming: _Coming, rows: int) -> None:
        coming.leaving -= rows
        self._room.clear()
        self._hub_room = 0


_ADDING = (WriteKind.INSERT, WriteKind.UPSERT, WriteKind.UPDATE)
_CREATING = (WriteKind.INSERT, WriteKind.UPSERT)


def _absent(table: Table, batch: Batch) -> int:
    """How many rows of a batch have keys that no row has; all, where that cannot be told."""
    names = [column.name for column in table.schema.key_columns]
    if any(name not in batch.columns for name in names):
        return len(batch)
    keys = Batch(len(batch), {name: batch.columns[name] for name in names})
    try:
        slots = Transaction(table, 0, BY_SLOT, CommitLimits()).find(keys)
    except (EngineError, RowsRefused):  # the commit will say so
        return len(batch)
    return int(np.count_nonzero(slots < 0))


def _unknown_texts(table: Table, batch: Batch) -> set[str]:
    """The texts that no row has yet."""
    found: set[str] = set()
    for name, vector in batch.columns.items():
        position = table.schema.positions.get(name)
        if position is None or vector.texts is None:
            continue
        dictionary = table.columns[position].dictionary
        if dictionary is not None and not dictionary.fixed:
            found.update(text for text in vector.texts if text not in dictionary.codes)
    return found


def _short(message: str, resource: str, most: int) -> Refusal:
    return Refusal(
        ServerReason.MEMORY_LIMIT,
        message,
        hint="remove rows, set a retention, or raise the limit",
        resource=resource,
        metadata={"limit": "memory", "maximum": str(most)},
    )
