"""Frozen rows are the rows of their moment, whatever is committed afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from tesseract_grpc.engine.data import frozen
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.frozen import FrozenRows
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.sort_key import SortKey

COLUMNS = (
    ColumnSchema("id", DataType.INT64, primary_key=True),
    ColumnSchema("text", DataType.STRING),
    ColumnSchema("number", DataType.FLOAT64),
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr(frozen, "LARGE", 50)
    made = Hub(epoch="e")
    made.create_table("t", TableSchema(COLUMNS))
    put(made, [{"id": id, "text": f"t{id % 7}", "number": None if id % 5 == 0 else id / 2} for id in range(100)])
    return made


def put(hub: Hub, rows: list[dict[str, object]]) -> None:
    hub.commit([Write("t", WriteKind.UPSERT, rows=Batch.of_rows(COLUMNS, rows))])  # type: ignore[arg-type]


def test_differential_frozen_rows_equal_copied_rows(hub: Hub) -> None:
    table = hub.table("t")
    slots = np.random.default_rng(1).permutation(100)
    copied, kept = table.batch(slots, (0, 1, 2)), FrozenRows(table, slots, (0, 1, 2))
    assert (kept.length, len(kept)) == (100, 100)
    assert kept.slice(10, 40).to_rows() == copied.slice(10, 40).to_rows()
    assert kept.slice(90, 400).to_rows() == copied.slice(90, 400).to_rows()
    assert kept.take(np.array([5, 3])).to_rows() == copied.take(np.array([5, 3])).to_rows()
    assert kept.to_rows() == copied.to_rows()


def test_commits_do_not_change_what_was_taken(hub: Hub) -> None:
    session = hub.open_session(Query("t", sort=(SortKey("number", descending=True),)), "s")
    before = session.read().rows.to_rows()
    snapshot, whole = session.watch().snapshot(), hub.watch_table("t").snapshot()
    assert isinstance(snapshot.rows, FrozenRows)
    assert isinstance(whole.rows, FrozenRows)
    put(hub, [{"id": id, "text": "new", "number": -1.0} for id in range(150)])
    hub.commit([Write("t", WriteKind.DELETE, rows=Batch.of_rows(COLUMNS[:1], [{"id": id} for id in range(50)]))])
    assert snapshot.rows.slice(0, 100).to_rows() == before
    assert sorted(row["id"] for row in whole.rows.to_rows()) == list(range(100))  # type: ignore[type-var]
    assert session.read().rows.to_rows() != before


def test_few_rows_of_a_large_table_are_copied(hub: Hub) -> None:
    assert not isinstance(frozen.read_rows(hub.table("t"), np.arange(30), (0,)), FrozenRows)
