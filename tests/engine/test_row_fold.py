"""Changes of single rows folded as such: the same as folding them as deltas."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.delta import Delta, RowChange, Stored, fold
from tesseract_grpc.engine.data.row_fold import fold_rows
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits

COLUMNS = (
    ColumnSchema("id", DataType.INT64, primary_key=True),
    ColumnSchema("n", DataType.INT64),
    ColumnSchema("x", DataType.FLOAT64),
    ColumnSchema("s", DataType.STRING),
)


def played(rng: Random) -> tuple[Hub, list[RowChange]]:
    """A history of single rows over few keys."""
    hub = Hub(epoch="e", limits=Limits(history=HistoryLimits(1_000, 10_000)))
    hub.create_table("t", TableSchema(COLUMNS))
    for _ in range(rng.choice((3, 20, 60))):
        row: dict[str, Any] = {
            "id": rng.randrange(6),
            "n": rng.choice((None, 1, 2)),
            "x": rng.choice((0.5, float("nan"), None)),
        }
        row["s"] = rng.choice(("a", "b", None))
        kind = rng.choice((WriteKind.UPSERT, WriteKind.UPSERT, WriteKind.DELETE))
        names = ["id"] if kind is WriteKind.DELETE else ["id", *rng.sample(["n", "x", "s"], rng.randint(1, 3))]
        columns = [column for column in COLUMNS if column.name in names]
        batch = Batch.of_rows(columns, [{name: row[name] for name in names}])
        hub.commit([Write("t", kind, rows=batch, ignore_missing=True)])
    entries = [entry for entry in hub.table("t").changelog._entries if isinstance(entry, RowChange)]
    return hub, entries


def told(stored: Stored) -> list[str]:
    values, valid = stored
    present = [True] * len(values) if valid is None else valid.tolist()
    return [repr(value) if known else "null" for value, known in zip(values.tolist(), present, strict=True)]


def same(one: Delta, other: Delta, hub: Hub) -> None:
    table = hub.table("t")
    for mine, theirs in ((one.inserted, other.inserted), (one.removed, other.removed), (one.updated, other.updated)):
        assert sorted(mine.tolist()) == sorted(theirs.tolist())
    order, another = np.argsort(one.updated), np.argsort(other.updated)
    assert one.changed[order].tolist() == other.changed[another].tolist()
    gone, others = np.argsort(one.removed), np.argsort(other.removed)
    assert one.reasons[gone].tolist() == other.reasons[others].tolist()
    for position in range(len(COLUMNS)):
        was, were = told(one.old_updated(table, position)), told(other.old_updated(table, position))
        assert [was[at] for at in order] == [were[at] for at in another]
        was, were = told(one.old_removed(table, position)), told(other.old_removed(table, position))
        assert [was[at] for at in gone] == [were[at] for at in others]


@pytest.mark.parametrize("seed", range(60))
def test_differential_single_rows_fold_as_deltas_do(seed: int) -> None:
    hub, entries = played(Random(seed))
    begin = Random(seed).randrange(len(entries) + 1)
    tail = entries[begin:]
    table = hub.table("t")
    same(fold_rows(9, tail, table), fold(9, [change.to_delta(table) for change in tail], table), hub)
