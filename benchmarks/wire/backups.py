"""Backup and restore of the benchmark's table, beside DuckDB's export to Parquet and import from it.

Ours goes over gRPC from a server in a process of its own into a container, checksums and the disk's `fsync` included;
DuckDB writes a file from its own process. Restoring reads the whole file for its checksum first, and ends when the
table has its name; DuckDB inserts into a table with a primary key. MB are those of the rows as plain Arrow columns, for
both, so that a smaller file is no slower.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import ROWS
from benchmarks.trades import Trades, make_trades
from benchmarks.wire.blotter import TABLE
from benchmarks.wire.rows import CLIENT_SCHEMA, client_columns
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import OURS, Figure, Figures, Settings
from tesseract_grpc.client import EventHorizon

CREATE = """create table {} (id bigint primary key, symbol varchar, side varchar, price double, qty bigint,
ts timestamp_ms, trader varchar, active boolean)"""


def run_backup(name: str, settings: Settings) -> Figures:
    """Rows and MB a second, out and back."""
    trades = make_trades(settings.scaled(ROWS, least=1_000), settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        return (_ours if name == OURS else _duckdb)(trades, Path(folder))


def _figures(rows: int, megabytes: float, out: float, back: float, detail: dict[str, float]) -> Figures:
    return {
        "backup": Figure(rows / out, detail),
        "backup_mb": Figure(megabytes / out, detail),
        "restore": Figure(rows / back, detail),
        "restore_mb": Figure(megabytes / back, detail),
    }


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _megabytes(trades: Trades) -> float:
    import pyarrow

    from benchmarks.peers.arrow import arrow_trades

    total = 0
    for column in arrow_trades(trades).itercolumns():
        coded = pyarrow.types.is_dictionary(column.type)
        total += (column.cast(pyarrow.string()) if coded else column).nbytes
    return total / 1e6


def _ours(trades: Trades, folder: Path) -> Figures:
    rows, path = len(trades), folder / "a.tesseract"
    with ServerProcess() as server, EventHorizon.connect(server.address, timeout=120) as hub:
        table = hub.create_tesseract(TABLE, columns=CLIENT_SCHEMA)
        table.ingest(client_columns(trades), kind="insert")
        table.backup(folder / "warm.tesseract")  # libraries are loaded at their first use
        parquet = _timed(lambda: table.backup(folder / "a.parquet"))
        cpu = server.cpu()
        out = _timed(lambda: table.backup(path))
        cpu = server.cpu() - cpu
        back = _timed(lambda: hub.restore(path, rename="again"))
        if hub.get_tesseract("again").count() != rows:
            raise AssertionError("the restored table has another number of rows")
    detail = {
        "file_mb": path.stat().st_size / 1e6,
        "parquet_rows/s": rows / parquet,
        "parquet_mb": (folder / "a.parquet").stat().st_size / 1e6,
        "backup_server_cpu_us/row": cpu * 1e6 / rows,
    }
    return _figures(rows, _megabytes(trades), out, back, detail)


def _duckdb(trades: Trades, folder: Path) -> Figures:
    import duckdb

    from benchmarks.peers.arrow import arrow_trades

    rows, path = len(trades), folder / "a.parquet"
    connection = duckdb.connect(config={"threads": os.cpu_count() or 1})
    connection.execute(CREATE.format("trades"))
    batch = arrow_trades(trades)
    connection.register("batch", batch)
    connection.execute("insert into trades select * from batch")
    connection.execute(CREATE.format("again"))
    statement = f"copy trades to '{path}' (format parquet, compression zstd)"

    def export() -> None:
        connection.execute(statement)
        _sync(path)

    out = _timed(export)
    back = _timed(lambda: connection.execute(f"insert into again select * from '{path}'"))
    ((count,),) = connection.execute("select count(*) from again").fetchall()
    if count != rows:
        raise AssertionError(f"duckdb holds {count} of {rows} rows")
    return _figures(rows, _megabytes(trades), out, back, {"file_mb": path.stat().st_size / 1e6})


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
