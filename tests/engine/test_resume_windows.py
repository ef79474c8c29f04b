"""Readers who come back one after the other from different versions: what was folded for one is carried on for the
next, and the windows of all of them are those that they had."""

from __future__ import annotations

from random import Random

import pytest

from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey

TYPES = {"id": DataType.INT64, "n": DataType.INT64, "s": DataType.STRING}
WINDOWS = (Window(0, 3), Window(2, None), Window(5, None))


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_told_of_a_row_that_a_window_did_not_show(seed: int) -> None:
    rng, hub = Random(seed), Hub("test", epoch="test")
    columns = tuple(ColumnSchema(name, kind, primary_key=name == "id") for name, kind in TYPES.items())
    hub.create_table("t", TableSchema(columns))
    session = hub.open_session(Query("t", sort=(SortKey("s"),)), "s")
    shown: dict[tuple[Window, int], list[object]] = {}
    for step in range(60):
        row: dict[str, Scalar] = {"id": rng.randrange(8), "n": step, "s": rng.choice("abc")}
        hub.commit([Write("t", WriteKind.UPSERT, rows=Batch.of_rows(columns, [row]))])
        for window in WINDOWS:
            rows = session.snapshot(window).rows.to_rows()
            shown[window, hub.version] = [each["id"] for each in rows]
        if step < 10:
            continue
        window, since = rng.choice(WINDOWS), hub.version - rng.randint(1, 8)
        watch = session.watch(window, since, now_us=0)
        changes = watch.take()
        watch.close()
        told: list[dict[str, Scalar]] = [key for updates in changes.updates for key in updates.rows.to_rows()]
        told += [key for removes in changes.removes for key in removes.keys.to_rows()]
        assert {each["id"] for each in told} <= set(shown[window, since])
