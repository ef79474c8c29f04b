"""From the intended time of a commit to the clients that watch it: by watchers, by rate, in memory and durable.

An open loop: one writer sends commits of one row on a WriteStream at fixed times, whatever the server does, and a delay
counts from the time at which the commit should have been sent. A writer that was held up itself is part of the delay;
how late it was is in the detail.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import percentile
from benchmarks.trades import Updates
from benchmarks.wire.blotter import open_channel, update_request
from benchmarks.wire.latency import SESSION, prepare_board
from benchmarks.wire.listeners import Delays, Listeners
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

WATCHERS = (1, 100, 1_000)
RATES = (10, 100, 1_000)
DURABLE_WATCHERS = 100
CONNECTIONS = 50
SECONDS = 20.0
WARM_SECONDS = 1.0
PATIENCE = 30.0
"""Seconds after the last commit was due; what was not told by then counts as told then, and as missing."""


def name_of(watchers: int, rate: int, *, durable: bool = False) -> str:
    """The name of a cell's metric."""
    return f"latency_{watchers}x{rate}" + "_fsync" * durable


def run_delays(_: str, settings: Settings) -> Figures:
    """Every number of watchers at every rate, in memory."""
    with ServerProcess() as server:
        return asyncio.run(_measure(server, settings, WATCHERS))


def run_durable_delays(_: str, settings: Settings) -> Figures:
    """A hundred watchers at every rate, each commit flushed to the disk before anybody sees it."""
    with tempfile.TemporaryDirectory() as data, ServerProcess("--data", data, "--durability", "fsync") as server:
        return asyncio.run(_measure(server, settings, (DURABLE_WATCHERS,), durable=True))


async def _measure(
    server: ServerProcess, settings: Settings, sizes: Sequence[int], *, durable: bool = False
) -> Figures:
    figures: Figures = {}
    async with open_channel(server.address) as channel:
        writer = Writer(channel, await prepare_board(channel, settings.seed))
        for watchers in sizes:
            for rate in RATES:
                name = name_of(watchers, rate, durable=durable)
                figures[name] = await _cell(server, writer, settings.scaled(watchers), rate, settings)
    return figures


async def _cell(server: ServerProcess, writer: Writer, watchers: int, rate: int, settings: Settings) -> Figure:
    seconds = max(0.5, SECONDS * min(1.0, settings.scale))
    with Listeners(server.address, SESSION, watchers, CONNECTIONS) as listeners:
        await writer.write(min(rate, 100), min(WARM_SECONDS, seconds), 60.0)
        writer.forget()
        cpu = server.cpu()
        await writer.write(rate, seconds, seconds + PATIENCE)
        commits, first = len(writer.intended), writer.versions[0]
        told = await asyncio.to_thread(listeners.until, first + commits - 1, writer.left(PATIENCE))
        now, cpu = time.monotonic(), server.cpu() - cpu
    if writer.versions != list(range(first, first + len(writer.versions))):
        raise AssertionError("somebody else committed")
    delays, intended = Delays(), np.array(writer.intended)
    delays.add(told, intended, first)
    missing = delays.add_missing(told, intended, first, now)
    if delays.count != commits * watchers:
        raise AssertionError(f"{commits} commits reached {watchers} watchers {delays.count} times")
    detail = {
        "missing": missing / delays.count,
        "p50_ms": delays.percentile_ms(50),
        "p99.9_ms": delays.percentile_ms(99.9),
        "worst_ms": delays.worst * 1e3,
        "messages_a_commit": float(np.count_nonzero(told.after >= first)) / commits / watchers,
        "writer_late_p99_ms": percentile(writer.late, 99) * 1e3,
        "server_cpu": cpu / seconds,
        "commits": float(commits),
    }
    return Figure(delays.percentile_ms(99), detail)


class Writer:
    """Sends commits of one row at fixed times, and keeps which version each of them got."""

    def __init__(self, channel: grpc.aio.Channel, ids: list[int]) -> None:
        self._stub = TableServiceStub(channel)
        self._requests = [_request(id, number) for number, id in enumerate(ids * (1 + 1_000 // len(ids)))]
        self._number = 0
        self.intended: list[float] = []  # by commit
        self.versions: list[int] = []
        self.late: list[float] = []  # how much after the intended time it was sent

    def forget(self) -> None:
        """Begins anew."""
        self.intended, self.versions, self.late = [], [], []

    def left(self, patience: float) -> float:
        """Seconds of the patience after the last commit that are left."""
        return max(0.0, self.intended[-1] + patience - time.monotonic())

    async def write(self, rate: float, seconds: float, patience: float) -> None:
        """Commits `rate` times a second for some seconds; returns when all were acknowledged, or patience ends."""
        start, count = time.monotonic() + 0.05, max(1, round(rate * seconds))

        async def requests() -> AsyncIterator[table_service_pb2.WriteStreamRequest]:
            for number in range(count):
                intended = start + number / rate
                if (wait := intended - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                self.intended.append(intended)
                self.late.append(max(0.0, time.monotonic() - intended))
                self._number += 1
                yield self._requests[self._number % len(self._requests)]

        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                async for response in self._stub.WriteStream(requests()):
                    if response.WhichOneof("outcome") != "committed":
                        raise RuntimeError(f"a commit was refused: {response.refused.message}")
                    self.versions.append(response.committed.version)


def _request(id: int, number: int) -> table_service_pb2.WriteStreamRequest:
    row: NDArray[np.int64] = np.array([id])
    updates = Updates(row, np.array([number + 0.5]), np.array([1 + number % 1_000]))
    return table_service_pb2.WriteStreamRequest(write=update_request(updates))
