"""A thousand watchers for a minute, while ten other readers are stopped in the middle of their streams.

A stopped process (SIGSTOP) keeps its connection and reads nothing: what a laptop that was closed looks like, or a
client that hangs. The others must not notice, and the server must not keep what the stopped ones do not fetch.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import grpc.aio

from benchmarks.measure import percentile
from benchmarks.wire.blotter import open_channel
from benchmarks.wire.crowd import Crowd
from benchmarks.wire.latency import SESSION, Delays, prepare_board, timed_writer
from benchmarks.wire.pace import for_seconds, open_loop
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings

WATCHERS = 1000
CONNECTIONS = 50
STOPPED = 10
QUIET_SECONDS = 20.0
STOPPED_SECONDS = 60.0
COMMITS_A_SECOND = 5.0
ROWS_A_COMMIT = 50


def run_stopped(_: str, settings: Settings) -> Figures:
    """p99 of the healthy watchers while ten are stopped, as a multiple of the quiet value; the server's memory."""
    with ServerProcess() as server:
        return asyncio.run(_stopped(server, settings))


async def _stopped(server: ServerProcess, settings: Settings) -> Figures:
    size = settings.scaled(WATCHERS, least=5)
    shrink = min(1.0, settings.scale)
    delays = Delays()
    async with open_channel(server.address) as channel:
        ids = await prepare_board(channel, settings.seed)
        async with Crowd(server.address, SESSION, size, CONNECTIONS, delays):
            await _commit(channel, ids, server, max(0.5, 3.0 * shrink))  # warm
            delays.seconds.clear()
            quiet_memory = await _commit(channel, ids, server, max(0.5, QUIET_SECONDS * shrink))
            quiet = percentile(delays.seconds, 99)
            with _readers(server.address, settings.scaled(STOPPED, least=1)) as readers:
                for reader in readers:
                    os.kill(reader.pid or 0, signal.SIGSTOP)
                delays.seconds.clear()
                memory = await _commit(channel, ids, server, max(1.0, STOPPED_SECONDS * shrink))
                slow = percentile(delays.seconds, 99)
    growth = (max(memory) - max(quiet_memory)) / 1e6
    late = memory[len(memory) // 2 :]
    detail = {
        "quiet_p99_ms": quiet * 1e3,
        "against_quiet": slow / quiet,
        "rss_quiet_mb": max(quiet_memory) / 1e6,
        "rss_worst_mb": max(memory) / 1e6,
        "rss_growth_second_half_mb": (late[-1] - late[0]) / 1e6,
        "stopped": float(len(readers)),
        "watchers": float(size),
    }
    return {
        "wire_stopped_p99": Figure(slow * 1e3, detail),
        "wire_stopped_growth": Figure(max(growth, 0.0), detail),
    }


async def _commit(channel: grpc.aio.Channel, ids: list[int], server: ServerProcess, seconds: float) -> list[int]:
    """Commit at a steady rate; return the server's memory, sampled with every commit."""
    write = timed_writer(channel, ids, ROWS_A_COMMIT)
    memory: list[int] = []

    async def write_and_sample(number: int, intended: float) -> None:
        await write(number, intended)
        memory.append(server.resident())

    await open_loop(COMMITS_A_SECOND, for_seconds(seconds), write_and_sample)
    await asyncio.sleep(0.2)
    return memory


@contextmanager
def _readers(address: str, count: int) -> Iterator[list[BaseProcess]]:
    """Processes that watch the session, each with its snapshot; killed at the end, also when stopped."""
    spawn = multiprocessing.get_context("spawn")
    readers: list[BaseProcess] = []
    try:
        for _ in range(count):
            pipe, theirs = spawn.Pipe()
            reader: BaseProcess = spawn.Process(target=_reader, args=(address, theirs), daemon=True)
            reader.start()
            readers.append(reader)
            if not pipe.poll(60):
                raise TimeoutError("a reader has no snapshot")
            pipe.recv()
        yield readers
    finally:
        for reader in readers:
            reader.kill()
            reader.join()


def _reader(address: str, pipe: Connection) -> None:
    """A reader process: watches until it is killed."""

    async def watch() -> None:
        async with Crowd(address, SESSION, 1, 1):
            pipe.send(time.monotonic())
            await asyncio.Event().wait()

    asyncio.run(watch())
