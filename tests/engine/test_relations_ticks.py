"""A tick is told in parts; readers whose history is too short for it miss nothing."""

from __future__ import annotations

import pytest

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import Hub, Limits
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import Custom
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, JoinKey, JoinKind, QuerySource
from tests.engine.relations_world import Reader

SCHEMA = TableSchema((ColumnSchema("id", DataType.INT64, primary_key=True), ColumnSchema("at", DataType.TIMESTAMP)))
RECENT = Custom("at > now() - 5000")
OLD = ComputedColumn("old", expression="now() - at > 2000")
AGE = Query("t", RECENT, computed=(OLD,))
PAIRS = Query(
    source=QuerySource(AGE),
    filter=Custom("at > now() - 4000"),
    joins=(Join(QuerySource(AGE), (JoinKey("old", "old"),), JoinKind.LEFT, prefix="r_"),),
)


@pytest.mark.parametrize("query", [AGE, PAIRS])
@pytest.mark.parametrize("rows", [1, 3, 6])
def test_ticks_reach_readers_with_short_histories(query: Query, rows: int) -> None:
    keep = HistoryLimits(commits=1, rows=rows)
    hub = Hub(epoch="e", limits=Limits(history=keep, result_history=keep))
    hub.create_table("t", SCHEMA)
    readers = [Reader(hub.open_session(query, f"s{number}")) for number in range(3)]
    for step in range(30):
        hub.tick(1_000_000 * (step + 1))
        row = {"id": step % 4, "at": 1_000_000 * (step + 1) - 700_000 * (step % 3)}
        hub.commit([Write("t", WriteKind.UPSERT, Batch.of_rows(SCHEMA.columns, [row]))])
        for every, reader in enumerate(readers, 1):
            if step % every == 0:
                reader.take()
                assert repr(reader.rows) == repr(hub.query(query).rows.to_rows())
        hub.check()
    assert all(reader.changes > 5 for reader in readers)
