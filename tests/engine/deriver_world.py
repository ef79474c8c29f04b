"""Derivers under the contract: every step of a random history is driven through one and judged.

`CheckedDeriver` wraps a deriver over tables. For each commit it proves that the output is net and consistent with what
was delivered before, that its before-images are the values that were there, that what it derives is what a fresh
deriver gives, that the arrays of the input are left alone, and that one row told alone does what it does in a batch.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import ChangeKind, Delta, RowChange, row_change
from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import AnyArray, Batch
from tesseract_grpc.engine.operators.contract import Deriver
from tesseract_grpc.engine.operators.filter import as_delta
from tesseract_grpc.engine.operators.writing import BY_SLOT

Row = dict[str, Scalar]
Domain = Mapping[str, Sequence[Scalar]]


def table(name: str, limits: HistoryLimits, **columns: DataType) -> Table:
    """A table whose first column is its key."""
    first = next(iter(columns))
    made = [ColumnSchema(column, kind, primary_key=column == first) for column, kind in columns.items()]
    return Table(name, TableSchema(tuple(made)), 0, limits)


def random_write(choose: random.Random, table: Table, domain: Domain) -> Write:
    """An upsert, an update of some columns or a delete of a few keys."""
    key = table.schema.columns[0].name
    keys = choose.sample(list(domain[key]), choose.choice((1, 1, 1, 2, 4)))
    if choose.random() < 0.25:
        return Write(table.name, WriteKind.DELETE, Batch.of_rows(table.schema.columns, [{key: k} for k in keys]))
    others = [column.name for column in table.schema.columns[1:]]
    names = choose.sample(others, choose.randint(1, len(others)))
    kind = choose.choice((WriteKind.UPSERT, WriteKind.UPSERT, WriteKind.UPDATE))
    rows = [{key: k, **{name: choose.choice(domain[name]) for name in names}} for k in keys]
    return Write(table.name, kind, Batch.of_rows(table.schema.columns, rows), ignore_missing=True)


def rows_of(relation: Relation) -> list[Row]:
    """The rows of a relation, in the order of its keys' texts."""
    rows = relation.batch(relation.live_slots(), range(len(relation.columns))).to_rows()
    names = [column.name for column in relation.schema.key_columns]
    return sorted(rows, key=lambda row: repr([row[name] for name in names]))


class CheckedDeriver:
    """A deriver over tables, with the contract asserted at every step."""

    def __init__(self, make: Callable[[], Deriver], oracle: Callable[[], list[Row]]) -> None:
        self.make = make
        self.oracle = oracle
        self.deriver = make()
        self.deriver.hydrate(0)
        self.held = self._image()
        self.alone = 0
        self.compare()

    def _image(self) -> dict[int, tuple[Any, ...]]:
        table = self.deriver.table
        return {slot: self._row(slot) for slot in table.live_slots().tolist()}

    def _row(self, slot: int) -> tuple[Any, ...]:
        return tuple(repr(column.value(slot)) for column in self.deriver.table.columns)

    def follow(self, deltas: Mapping[str, Delta], version: int) -> None:
        """One commit, told by the deltas of the tables that it changed."""
        changes: list[Delta] = []
        single: list[tuple[int, ChangeKind, RowChange]] = []
        for which, source in enumerate(self.deriver.inputs):
            delta = deltas.get(source.table.name, Delta(version))
            one = row_change(delta)
            if one is None:
                changes.append(source.apply(delta))
                continue
            kind = source.apply_one(one)
            if kind is not None:
                single.append((which, kind, one))
            changes.append(Delta(version) if kind is None else as_delta(source, kind, one))
        if any(map(len, changes)):
            self._judged(changes, single, version)
        self.compare()

    def _judged(self, changes: list[Delta], single: list[tuple[int, ChangeKind, RowChange]], version: int) -> None:
        arrays: list[AnyArray] = [a for c in changes for a in (c.inserted, c.removed, c.updated, c.changed, c.reasons)]
        copies = [array.copy() for array in arrays]
        if len(single) == 1 and sum(map(len, changes)) == 1:
            self.alone += 1
            output = self.deriver.apply_one(*single[0])
        else:
            output = self.deriver.apply(changes, version)
        assert all(np.array_equal(array, copy) for array, copy in zip(arrays, copies, strict=True))
        if isinstance(output, RowChange):
            assert all(position in output.before for position in range(64) if output.changed >> position & 1)
            output = output.to_delta(self.deriver.table)
        self.judge(Delta(version) if output is None else output)

    def judge(self, output: Delta) -> None:
        """The output against what was delivered before, row by row."""
        table, before = self.deriver.table, self.held
        inserted, removed, updated = (s.tolist() for s in (output.inserted, output.removed, output.updated))
        assert len({*inserted, *removed, *updated}) == len(output), "a slot stands twice in a delta"
        assert not set(inserted) & set(before), "a row is inserted that was there"
        assert len(output.reasons) == len(removed)
        for rows, old in ((removed, output.old_removed), (updated, output.old_updated)):
            images = [c.vector(*old(table, p)).to_list() for p, c in enumerate(table.columns)]
            for row, slot in enumerate(rows):
                assert slot in before, "a row is changed that was not there"
                was = tuple(repr(image[row]) for image in images)
                assert was == before[slot], f"the before-image {was} of {before[slot]}"
        after = self._image()
        assert set(after) == (set(before) - set(removed)) | set(inserted), "the delta tells of other rows than changed"
        for slot, mask in zip(updated, output.changed.tolist(), strict=True):
            differ = [p for p in range(len(table.columns)) if before[slot][p] != after[slot][p]]
            assert all(mask >> min(p, 63) & 1 for p in differ), "a column changed that the delta does not tell of"
        silent = set(before) & set(after) - set(updated)
        assert all(before[slot] == after[slot] for slot in silent), "a row changed that the delta does not tell of"
        self.held = after
        if len(output):
            table.changelog.append(output)
        table.changelog.forget(table.changelog.trimmed_since())
        table.release()

    def compare(self) -> None:
        """What is derived against a fresh deriver and against the oracle."""
        self.deriver.check()
        self.deriver.table.check()
        mine = rows_of(self.deriver.table)
        fresh = self.make()
        fresh.hydrate(0)
        assert repr(mine) == repr(rows_of(fresh.table)), "maintained rows differ from those derived anew"
        true = self.oracle()
        assert sorted(map(repr, mine)) == sorted(map(repr, true)), f"derived:\n  {mine}\nand in truth\n  {true}"


def play(
    choose: random.Random,
    tables: Sequence[Table],
    domains: Mapping[str, Domain],
    derivers: Sequence[CheckedDeriver],
    commits: int,
) -> None:
    """A random history over the tables, several of them in one commit now and then, followed by every deriver."""
    for version in range(1, commits + 1):
        deltas: dict[str, Delta] = {}
        for each in choose.sample(list(tables), choose.choice((1, 1, len(tables)))):
            transaction = Transaction(each, version, BY_SLOT, CommitLimits())
            for _ in range(choose.choice((1, 1, 2))):
                transaction.apply(random_write(choose, each, domains[each.name]))
            delta = transaction.finish()
            if len(delta):
                each.changelog.append(delta)
                each.update_version = version
                deltas[each.name] = delta
        for deriver in derivers:
            deriver.follow(deltas, version)
        for each in tables:
            each.changelog.forget(each.changelog.trimmed_since())
            each.release()
            each.check()
