"""This engine in join3: one session over three joins, one watch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.flights import BATCH, FlightUpdates
from benchmarks.joined import Joins, Totals
from benchmarks.workload import OURS
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, JoinColumn, JoinKey, JoinKind, TableSource

_QUERY = Query(
    "flights",
    joins=(
        Join(TableSource("airlines"), (JoinKey("carrier", "carrier"),), columns=(JoinColumn("name", "airline"),)),
        Join(
            TableSource("planes"),
            (JoinKey("tailnum", "tailnum"),),
            JoinKind.LEFT,
            (JoinColumn("manufacturer"), JoinColumn("model"), JoinColumn("year", "built")),
        ),
        Join(TableSource("airports"), (JoinKey("dest", "faa"),), JoinKind.LEFT, (JoinColumn("name", "destination"),)),
    ),
)


class OursJoined(Joins):
    """tesseract_grpc.engine."""

    name = OURS

    def __init__(self, cores: int, tables: dict[str, Any]) -> None:
        super().__init__(cores, tables)
        self._hub = Hub(epoch="benchmark")
        for name, table in tables.items():
            vectors = {column: _vector(table[column]) for column in table.column_names}
            made = [
                ColumnSchema(column, vector.type, primary_key=not at)
                for at, (column, vector) in enumerate(vectors.items())
            ]
            self._hub.create_table(name, TableSchema(tuple(made)))
            self._hub.commit([Write(name, WriteKind.INSERT, Batch(len(table), vectors))])
        self._watch = self._hub.open_session(_QUERY, "joined").watch()
        self._watch.snapshot()

    def prepare(self, updates: FlightUpdates) -> list[Write]:
        columns = {"flight_id": updates.flight_id, "dep_delay": updates.dep_delay, "arr_delay": updates.arr_delay}
        vectors = {name: Vector(DataType.INT64, values) for name, values in columns.items()}
        writes = [Write("flights", WriteKind.UPDATE, Batch(BATCH, vectors))]
        if updates.renamed is not None:
            texts = zip(("carrier", "name"), updates.renamed, strict=True)
            renamed = {name: Vector.of(DataType.STRING, [text]) for name, text in texts}
            writes.append(Write("airlines", WriteKind.UPDATE, Batch(1, renamed)))
        return writes

    def update(self, batch: list[Write]) -> None:
        self._hub.commit(batch)
        self.observed += sum(updates.rows.length for updates in self._watch.take().updates)

    def totals(self) -> Totals:
        rows = self._hub.query(_QUERY).rows
        delays = [delay for delay in rows.columns["dep_delay"].to_list() if delay is not None]
        return (
            rows.length,
            sum(int(delay) for delay in delays),
            dict(Counter(map(str, rows.columns["airline"].to_list()))),
        )


def _vector(column: Any) -> Vector:
    """An Arrow column as the engine takes it."""
    kind = str(column.type)
    if kind == "string":
        return Vector.of(DataType.STRING, column.to_pylist())
    array = column.combine_chunks()
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    values = array.fill_null(0).to_numpy()
    mask = None if valid.all() else valid
    if kind == "double":
        return Vector(DataType.FLOAT64, values.astype(np.float64), mask)
    return Vector(DataType.INT64, values.astype(np.int64), mask)
