"""Point writes while another client creates a session over a million rows and fetches its snapshot."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import grpc.aio

from benchmarks.load import ROWS
from benchmarks.measure import percentile
from benchmarks.trades import make_trades, make_updates
from benchmarks.wire.blotter import create_session, create_table, delete_session, load, open_channel, update_request
from benchmarks.wire.pace import for_seconds, open_loop
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2
from tesseract_grpc._proto.tesseract.v1.session_service_pb2_grpc import SessionServiceStub
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

WRITES_A_SECOND = 50.0
QUIET_SECONDS = 3.0
SESSIONS = 3


def run_beside(_: str, settings: Settings) -> Figures:
    """The p99 of writes that should have started while the other client was at work, each counted from that time."""
    with ServerProcess() as server:
        return asyncio.run(_beside(server, settings))


async def _beside(server: ServerProcess, settings: Settings) -> Figures:
    rows = settings.scaled(ROWS, least=100)
    requests = [update_request(update) for update in make_updates(rows, 1000, 1, settings.seed)]
    async with open_channel(server.address) as channel:
        await create_table(channel)
        await load(channel, make_trades(rows, settings.seed))
        stub = TableServiceStub(channel)
        laps: list[float] = []

        async def write(number: int, intended: float) -> None:
            await stub.Write(requests[number % len(requests)])
            laps.append(time.monotonic() - intended)

        await open_loop(WRITES_A_SECOND, for_seconds(max(0.3, QUIET_SECONDS * min(1, settings.scale))), write)
        quiet = percentile(laps, 99) * 1e3
        laps.clear()
        other, pipe = _start_other(server.address, rows)
        await asyncio.to_thread(pipe.recv)  # it is about to begin
        await open_loop(WRITES_A_SECOND, lambda: not other.is_alive(), write)
        seconds: list[float] = pipe.recv()
        other.join()
    detail = {
        "quiet_p99_ms": quiet,
        "worst_ms": max(laps) * 1e3,
        "writes": float(len(laps)),
        "session_and_snapshot_s": sum(seconds) / len(seconds),
    }
    return {"wire_write_beside_session_p99": Figure(percentile(laps, 99) * 1e3, detail)}


def _start_other(address: str, rows: int) -> tuple[BaseProcess, Connection]:
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    other = spawn.Process(target=_other_client, args=(address, rows, theirs), daemon=True)
    other.start()
    return other, pipe


def _other_client(address: str, rows: int, pipe: Connection) -> None:
    """The other process: says that it begins, works, and then says how long each round took."""
    pipe.send(None)
    pipe.send(asyncio.run(_create_and_fetch(address, rows)))


async def _create_and_fetch(address: str, rows: int) -> list[float]:
    seconds: list[float] = []
    async with open_channel(address) as channel:
        for number in range(SESSIONS):
            start = time.monotonic()
            name = f"all{number}"
            await create_session(channel, name)
            fetched = await _snapshot_rows(channel, name)
            if fetched != rows:
                raise AssertionError(f"the snapshot had {fetched} of {rows} rows")
            await delete_session(channel, name)
            seconds.append(time.monotonic() - start)
    return seconds


async def _snapshot_rows(channel: grpc.aio.Channel, name: str) -> int:
    call = SessionServiceStub(channel).WatchSession(session_service_pb2.WatchSessionRequest(name=name))
    rows = 0
    async for response in call:
        if response.HasField("snapshot_rows"):
            rows += response.snapshot_rows.rows.row_count
        if response.HasField("snapshot_end"):
            break
    call.cancel()
    return rows
