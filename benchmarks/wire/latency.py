"""From the intended time of a commit to each client that watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc.aio
import numpy as np

from benchmarks.measure import percentile
from benchmarks.trades import Updates, make_trades, session_symbols
from benchmarks.wire.blotter import create_session, create_table, load, open_channel, update_request
from benchmarks.wire.crowd import Crowd
from benchmarks.wire.pace import for_seconds, open_loop
from benchmarks.wire.rows import prices
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1.session_service_pb2 import WatchSessionResponse
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

SESSION = "board"
ROWS = 10_000
WATCHERS = 10
COMMITS_A_SECOND = 200.0
SECONDS = 10.0


class Delays:
    """Collects delays from changes whose new prices are the intended times of their commits."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._message: WatchSessionResponse | None = None
        self._times: set[float] = set()

    def __call__(self, message: WatchSessionResponse, now: float) -> None:
        if message is not self._message:  # the crowd hands the same object to all who got the same bytes
            self._message = message
            self._times = set().union(*(prices(part.rows) for part in message.changes.updates))
        self.seconds.extend(now - time for time in self._times)


async def prepare_board(channel: grpc.aio.Channel, seed: int) -> list[int]:
    """Make the table and a session over a hundredth of it; return the ids in the session."""
    trades = make_trades(ROWS, seed)
    await create_table(channel)
    await load(channel, trades)
    await create_session(channel, SESSION, session_symbols(0))
    ids: list[int] = trades.id[trades.symbol.codes < len(session_symbols(0))].tolist()
    return ids


def timed_writer(channel: grpc.aio.Channel, ids: list[int], rows: int) -> Callable[[int, float], Awaitable[None]]:
    """Return work for an open loop: a commit to `rows` of the ids with the intended time as the new price."""
    stub = TableServiceStub(channel)
    chosen = np.array(ids)

    async def write(number: int, intended: float) -> None:
        some = np.take(chosen, np.arange(number * rows, (number + 1) * rows), mode="wrap")
        full = np.full(len(some), intended)
        await stub.Write(update_request(Updates(some, full, np.full(len(some), 1 + number % 1000))))

    return write


def run_latency(_: str, settings: Settings) -> Figures:
    """200 commits a second, ten watchers on ten connections."""
    with ServerProcess() as server:
        return asyncio.run(_latency(server, settings))


async def _latency(server: ServerProcess, settings: Settings) -> Figures:
    delays = Delays()
    async with open_channel(server.address) as channel:
        ids = await prepare_board(channel, settings.seed)
        async with Crowd(server.address, SESSION, WATCHERS, WATCHERS, delays):
            write = timed_writer(channel, ids, 1)
            commits = await open_loop(COMMITS_A_SECOND, for_seconds(max(0.5, SECONDS * min(1, settings.scale))), write)
            await asyncio.sleep(0.2)  # the last ones are on their way
    detail = {
        "seen_of_sent": len(delays.seconds) / (commits * WATCHERS),
        "worst_ms": max(delays.seconds) * 1e3,
    }
    return {
        "wire_latency_p50": Figure(percentile(delays.seconds, 50) * 1e3, detail),
        "wire_latency_p99": Figure(percentile(delays.seconds, 99) * 1e3, detail),
    }
