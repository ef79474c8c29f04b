"""How fast a table of PostgreSQL comes into a hub, and where the time goes.

    python -m benchmarks.migrate [--rows 1000000] [--batch 5000] [--json]
    python -m benchmarks --only migrate                     the same for results.json

A PostgreSQL server of its own (from the system's packages), a table of eight columns (a key, numbers, a decimal, a time
with a zone, texts few and many, nulls), a hub in a process of its own, and the command's own code in this one. What is
told: seconds for the copy and the comparison, rows a second, the share that the driver took (the time in which rows
were asked for and made into Python objects) and the share of making columns, sums and requests of them; and, measured
apart, how long the driver takes when nothing is done with its rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import psutil

from benchmarks.workload import Figure, Figures
from benchmarks.workload import Settings as BenchmarkSettings
from tesseract_grpc.cli.demo.server_process import server_process
from tesseract_grpc.client import EventHorizon
from tesseract_grpc.client.migrate.catalogue import table_of
from tesseract_grpc.client.migrate.database import Database
from tesseract_grpc.client.migrate.options import DEFAULT_BATCH, Settings
from tesseract_grpc.client.migrate.plan import plan_of
from tesseract_grpc.client.migrate.reading import Reader
from tests.migrate.servers import execute, postgres

TARGET_SECONDS = 60.0
"""What a million rows may take."""
TABLE = (
    "CREATE TABLE trades (id bigint PRIMARY KEY, symbol varchar(8) NOT NULL, qty integer NOT NULL, "
    "price numeric(12, 2) NOT NULL, at timestamptz NOT NULL, buy boolean NOT NULL, trader text NOT NULL, note text)"
)
ROWS = (
    "INSERT INTO trades SELECT g, 'S' || g % 500, g % 1000, (g % 100000) / 100.0, "
    "timestamptz '2024-01-01 00:00:00+00' + g * interval '1 second', g % 2 = 0, 'trader ' || g % 50000, "
    "CASE WHEN g % 3 = 0 THEN 'note ' || g END FROM generate_series(1, {rows}) g"
)


METRIC = "migrate"
SIZE = 1_000_000


def run(_: str, settings: BenchmarkSettings) -> Figures:
    """The workload: rows a second with the comparison."""
    figures = measured(settings.scaled(SIZE, least=1_000), DEFAULT_BATCH)
    detail = {name: float(value) for name, value in figures.items() if name != "rows_a_second"}
    return {METRIC: Figure(float(figures["rows_a_second"]), detail)}


def measured(rows: int, batch: int) -> dict[str, Any]:
    """A table of so many rows, migrated; and read by the driver alone."""
    with postgres() as url:
        execute(url, TABLE, ROWS.format(rows=rows), "ANALYZE trades")
        return {"rows": rows, "batch": batch, **migrated(url, batch), **driver_alone(url, batch)}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=SIZE)
    parser.add_argument("--batch", type=int, default=DEFAULT_BATCH)
    parser.add_argument("--json", action="store_true", help="one object")
    given = parser.parse_args()
    figures = measured(given.rows, given.batch)
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:>14,}")
    missed = given.rows >= 1_000_000 and figures["seconds"] > TARGET_SECONDS
    return 1 if missed else 0


def migrated(url: str, batch: int) -> dict[str, Any]:
    """One migration, comparison included."""
    process = psutil.Process()
    with server_process("--log-level", "warning") as address, EventHorizon.connect(address) as hub:
        before, copied = process.cpu_times(), [0.0]

        def tell(progress: Any) -> None:
            if progress.phase == "copying":
                copied[0] = progress.seconds

        result = hub.migrate_from(url, "trades", batch=batch, on_progress=tell)
        after = process.cpu_times()
    assert result.verified
    return {
        "seconds": round(result.seconds, 2),
        "seconds_copying": round(copied[0], 2),
        "rows_a_second": round(result.rows / result.seconds),
        "share_of_the_driver": round(result.reading_seconds / result.seconds, 3),
        "share_of_conversion": round(result.converting_seconds / result.seconds, 3),
        "client_cpu_seconds": round(after.user + after.system - before.user - before.system, 2),
        "client_peak_mb": round(_peak_mb()),
    }


def driver_alone(url: str, batch: int) -> dict[str, Any]:
    """The same statements with the same cursor, and nothing done with the rows."""
    database = Database(url)
    settings = Settings.of("trades", {"batch": batch})
    plan = plan_of(database, table_of(database, "trades"), settings)
    reader, rows, after, page = Reader(database, plan), 0, None, batch * 20
    started = time.perf_counter()
    with database.reading() as connection:
        while True:
            got = 0
            for some in reader.rows(connection, after, None, page, batch):
                got += len(some)
                after = tuple(some[-1][-len(plan.key) :])
            rows += got
            if got < page:
                break
    seconds = time.perf_counter() - started
    database.close()
    return {"driver_alone_seconds": round(seconds, 2), "driver_alone_rows_a_second": round(rows / seconds)}


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
