"""The operator contract, asserted around real operators at every step of random histories.

`CheckedOperator` drives the filter and the order of one plan and proves, for each delta, what the contract says: the
input is net and consistent, the output is net and consistent with what was delivered, and the state equals that of a
fresh operator.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import Delta
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import AnyArray, Batch
from tesseract_grpc.engine.operators.filter import FilterOperator
from tesseract_grpc.engine.operators.order import OrderOperator
from tesseract_grpc.engine.operators.predicate import compile_predicate
from tesseract_grpc.engine.operators.select import TableSelector
from tesseract_grpc.engine.query.filter import AnyOf, Compare, CompareOp, Filter, In, NullTest, check_filter
from tesseract_grpc.engine.query.sort_key import SortKey

SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("name", DataType.STRING),
        ColumnSchema("size", DataType.FLOAT64),
    )
)
FILTERS: tuple[Filter | None, ...] = (
    None,
    In("name", ("a", "b")),
    AnyOf((NullTest("name"), Compare("size", CompareOp.GREATER, 0.5))),
)
SORTS: tuple[tuple[SortKey, ...], ...] = ((), (SortKey("size", descending=True),), (SortKey("name", nulls_first=True),))


class CheckedOperator:
    """The filter and the order of one plan, with the contract asserted."""

    def __init__(self, table: Table, where: Filter | None, sort: tuple[SortKey, ...]) -> None:
        self.table = table
        self.where = None if where is None else check_filter(where, SCHEMA)
        self.sort = sort
        self.filter, self.order = self._fresh()
        self.delivered = set(self.order.slots.tolist())
        self.input = set(table.live_slots().tolist())

    def _fresh(self) -> tuple[FilterOperator, OrderOperator]:
        predicate = compile_predicate(self.where, SCHEMA, self.table.columns, intern=True)
        order = OrderOperator(self.table, self.sort)
        operator = FilterOperator(self.table, predicate, (), order.words.positions)
        order.hydrate(operator.hydrate())
        return operator, order

    def apply(self, delta: Delta) -> None:
        _assert_consistent(delta, self.input)
        arrays: list[AnyArray] = [delta.inserted, delta.removed, delta.updated, delta.changed]
        copies = [array.copy() for array in arrays]
        output = self.filter.apply(delta)
        _assert_consistent(output, self.delivered)
        self.order.apply(output)
        self.order.check()
        assert self.order.slots.tolist() == self._fresh()[1].slots.tolist(), "the state is not that of a fresh operator"
        assert set(self.order.slots.tolist()) == self.delivered
        for array, copy in zip(arrays, copies, strict=True):
            assert np.array_equal(array, copy), "the operator changed its input"


def _assert_consistent(delta: Delta, held: set[int]) -> None:
    """The delta is net, and inserts only what is not held, removes and updates only what is; `held` follows it."""
    inserted, removed, updated = (set(s.tolist()) for s in (delta.inserted, delta.removed, delta.updated))
    assert len(inserted) + len(removed) + len(updated) == len(delta), "a slot stands twice in a delta"
    assert not (inserted & removed or inserted & updated or removed & updated)
    assert inserted.isdisjoint(held)
    assert removed <= held
    assert updated <= held
    assert len(delta.reasons) == len(delta.removed)
    held -= removed
    held |= inserted


def _random_write(choose: random.Random) -> Write:
    def value(column: str) -> Scalar:
        if choose.random() < 0.2:
            return None
        return choose.choice("abcd") if column == "name" else choose.choice((-1.0, 0.0, 1.0, float("nan")))

    ids = choose.sample(range(8), choose.choice((1, 1, 2, 4)))
    if choose.random() < 0.25:
        return Write("t", WriteKind.DELETE, Batch.of_rows(SCHEMA.columns, [{"id": i} for i in ids]))
    columns = choose.choice((("name",), ("size",), ("name", "size")))
    rows = [{"id": i, **{column: value(column) for column in columns}} for i in ids]
    return Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, rows))


@pytest.mark.parametrize("seed", range(12))
def test_operators_keep_their_contract(seed: int) -> None:
    choose = random.Random(seed)
    table = Table("t", SCHEMA, 0, HistoryLimits(commits=choose.choice((1, 50))))
    operators = [CheckedOperator(table, where, sort) for where in FILTERS for sort in SORTS]
    for version in range(1, 60):
        transaction = Transaction(table, version, TableSelector(table, 0), CommitLimits())
        for _ in range(choose.choice((1, 1, 3))):
            transaction.apply(_random_write(choose))
        delta = transaction.finish()
        if not len(delta):
            continue
        table.changelog.append(delta)
        for operator in operators:
            operator.apply(delta)
        table.changelog.forget(table.changelog.trimmed_since())
        table.release()
        table.check()


def test_an_inconsistent_delta_is_noticed() -> None:
    table = Table("t", SCHEMA, 0, HistoryLimits())
    operator = CheckedOperator(table, None, ())
    with pytest.raises(AssertionError):
        operator.apply(Delta(1, updated=np.array([3], np.int32), changed=np.array([1], np.uint64)))
