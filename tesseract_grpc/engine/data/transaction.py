"""Applying the writes of one commit to one table, so that they can be taken back.

Each write is judged as a whole before anything is changed: unknown columns, types, nulls, keys, conditions. Then it is
applied as array operations. What was applied is journalled, because a later write of the same commit may be refused:
`roll_back` undoes the journal from its end, `finish` turns it into one net delta.

A write sees the effect of the writes before it. Conditions are judged against the rows before the write, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tesseract_grpc.engine.data.coerce import BadValues, coerce
from tesseract_grpc.engine.data.commit import CommitLimits, RowSelector, Write, WriteCounts, WriteKind, last_of_each
from tesseract_grpc.engine.data.delta import (
    Delta,
    RemoveReason,
    Slots,
    Stored,
    changed_values,
    column_bit,
    fold,
    stored_at,
)
from tesseract_grpc.engine.data.errors import InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.data.expiry import Expiry
from tesseract_grpc.engine.data.key_index import Words, key_words
from tesseract_grpc.engine.data.retention import Retention
from tesseract_grpc.engine.data.schema import ColumnSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import AnyArray, Batch, BoolArray, Vector


@dataclass(frozen=True, slots=True)
class RowsRefused(Exception):
    """A write was refused because of its rows."""

    rows: Sequence[int]
    column: str
    reason: Reason
    message: str


@dataclass(slots=True)
class _Rows:
    """The rows of one write, judged and ready to be stored."""

    values: dict[int, Stored]
    words: Words
    slots: Slots  # where each row is, -1 where it does not exist
    numbers: NDArray[np.intp] | None = None  # which rows of the request these are; None: all of them, in order

    def take(self, kept: AnyArray) -> _Rows:
        values = {p: (v[kept], None if ok is None else ok[kept]) for p, (v, ok) in self.values.items()}
        numbers = np.arange(len(self.slots)) if self.numbers is None else self.numbers
        return _Rows(values, [word[kept] for word in self.words], self.slots[kept], numbers[kept])

    def named(self, refused: RowsRefused) -> RowsRefused:
        """The same refusal with the rows numbered as in the request."""
        if self.numbers is None:
            return refused
        rows = self.numbers[list(refused.rows)].tolist()
        return RowsRefused(rows, refused.column, refused.reason, refused.message)


class Transaction:
    """The writes of one commit to one table."""

    def __init__(self, table: Table, version: int, selector: RowSelector, limits: CommitLimits) -> None:
        self.table = table
        self.version = version
        self._selector = selector
        self._limits = limits
        self.expired = 0  # rows that left by themselves
        self._journal: list[tuple[Delta, Callable[[], None]]] = []

    def apply(self, write: Write) -> WriteCounts:
        """Applies one write. Raises RowsRefused, InvalidRequest or LimitExceeded, and then has changed nothing."""
        if write.kind is WriteKind.DELETE:
            return self._delete(write)
        batch = write.rows
        if batch is None:
            raise InvalidRequest(Reason.MALFORMED_REQUEST, f"the {write.kind.value} has no rows", field="rows")
        if write.condition is not None and write.condition.if_absent and write.kind not in _CREATING:
            raise InvalidRequest(
                Reason.MALFORMED_REQUEST, "if_absent is for insert and upsert", field="condition.if_absent"
            )
        rows = self._read(batch, intern=write.kind in _CREATING, increment=write.kind is WriteKind.INCREMENT)
        rows, skipped = self._conditions(write, rows)
        missing = 0
        try:
            if write.kind not in _CREATING:
                rows, missing = self._existing(write, rows)
            counts = self._apply_rows(write.kind, rows)
        except RowsRefused as refused:
            raise rows.named(refused) from None
        counts.skipped += skipped + missing
        return counts

    def _apply_rows(self, kind: WriteKind, rows: _Rows) -> WriteCounts:
        if kind is WriteKind.INSERT:
            return self._insert(rows)
        if kind is WriteKind.UPSERT:
            return self._upsert(rows)
        return self._increment(rows) if kind is WriteKind.INCREMENT else self._update(rows)

    def find(self, keys: Batch) -> Slots:
        """The slots of the rows with these keys, -1 where there is none."""
        return self._read(keys, intern=False, keys_only=True).slots

    # Judging

    def _read(self, batch: Batch, *, intern: bool, increment: bool = False, keys_only: bool = False) -> _Rows:
        schema = self.table.schema
        values: dict[int, Stored] = {}
        for name, vector in batch.columns.items():
            position = schema.position(name, field=f"rows.columns[{name[:140]}]")
            column = schema.columns[position]
            if len(vector) != batch.length:
                raise InvalidRequest(
                    Reason.MALFORMED_BATCH,
                    f"column '{name}' holds {len(vector)} values, the batch has {batch.length} rows",
                    field=f"rows.columns[{name}]",
                )
            if column.expression:
                raise InvalidRequest(
                    Reason.NOT_WRITABLE,
                    f"column '{name}' is computed from others and cannot be written",
                    field=f"rows.columns[{name}]",
                )
            if keys_only and not column.primary_key:
                raise InvalidRequest(
                    Reason.NOT_WRITABLE, f"column '{name}' is no key column; a delete takes keys only", field=name
                )
            if increment and not column.primary_key and not column.type.is_number:
                raise InvalidRequest(
                    Reason.WRONG_TYPE, f"column '{name}' is {column.type.name} and cannot be incremented", field=name
                )
            values[position] = self._coerced(position, column, vector, intern=intern, increment=increment)
        missing = [column.name for column in schema.key_columns if column.name not in batch.columns]
        if missing:
            raise InvalidRequest(
                Reason.MISSING_KEY, f"the rows lack the key column '{missing[0]}'", field=f"rows.columns[{missing[0]}]"
            )
        words = [key_words(self.table.columns[p], values[p][0]) for p in schema.key]
        return _Rows(values, words, self.table.located(values, words))

    def _coerced(self, position: int, column: ColumnSchema, vector: Vector, *, intern: bool, increment: bool) -> Stored:
        # New keys come only with inserts and upserts; other columns may bring new texts with any write.
        add = intern or not column.primary_key
        try:
            stored = coerce(
                self.table.columns[position], vector, intern=add, max_text_bytes=self._limits.max_text_bytes
            )
        except BadValues as bad:
            raise RowsRefused(bad.rows, column.name, bad.reason, bad.message) from None
        values, valid = stored
        if valid is not None and valid.all():
            valid = None
        if valid is not None and not column.nullable and not increment | column.primary_key:
            self._refuse(~valid, column.name, Reason.NULL_NOT_ALLOWED, f"column '{column.name}' cannot be null")
        if valid is not None and column.primary_key and not column.derived:
            self._refuse(~valid, column.name, Reason.NULL_KEY, f"the key column '{column.name}' is null")
        return values, valid

    def _refuse(self, bad: BoolArray, column: str, reason: Reason, message: str) -> None:
        if bad.any():
            rows = np.flatnonzero(bad).tolist()
            raise RowsRefused(rows, column, reason, message)

    def _conditions(self, write: Write, rows: _Rows) -> tuple[_Rows, int]:
        condition = write.condition
        if condition is None:
            return rows, 0
        exists = rows.slots >= 0
        met = np.ones(len(exists), np.bool_)
        if condition.if_absent:
            met &= ~exists
        if condition.if_version is not None:
            met &= exists
            met[exists] &= self.table.row_version[rows.slots[exists]] == condition.if_version
        if condition.if_filter is not None:
            met &= exists
            met[exists] &= self._selector.matching(condition.if_filter, rows.slots[exists])
        if met.all():
            return rows, 0
        if not condition.skip_unmatched:
            self._refuse(~met, "", Reason.CONDITION_NOT_MET, "the row does not satisfy the condition of the write")
        return rows.take(met), int(np.count_nonzero(~met))

    def _existing(self, write: Write, rows: _Rows) -> tuple[_Rows, int]:
        missing = rows.slots < 0
        if not missing.any():
            return rows, 0
        if not write.ignore_missing:
            self._refuse(
                missing,
                self.table.schema.key_columns[0].name,
                Reason.KEY_NOT_FOUND,
                f"there is no row with this key in table '{self.table.name}'; use upsert, or set ignore_missing",
            )
        return rows.take(~missing), int(np.count_nonzero(missing))

    # Applying

    def _insert(self, rows: _Rows) -> WriteCounts:
        key = self.table.schema.key_columns[0].name
        self._refuse(
            rows.slots >= 0,
            key,
            Reason.DUPLICATE_KEY,
            f"a row with this key exists in table '{self.table.name}'; use upsert, or the condition if_absent",
        )
        last = _last_of_each_key(rows.words)
        if last is not None:
            twice = np.ones(len(rows.slots), np.bool_)
            twice[last] = False
            self._refuse(twice, key, Reason.DUPLICATE_KEY, "the batch has two rows with this key")
        return self._place(rows)

    def _place(self, rows: _Rows) -> WriteCounts:
        table, count = self.table, len(rows.slots)
        if not count:
            return WriteCounts()
        if table.row_count + count > self._limits.max_rows_per_table:
            raise LimitExceeded(
                Reason.LIMIT_EXCEEDED,
                f"table '{table.name}' would have {table.row_count + count} rows; the limit is "
                f"{self._limits.max_rows_per_table}",
                metadata={"limit": "max_rows_per_table", "maximum": str(self._limits.max_rows_per_table)},
            )
        values = dict(rows.values)
        formulas = table.formulas
        later = () if formulas is None else (*formulas.computed, *formulas.defaults)
        for position, column in enumerate(table.schema.columns):
            if position not in values and position not in later and not column.gone:
                values[position] = self._default(position, column, count)
        if formulas is not None:
            read = values.__getitem__
            wanted = [position for position in formulas.defaults if position not in values]
            values.update(self._judged(lambda: {p: formulas.default(p, read, count) for p in wanted}))
            values.update(self._judged(lambda: formulas.complete(read, count)))
        slots = table.allocate(count)
        table.place(slots, values, self.version)
        self._journal.append((Delta(self.version, inserted=slots), lambda: table.unplace(slots)))
        return WriteCounts(inserted=count)

    def _follow(self, slots: Slots, values: Mapping[int, Stored]) -> Mapping[int, Stored]:
        """What is written to rows, and the computed columns that depend on it. Raises RowsRefused."""
        table, formulas = self.table, self.table.formulas
        if formulas is None:
            return values
        every = dict(values)

        def read(position: int) -> Stored:
            return every[position] if position in every else stored_at(table.columns[position], slots)

        every.update(self._judged(lambda: formulas.follow(set(values), read, len(slots))))
        return every

    def _judged(self, work: Callable[[], dict[int, Stored]]) -> dict[int, Stored]:
        """What expressions give for columns, if the columns can hold it. Raises RowsRefused."""
        try:
            found = work()
        except BadValues as bad:
            raise RowsRefused(bad.rows, "", bad.reason, bad.message) from None
        for position, (_, valid) in found.items():
            column = self.table.schema.columns[position]
            if valid is not None and not column.nullable:
                self._refuse(
                    ~valid, column.name, Reason.NULL_NOT_ALLOWED, f"column '{column.name}' is worked out to null"
                )
        return found

    def tick(self, before_us: int, now_us: int) -> None:
        """The hub's clock has advanced: computed columns that depend on the present are worked out anew, and rows leave
        whose time is over. O(n) with such columns, else O(rows that leave + log n)."""
        table, formulas = self.table, self.table.formulas
        if formulas is not None and formulas.timely:
            slots = table.live_slots()
            self.store(
                slots, self._judged(lambda: formulas.tick(lambda p: stored_at(table.columns[p], slots), len(slots)))
            )
        if table.expiry is not None:
            table.expiry.at_tick(before_us, now_us, self.expire)

    def _default(self, position: int, column: ColumnSchema, count: int) -> Stored:
        stored = self.table.columns[position]
        if column.default is None:
            if column.required:
                raise RowsRefused(
                    range(count),
                    column.name,
                    Reason.NULL_NOT_ALLOWED,
                    f"column '{column.name}' is required and not given",
                )
            return np.zeros(count, stored.values.dtype), np.zeros(count, np.bool_)
        value = column.default
        if stored.dictionary is not None:
            value = stored.dictionary.encode_one(str(value))
        return np.full(count, value, stored.values.dtype), None

    def _upsert(self, rows: _Rows) -> WriteCounts:
        exists = rows.slots >= 0
        fresh = ~exists
        counts = WriteCounts()
        new_rows = None
        if fresh.any():
            new_rows = rows if fresh.all() else rows.take(fresh)
            last = _last_of_each_key(new_rows.words)
            if last is not None:
                new_rows = new_rows.take(last)
        if exists.any():
            counts.updated = self._update(rows if not fresh.any() else rows.take(exists)).updated
        if new_rows is not None:
            try:
                counts.inserted = self._place(new_rows).inserted
            except RowsRefused as refused:  # rows of the request, not of the part that is new
                raise RowsRefused(
                    np.flatnonzero(fresh).tolist(), refused.column, refused.reason, refused.message
                ) from None
        return counts

    def _update(self, rows: _Rows) -> WriteCounts:
        written = len(rows.slots)
        last = last_of_each(rows.slots)
        if last is not None:
            rows = rows.take(last)
        values = {p: stored for p, stored in rows.values.items() if not self.table.schema.columns[p].primary_key}
        self.store(rows.slots, self._follow(rows.slots, values))
        return WriteCounts(updated=written)

    def store(self, slots: Slots, values: Mapping[int, Stored]) -> None:
        """Writes columns of distinct existing rows, and journals what changed."""
        table, version = self.table, self.version
        masks = np.zeros(len(slots), np.uint64)
        images: dict[int, Stored] = {}
        for position, new in values.items():
            column = table.columns[position]
            old = stored_at(column, slots)
            different = changed_values(old, new)
            if different.any():
                images[position] = old
                masks |= different.astype(np.uint64) << np.uint64(column_bit(position).bit_length() - 1)
                column.write(slots, *new)
        if not images:
            return
        touched = masks != 0
        if not touched.all():
            slots, masks = slots[touched], masks[touched]
            images = {p: (v[touched], None if ok is None else ok[touched]) for p, (v, ok) in images.items()}
        old_versions = table.row_version[slots]
        table.row_version[slots] = version
        table.note(images, slots)

        def undo() -> None:
            for position, (stored, valid) in images.items():
                table.columns[position].write(slots, stored, valid)
            table.row_version[slots] = old_versions
            table.note(images, slots)

        self._journal.append((Delta(version, updated=slots, changed=masks, before=images), undo))

    def _increment(self, rows: _Rows) -> WriteCounts:
        written = len(rows.slots)
        # Rows with the same key add up: each round takes the first row that is left of every key.
        left = np.arange(written)
        while left.size:
            _, first = np.unique(rows.slots[left], return_index=True)
            now = left[first]
            left = np.delete(left, first)
            self.store(rows.slots[now], self._follow(rows.slots[now], self._sums(rows, now)))
        return WriteCounts(updated=written)

    def _sums(self, rows: _Rows, now: NDArray[np.intp]) -> dict[int, Stored]:
        slots = rows.slots[now]
        sums: dict[int, Stored] = {}
        for position, (amounts, given) in rows.values.items():
            column = self.table.columns[position]
            if column.schema.primary_key:
                continue
            old, valid = stored_at(column, slots)
            base = old if valid is None else np.where(valid, old, 0)
            add = amounts[now] if given is None else np.where(given[now], amounts[now], 0)
            with np.errstate(invalid="ignore", over="ignore"):
                total = base + add  # inf - inf is NaN, and a float sum may reach infinity: as IEEE 754 says
            if column.type.name == "INT64":
                wrapped = ((base ^ total) & (add ^ total)) < 0
                if wrapped.any():
                    raise RowsRefused(
                        now[wrapped].tolist(),
                        column.schema.name,
                        Reason.INT64_OVERFLOW,
                        f"column '{column.schema.name}': the sum does not fit INT64",
                    )
            else:
                total = np.where(np.isnan(total), np.nan, total + 0.0)
            # A null that nothing is added to stays null.
            present = None if valid is None else (valid | (True if given is None else given[now]))
            sums[position] = (total, None if present is None or present.all() else present)
        return sums

    def _delete(self, write: Write) -> WriteCounts:
        if (write.rows is None) == (write.filter is None):
            raise InvalidRequest(Reason.MALFORMED_REQUEST, "a delete takes either keys or a filter", field="delete")
        skipped = 0
        if write.rows is not None:
            rows, skipped = self._conditions(write, self._read(write.rows, intern=False, keys_only=True))
            missing = rows.slots < 0
            if write.must_exist:
                self._refuse(
                    missing,
                    self.table.schema.key_columns[0].name,
                    Reason.KEY_NOT_FOUND,
                    f"there is no row with this key in table '{self.table.name}'",
                )
            skipped += int(np.count_nonzero(missing))
            slots = np.unique(rows.slots[~missing])
        else:
            slots = self._selector.rows(write.filter)
            if write.condition is not None:
                rows, skipped = self._conditions(write, _Rows({}, [], slots))
                slots = rows.slots
        self.erase(slots)
        return WriteCounts(deleted=len(slots), skipped=skipped)

    def erase(self, slots: Slots, reason: RemoveReason = RemoveReason.DELETED) -> None:
        """Removes the rows at `slots`, which ascend and exist."""
        if not len(slots):
            return
        table = self.table
        table.erase(slots)
        reasons = np.full(len(slots), reason, np.uint8)
        self._journal.append((Delta(self.version, removed=slots, reasons=reasons), lambda: table.unerase(slots)))

    def expire(self, slots: Slots) -> None:
        """Removes rows that leave by themselves; they ascend and exist."""
        self.erase(slots, RemoveReason.EXPIRED)
        self.expired += len(slots)

    def expire_excess(self) -> None:
        """All writes have been applied: the rows leave that are too many. O(rows that leave + log n)."""
        if self.table.expiry is not None:
            self.table.expiry.after_writes(self.expire)

    def evict(self, count: int) -> None:
        """So many rows leave, those that come first by the retention of the table."""
        table, expiry = self.table, self.table.expiry
        if expiry is None or not expiry.ordered:
            expiry = Expiry(table, table.retention or Retention(), evicts=True)
        self.expire(expiry.first(count))

    def placed(self, slots: Slots) -> None:
        """Records rows that the owner of the table has placed itself."""
        table = self.table
        self._journal.append((Delta(self.version, inserted=slots), lambda: table.unplace(slots)))

    # Ending

    def roll_back(self) -> None:
        """Undoes everything that was applied."""
        while self._journal:
            _, undo = self._journal.pop()
            undo()

    def finish(self) -> Delta:
        """The net delta of the commit; the slots of removed rows go into quarantine."""
        gone = [delta.removed for delta, _ in self._journal if len(delta.removed)]
        if gone:
            self.table.retire(self.version, np.concatenate(gone))
        return fold(self.version, [delta for delta, _ in self._journal], self.table)


_CREATING = (WriteKind.INSERT, WriteKind.UPSERT)


def _last_of_each_key(words: Words) -> NDArray[np.intp] | None:
    """The index of the last row of each key, ascending; None when all keys differ. O(n log n), O(n) for rising keys."""
    first = words[0]
    if len(first) < 2 or (len(words) == 1 and bool(np.all(first[1:] > first[:-1]))):
        return None
    order = np.lexsort(words[::-1])
    same = np.ones(len(first) - 1, np.bool_)
    for word in words:
        ordered = word[order]
        same &= ordered[1:] == ordered[:-1]
    if not same.any():
        return None
    # lexsort is stable: within one key the rows stand in the order of the batch, and the last has no equal after it.
    return np.sort(order[np.append(~same, True)])
