"""Durable writes: eight writers, batches of a hundred rows, each acknowledged when it is on the disk; and in memory.

Each writer has one call in flight (`durable_write`), or a WriteStream that it keeps filled (`durable_stream`).
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import grpc.aio

from benchmarks.trades import make_trades
from benchmarks.wire.blotter import TABLE, create_table, load, open_channel
from benchmarks.wire.rows import trade_rows
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

WRITERS = 8
BATCH = 100
ROWS = 100_000
SECONDS = 10.0
AHEAD = 16  # batches that a filled stream has on its way

Requests = Sequence[table_service_pb2.WriteRequest]
Write = Callable[[grpc.aio.Channel, Requests, float], Coroutine[Any, Any, int]]


def run_durable(_: str, settings: Settings) -> Figures:
    """Rows a second that are durable by fsync, and how much of the rate in memory that is."""
    figures: Figures = {}
    for metric, write in (("durable_write", _write_calls), ("durable_stream", _write_stream)):
        memory = _rate((), write, settings)[0]
        with tempfile.TemporaryDirectory() as data:
            durable, cpu = _rate(("--data", data, "--durability", "fsync"), write, settings)
        detail = {"memory_rows_s": memory, "server_cpu_us/row": cpu * 1e6}
        figures[metric] = Figure(durable, detail)
        figures[f"{metric}_ratio"] = Figure(durable / memory, detail)
    return figures


def _rate(flags: tuple[str, ...], write: Write, settings: Settings) -> tuple[float, float]:
    """Rows a second, and the server's CPU seconds a row."""
    with ServerProcess(*flags) as server:
        return asyncio.run(_measure(server, write, settings))


async def _measure(server: ServerProcess, write: Write, settings: Settings) -> tuple[float, float]:
    trades = make_trades(settings.scaled(ROWS, least=WRITERS * BATCH * 2), settings.seed)
    requests = [
        table_service_pb2.WriteRequest(
            operations=[
                table_service_pb2.WriteOperation(table=TABLE, upsert=table_service_pb2.Upsert(rows=trade_rows(part)))
            ]
        )
        for part in trades.batches(BATCH)
    ]
    seconds = max(0.3, SECONDS * min(1.0, settings.scale))
    channels = [open_channel(server.address) for _ in range(WRITERS)]
    try:
        await create_table(channels[0])
        await load(channels[0], trades)
        shares = [requests[number::WRITERS] for number in range(WRITERS)]
        cpu, start = server.cpu(), time.perf_counter()
        end = start + seconds
        batches = sum(await asyncio.gather(*(write(*each, end) for each in zip(channels, shares, strict=True))))
        elapsed, cpu = time.perf_counter() - start, server.cpu() - cpu
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return batches * BATCH / elapsed, cpu / (batches * BATCH)


async def _write_calls(channel: grpc.aio.Channel, requests: Requests, end: float) -> int:
    stub, count = TableServiceStub(channel), 0
    while time.perf_counter() < end:
        await stub.Write(requests[count % len(requests)])
        count += 1
    return count


async def _write_stream(channel: grpc.aio.Channel, requests: Requests, end: float) -> int:
    room, count = asyncio.Semaphore(AHEAD), 0

    async def batches() -> AsyncIterator[table_service_pb2.WriteStreamRequest]:
        number = 0
        while time.perf_counter() < end:
            await room.acquire()
            yield table_service_pb2.WriteStreamRequest(write=requests[number % len(requests)])
            number += 1

    async for response in TableServiceStub(channel).WriteStream(batches()):
        if response.WhichOneof("outcome") != "committed":
            raise RuntimeError(f"a batch was refused: {response.refused.message}")
        room.release()
        count += 1
    return count
