"""Trees by parent key: random histories, each step compared with the naive oracle and with a fresh tree."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import CommitLimits, Write, WriteKind
from tesseract_grpc.engine.data.delta import Delta, row_change
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.transaction import Transaction
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.live.moved import staying
from tesseract_grpc.engine.operators import tree_order_pages, tree_order_shape, tree_order_siblings
from tesseract_grpc.engine.operators.filter import FilterOperator
from tesseract_grpc.engine.operators.predicate import compile_predicate
from tesseract_grpc.engine.operators.select import TableSelector
from tesseract_grpc.engine.operators.tree_order import TreeOrder
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter, check_filter
from tesseract_grpc.engine.query.query import Expansion, Window
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.tree import ParentColumn
from tests.engine.tree_oracle import shown

TEXTS = list("abcdefghij")
KEYS: dict[DataType, list[Any]] = {
    DataType.INT64: list(range(10)),
    DataType.STRING: TEXTS,
    DataType.ENUM: TEXTS,
    DataType.BOOL: [False, True],
}
SORTS: tuple[tuple[SortKey, ...], ...] = ((), (SortKey("size", descending=True),), (SortKey("label"),))
FILTERS: tuple[Filter | None, ...] = (None, Compare("size", CompareOp.GREATER, 0.5))
SMALL = ((tree_order_siblings, "_FEW"), (tree_order_shape, "_FEW"), (tree_order_pages, "_PAGE"))


def schema(kind: DataType) -> TableSchema:
    return TableSchema(
        (
            ColumnSchema("id", kind, primary_key=True, enum_values=tuple(TEXTS) if kind is DataType.ENUM else ()),
            # An ENUM of its own, with a name that no key has.
            ColumnSchema("parent", kind, enum_values=(*TEXTS[::-1], "z") if kind is DataType.ENUM else ()),
            ColumnSchema("size", DataType.FLOAT64),
            ColumnSchema("label", DataType.STRING),
        )
    )


class Step:
    """One table and trees over it, followed step by step."""

    def __init__(self, kind: DataType, seed: int) -> None:
        self.choose = random.Random(seed)
        self.kind = kind
        self.schema = schema(kind)
        self.table = Table("t", self.schema, 0, HistoryLimits(commits=self.choose.choice((1, 50))))
        self.version = 0
        self.trees = [(sort, where, *self.tree(sort, where)) for sort in SORTS for where in FILTERS]

    def tree(self, sort: tuple[SortKey, ...], where: Filter | None) -> tuple[FilterOperator, TreeOrder]:
        checked = None if where is None else check_filter(where, self.schema)
        predicate = compile_predicate(checked, self.schema, self.table.columns, intern=True)
        order = TreeOrder(self.table, sort, ParentColumn("parent"))
        operator = FilterOperator(self.table, predicate, (), order.words.positions)
        order.hydrate(operator.hydrate())
        return operator, order

    def row(self, key: Scalar) -> dict[str, Scalar]:
        choose = self.choose
        row: dict[str, Scalar] = {"id": key}
        if choose.random() < 0.7:
            row["parent"] = choose.choice([None, *KEYS[self.kind], *(["z"] if self.kind is DataType.ENUM else [])])
        if choose.random() < 0.5:
            row["size"] = choose.choice((None, 0.0, 1.0, 2.0))
        if choose.random() < 0.5:
            row["label"] = choose.choice((None, *"pqrstuvw"))
        return row

    def commit(self) -> None:
        self.version += 1
        transaction = Transaction(self.table, self.version, TableSelector(self.table, 0), CommitLimits())
        for _ in range(self.choose.choice((1, 1, 3))):
            keys = KEYS[self.kind]
            ids = self.choose.sample(keys, min(len(keys), self.choose.choice((1, 1, 2, 5))))
            if self.choose.random() < 0.25:
                kind, rows = WriteKind.DELETE, [{"id": key} for key in ids]
            else:
                kind, rows = WriteKind.UPSERT, [self.row(key) for key in ids]
            transaction.apply(Write("t", kind, Batch.of_rows(self.schema.columns, rows)))
        delta = transaction.finish()
        if len(delta):
            self.table.changelog.append(delta)
            for _, _, operator, order in self.trees:
                self.follow(delta, operator, order)
            self.table.changelog.forget(self.table.changelog.trimmed_since())
            self.table.release()

    def follow(self, delta: Delta, operator: FilterOperator, order: TreeOrder) -> None:
        one = row_change(delta)
        if one is None or self.choose.random() < 0.5:
            order.apply(operator.apply(delta))
            return
        kind = operator.apply_one(one)
        if kind is not None:
            order.apply_one(kind, one)

    def expansion(self) -> Expansion:
        choose, keys = self.choose, KEYS[self.kind]
        expanded, collapsed = [
            frozenset((key,) for key in choose.sample(keys, min(len(keys), choose.choice((0, 0, 1, 3)))))
            for _ in range(2)
        ]
        return Expansion(choose.choice((None, None, 0, 1, 2)), expanded, collapsed)

    def verify(self) -> None:
        slots = self.table.live_slots()
        every: list[dict[str, Any]] = []
        every += self.table.batch(slots[np.argsort(self.table.sequence[slots])], range(4)).to_rows()
        for sort, where, _, order in self.trees:
            order.check()
            rows = in_order([row for row in every if where is None or (row["size"] or 0.0) > 0.5], sort)
            expansion = self.expansion()
            true = shown(
                rows,
                lambda row: row["id"],
                lambda row: row["parent"],
                lambda row: (row["id"],),
                expansion.depth,
                expansion.expanded,
                expansion.collapsed,
            )
            keys = [row["id"] for row in true]
            window = Window(self.choose.randint(0, 4), self.choose.choice((None, 0, 1, 3, 20)), expansion)
            assert order.count(window) == len(keys)
            start, stop = window.bounds(len(keys))
            found = self.table.batch(order.page(window), (0,)).columns["id"].to_list()
            assert found == keys[start:stop], (window, keys)


def in_order(rows: list[dict[str, Any]], sort: tuple[SortKey, ...]) -> list[dict[str, Any]]:
    """Rows in the order of the sort; they come in the order of insertion."""
    if not sort:
        return rows
    column, descending = sort[0].column, sort[0].descending
    rows = sorted(rows, key=lambda row: row["id"])
    with_value = [row for row in rows if row[column] is not None]
    # A stable sort leaves ties in the order of the keys, also when it is reversed.
    with_value.sort(key=lambda row: row[column], reverse=descending)
    return with_value + [row for row in rows if row[column] is None]


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("kind", list(KEYS))
@pytest.mark.parametrize("seed", range(4))
def test_oracle_trees_follow_histories(seed: int, kind: DataType, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if small:  # the paths of many rows
        for module, name in SMALL:
            monkeypatch.setattr(module, name, 0)
        monkeypatch.setattr(tree_order_shape, "_DEEP", 2)
        monkeypatch.setattr(tree_order_pages, "_DEEP", 2)
    step = Step(kind, seed)
    for _ in range(50):
        step.commit()
        step.verify()


@pytest.mark.parametrize("seed", range(200))
def test_moves_are_enough_and_no_more(seed: int) -> None:
    choose = random.Random(seed)
    old = list(range(choose.randint(0, 7)))
    choose.shuffle(old)
    kept = staying(np.array(old, np.int64)).tolist()
    stay = [value for value, keeps in zip(old, kept, strict=True) if keeps]
    assert stay == sorted(stay), "rows that do not move changed their order"
    best = max((mask.bit_count() for mask in range(1 << len(old)) if _rising(old, mask)), default=0)
    assert len(stay) == best, f"{len(old) - best} moves are enough for {old}"


def _rising(values: list[int], mask: int) -> bool:
    chosen = [value for index, value in enumerate(values) if mask >> index & 1]
    return chosen == sorted(chosen)
