"""Fan-out: one session, many watchers, as many messages as the server can send."""

from __future__ import annotations

import asyncio
import time

from benchmarks.trades import make_trades, make_updates, session_symbols
from benchmarks.wire.blotter import create_session, create_table, load, open_channel, update_request
from benchmarks.wire.crowd import Crowd
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

SESSION = "board"
ROWS = 10_000
SECONDS = 6.0
CONNECTIONS = 50
WRITES_AHEAD = 16  # with one watcher; with more, fewer, so that no commits merge into one message


def run_watch(metric: str, watchers: int, connections: int, settings: Settings) -> Figures:
    """Commit single-row updates of rows in the session, each as soon as the watchers have (nearly) all before it."""
    with ServerProcess() as server:
        return asyncio.run(_watch(server, metric, watchers, connections, settings))


async def _watch(server: ServerProcess, metric: str, watchers: int, connections: int, settings: Settings) -> Figures:
    trades = make_trades(ROWS, settings.seed)
    size = settings.scaled(watchers)
    async with open_channel(server.address) as channel:
        await create_table(channel)
        await load(channel, trades)
        await create_session(channel, SESSION, session_symbols(0))
        async with Crowd(server.address, SESSION, size, connections) as crowd:
            stub = TableServiceStub(channel)
            inside = trades.id[trades.symbol.codes < len(session_symbols(0))]
            updates = make_updates(len(inside), 1000, 1, settings.seed)
            for update in updates:
                update.id[:] = inside[update.id]
            requests = [update_request(update) for update in updates]
            ahead = asyncio.Semaphore(max(2, WRITES_AHEAD // size))
            commits = 0

            async def commit(number: int) -> None:
                try:
                    written = await stub.Write(requests[number % len(requests)])
                    await crowd.reached(written.version)
                finally:
                    ahead.release()

            cpu, start = server.cpu(), time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                while time.perf_counter() - start < max(0.3, SECONDS * min(1.0, settings.scale)):
                    await ahead.acquire()
                    tasks.create_task(commit(commits))
                    commits += 1
            seconds, cpu = time.perf_counter() - start, server.cpu() - cpu
    rate = crowd.messages / seconds
    each = cpu / crowd.messages * 1e6
    detail = {"commits/s": commits / seconds, "messages_a_commit_and_watcher": crowd.messages / commits / size}
    return {metric: Figure(rate, detail), f"{metric}_cpu": Figure(each, detail)}
