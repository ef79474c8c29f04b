"""Unions of relations: the operator under its contract, against rows put together by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.delta import Delta
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.union import Constant, UnionOperator
from tesseract_grpc.engine.query.filter import Compare, CompareOp, Filter, check_filter
from tests.engine.deriver_world import CheckedDeriver, Domain, Row, play, rows_of, table

NAN = float("nan")
DOMAINS: dict[str, Domain] = {
    "a": {"id": range(6), "s": ("x", "y", "z", None), "f": (0.5, -1.0, NAN, None), "b": (True, False, None)},
    "b": {"key": range(5), "t": ("z", "y", "new", None), "g": (2.5, NAN, None)},
}
COLUMNS = (
    ColumnSchema("id", DataType.INT64, primary_key=True),
    ColumnSchema("text", DataType.STRING),
    ColumnSchema("number", DataType.FLOAT64),
    ColumnSchema("flag", DataType.BOOL),
)
MAPPING: tuple[tuple[int | Constant, ...], ...] = (
    (0, 1, 2, 3),
    (0, 1, 2, Constant(True)),
    (0, Constant("every"), Constant(), 3),
)


def _tables(choose: random.Random) -> tuple[Table, Table]:
    limits = HistoryLimits(commits=choose.choice((1, 3, 50)))
    a = table("a", limits, id=DataType.INT64, s=DataType.STRING, f=DataType.FLOAT64, b=DataType.BOOL)
    b = table("b", limits, key=DataType.INT64, t=DataType.STRING, g=DataType.FLOAT64)
    return a, b


def _where(choose: random.Random, table: Table, column: str) -> Filter | None:
    where = choose.choice((None, Compare(column, CompareOp.GREATER, 0.0)))
    return None if where is None else check_filter(where, table.schema)


def _kept(rows: list[Row], where: Filter | None, column: str) -> list[Row]:
    def above(value: object) -> bool:
        return isinstance(value, float) and (value != value or value > 0)  # NaN stands above every number

    return rows if where is None else [row for row in rows if above(row[column])]


@pytest.mark.parametrize("seed", range(10))
def test_a_union_has_the_rows_of_all_its_inputs(seed: int) -> None:
    choose = random.Random(seed)
    a, b = _tables(choose)
    wheres = (_where(choose, a, "f"), _where(choose, b, "g"), _where(choose, a, "f"))

    def make() -> UnionOperator:
        inputs = [routed_filter(each, where, frozenset()) for each, where in zip((a, b, a), wheres, strict=True)]
        return UnionOperator("u", inputs, MAPPING, COLUMNS, 0, HistoryLimits(commits=2), branches=(0, 1, 7))

    def oracle() -> list[Row]:
        first = [
            {"branch": 0, "id": row["id"], "text": row["s"], "number": row["f"], "flag": row["b"]}
            for row in _kept(rows_of(a), wheres[0], "f")
        ]
        second = [
            {"branch": 1, "id": row["key"], "text": row["t"], "number": row["g"], "flag": True}
            for row in _kept(rows_of(b), wheres[1], "g")
        ]
        third: list[Row] = [
            {"branch": 7, "id": row["id"], "text": "every", "number": None, "flag": row["b"]}
            for row in _kept(rows_of(a), wheres[2], "f")
        ]
        return first + second + third

    deriver = CheckedDeriver(make, oracle)
    play(choose, (a, b), DOMAINS, [deriver], 60)
    assert deriver.alone  # the scalar path was taken


def test_inputs_that_share_texts_keep_their_codes() -> None:
    a, _ = _tables(random.Random(0))
    inputs = [routed_filter(a, None, frozenset()) for _ in range(2)]
    shared = UnionOperator("u", inputs, (MAPPING[0], (0, 1, 2, 3)), COLUMNS, 0, HistoryLimits())
    assert shared.table.columns[2].dictionary is a.columns[1].dictionary
    other = UnionOperator("u", inputs, (MAPPING[0], MAPPING[2]), COLUMNS, 0, HistoryLimits())
    assert other.table.columns[2].dictionary is not a.columns[1].dictionary


def test_rows_are_found_by_branch_and_key() -> None:
    choose = random.Random(3)
    a, b = _tables(choose)
    inputs = [routed_filter(each, None, frozenset()) for each in (a, b)]
    union = UnionOperator("u", inputs, MAPPING[:2], COLUMNS, 0, HistoryLimits())
    play(choose, (a, b), DOMAINS, [], 20)
    union.hydrate(0)
    wanted = [(0, 1), (1, 1), (0, 4), (1, 4), (0, 99), (5, 1)]
    keys = Batch.of_rows(union.table.schema.columns, [{"branch": branch, "id": key} for branch, key in wanted])
    slots = union.table.find(keys)
    held = {(row["branch"], row["id"]) for row in rows_of(union.table)}
    assert [slot >= 0 for slot in slots.tolist()] == [pair in held for pair in wanted]
    there = slots[slots >= 0]
    names = union.table.batch(there, (0, 1)).to_rows()
    assert [(row["branch"], row["id"]) for row in names] == [pair for pair in wanted if pair in held]
    assert len(there) > 1


def test_a_change_that_no_column_shows_costs_nothing() -> None:
    a, _ = _tables(random.Random(0))
    a.place(a.allocate(1), {p: (np.ones(1, c.values.dtype), np.zeros(1, np.bool_)) for p, c in enumerate(a.columns)}, 1)
    union = UnionOperator("u", [routed_filter(a, None, frozenset())], (MAPPING[2],), COLUMNS, 0, HistoryLimits())
    union.hydrate(1)
    mask = np.array([2], np.uint64)
    change = Delta(2, updated=np.zeros(1, np.int32), changed=mask, before={1: (np.zeros(1, np.int32), None)})
    assert not len(union.apply([change], 2))
