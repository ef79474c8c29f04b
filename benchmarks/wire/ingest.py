"""Writing: bulk rows from one client process, and unary writes of single rows."""

from __future__ import annotations

import asyncio
import time

from benchmarks.load import BATCH, ROWS
from benchmarks.measure import percentile
from benchmarks.trades import make_trades, make_updates
from benchmarks.wire.blotter import TABLE, create_table, load, open_channel, update_request
from benchmarks.wire.rows import CLIENT_SCHEMA, client_columns
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub
from tesseract_grpc.client import EventHorizon

UNARY_SECONDS = 5.0
UNARY_ROWS = 100_000
CALLERS = 32


def run_bulk(_: str, settings: Settings) -> Figures:
    """Write rows with the Python client in columnar batches of 10,000; the time includes encoding, as a user has it.

    Numbers are arrays and texts are lists of Python strings, which is what users hold.
    """
    trades = make_trades(settings.scaled(ROWS, least=100), settings.seed)
    columns = client_columns(trades)
    with ServerProcess() as server, EventHorizon.connect(server.address) as hub:
        table = hub.create_tesseract(TABLE, columns=CLIENT_SCHEMA)
        before, cpu, own = server.resident(), server.cpu(), time.process_time()
        start = time.perf_counter()
        stored = table.ingest(columns, kind="insert", batch_rows=BATCH).total.inserted
        seconds = time.perf_counter() - start
        if stored != len(trades):
            raise AssertionError(f"the server acknowledged {stored} of {len(trades)} rows")
        detail = {
            "server_cpu_us/row": (server.cpu() - cpu) / stored * 1e6,
            "client_cpu_us/row": (time.process_time() - own) / stored * 1e6,
            "server_rss_bytes/row": (server.resident() - before) / stored,
        }
    return {"wire_write_bulk": Figure(stored / seconds, detail)}


def run_unary(_: str, settings: Settings) -> Figures:
    """Update single rows, 32 calls in flight from one client process."""
    with ServerProcess() as server:
        return asyncio.run(_unary(server, settings))


async def _unary(server: ServerProcess, settings: Settings) -> Figures:
    rows = settings.scaled(UNARY_ROWS, least=1000)
    requests = [update_request(updates) for updates in make_updates(rows, 1000, 1, settings.seed)]
    laps: list[float] = []
    async with open_channel(server.address) as channel:
        await create_table(channel)
        await load(channel, make_trades(rows, settings.seed))
        stub = TableServiceStub(channel)
        end = time.perf_counter() + max(0.2, UNARY_SECONDS * min(1.0, settings.scale))

        async def caller(number: int) -> None:
            while (start := time.perf_counter()) < end:
                await stub.Write(requests[number % len(requests)])
                laps.append(time.perf_counter() - start)
                number += CALLERS

        cpu, start = server.cpu(), time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        seconds, cpu = time.perf_counter() - start, server.cpu() - cpu
    detail = {
        "server_cpu_us/write": cpu / len(laps) * 1e6,
        "p50_ms": percentile(laps, 50) * 1e3,
        "p99_ms": percentile(laps, 99) * 1e3,
    }
    return {"wire_write_unary": Figure(len(laps) / seconds, detail)}
