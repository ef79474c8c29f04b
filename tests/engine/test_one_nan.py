"""NaN has one form in storage, whatever made it: sorting, grouping and joining compare bits."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

FLOAT = DataType.FLOAT64
SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("g", DataType.INT64),
        ColumnSchema("x", FLOAT),
        ColumnSchema("w", FLOAT),
    )
)
VALUES = (math.inf, -math.inf, math.nan, 1e308, 0.0)
FUNCTIONS = ("sum", "avg", "var", "stddev", "median", "percentile", "min", "max", "first", "last", "unique")
AGGREGATES = (
    *(Aggregate(function, function, "x") for function in FUNCTIONS),
    Aggregate("weighted", "weighted_avg", "x", weight="w"),
    Aggregate("least", "min_by", "x", order_by="w"),
    Aggregate("most", "max_by", "x", order_by="w"),
    Aggregate("ratio", "expression", expression="sum / avg - max"),
)
WINDOWS = tuple(
    WindowColumn(f"{function.name}{rows}", function, "x", ("g",), rows=rows)
    for function in (WindowFunction.SUM, WindowFunction.AVG, WindowFunction.MIN, WindowFunction.MAX)
    for rows in (None, 2)
)
QUERIES = {
    "aggregates": Query("t", group=Grouping(("g",), AGGREGATES)),
    "window columns": Query("t", window_columns=WINDOWS),
    "expressions": Query(
        "t",
        computed=tuple(
            ComputedColumn(name, expression=text)
            for name, text in (
                ("a", "x + w"),
                ("b", "x - w"),
                ("c", "x * w"),
                ("d", "x / w"),
                ("e", "x % w"),
                ("f", "-x"),
            )
        ),
    ),
}


def _rows() -> list[dict[str, Scalar]]:
    pairs = list(product(product(VALUES, VALUES), repeat=2))
    return [
        {"id": 2 * group + at, "g": group, "x": x, "w": w}
        for group, pair in enumerate(pairs)
        for at, (x, w) in enumerate(pair)
    ]


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_nan_has_one_form(name: str) -> None:
    hub = Hub(epoch="e")
    hub.create_table("t", SCHEMA)
    session = hub.open_session(QUERIES[name], "s")
    rows = _rows()
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, rows[: len(rows) // 2]))])
    hub.commit([Write("t", WriteKind.INSERT, Batch.of_rows(SCHEMA.columns, rows[len(rows) // 2 :]))])
    for row in rows[:60]:
        hub.commit(
            [Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, [{**row, "x": row["w"], "w": row["x"]}]))]
        )
    table = session.result.table
    live = table.live_slots()
    bits = np.array([math.nan]).view(np.int64)[0]
    found = 0
    for column in table.columns:
        if column.type is FLOAT:
            values = column.values[live] if column.valid is None else column.values[live][column.valid[live]]
            odd = values[np.isnan(values)]
            found += len(odd)
            assert (odd.view(np.int64) == bits).all(), f"{column.schema.name} holds a NaN of another form"
    assert found > 100
