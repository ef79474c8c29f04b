"""What rollups and filters of aggregates are made of, under the contract of derivers."""

from __future__ import annotations

import random

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.data.version import VersionLine
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.masked import Mask, MaskOperator
from tesseract_grpc.engine.operators.union import Constant, UnionOperator
from tesseract_grpc.engine.query.filter import AllOf, AnyOf, Compare, CompareOp, NullTest, check_filter
from tests.engine.deriver_world import CheckedDeriver, Domain, Row, play, rows_of, table

DOMAIN: Domain = {
    "id": list(range(6)),
    "a": [None, "p", "q"],
    "b": [None, 0, 1, 2],
    "x": [None, 0.0, 1.0, float("nan")],
}
COLUMNS = {"id": DataType.INT64, "a": DataType.STRING, "b": DataType.INT64, "x": DataType.FLOAT64}


@pytest.mark.parametrize("seed", range(6))
def test_masked_columns_keep_the_contract(seed: int) -> None:
    choose, limits = random.Random(seed), HistoryLimits(commits=2)
    base = table("t", limits, **COLUMNS)
    one = check_filter(Compare("b", CompareOp.EQUAL, 1), base.schema)
    other = check_filter(AnyOf((NullTest("a"), Compare("x", CompareOp.GREATER, 0.5))), base.schema)
    masks = (Mask("rows", one), Mask("ones", one, "x"), Mask("texts", other, "a"), Mask("all", AllOf(()), "b"))

    def truth() -> list[Row]:
        found = []
        for row in rows_of(base):
            b, x = row["b"] == 1, row["x"]
            above = row["a"] is None or (isinstance(x, float) and not x <= 0.5)
            more = {"rows": True if b else None, "ones": x if b else None, "texts": row["a"] if above else None}
            found.append({**row, **more, "all": row["b"]})
        return found

    deriver = CheckedDeriver(lambda: MaskOperator("m", base, masks, VersionLine(), limits), truth)
    play(choose, [base], {"t": DOMAIN}, [deriver], 60)
    assert deriver.alone


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_a_union_may_be_named_by_what_changes(seed: int) -> None:
    choose, limits = random.Random(seed), HistoryLimits(commits=2)
    base = table("t", limits, **COLUMNS)
    columns = [
        ColumnSchema("a", DataType.STRING, primary_key=True),
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("x", DataType.FLOAT64),
        ColumnSchema("more", DataType.INT64),
    ]

    def make() -> UnionOperator:
        filters = [routed_filter(base, None, frozenset())]
        mapping = [(1, 0, 3, Constant())]
        return UnionOperator("u", filters, mapping, columns, 0, limits, branch_column="level", branches=[2])

    def truth() -> list[Row]:
        return [{"level": 2, "a": r["a"], "id": r["id"], "x": r["x"], "more": None} for r in rows_of(base)]

    deriver = CheckedDeriver(make, truth)
    for _ in range(12):
        play(choose, [base], {"t": DOMAIN}, [deriver], 5)
        # A row is found under the name that it has, and under no other.
        derived = deriver.deriver.table
        slots = derived.live_slots()
        keys = derived.batch(slots, derived.schema.key)
        assert derived.find(keys).tolist() == slots.tolist()
        texts = keys.columns["a"]
        swapped = Batch(
            keys.length, {**keys.columns, "a": type(texts)(texts.type, texts.values + 7, None, texts.texts)}
        )
        assert (derived.find(swapped) < 0).all()
    assert deriver.alone
