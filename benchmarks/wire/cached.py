"""One-shot queries over a million rows: asked again, asked for the first time, and without a cache.

The question is that of W2: a condition on the price, by price descending, the first hundred. Asked for the first time
it differs by a limit that nobody has asked for before; what the cache costs such a question is the difference to a
server that keeps none. Every answer that was given again must be the one that was given first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from benchmarks.load import ROWS
from benchmarks.measure import percentile
from benchmarks.trades import make_trades
from benchmarks.wire.blotter import TABLE, create_table, load, open_channel
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1 import query_pb2, table_service_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

QUERIES = 300
FIRST_ROWS = 100
PRICE = 500.0

Question = Callable[[int], table_service_pb2.QueryRequest]


def question(number: int) -> table_service_pb2.QueryRequest:
    """A question that differs from those with other numbers."""
    price = value_pb2.Value(float64_value=PRICE + number / 1_000)
    greater = query_pb2.Comparison(column="price", operator=query_pb2.COMPARISON_OPERATOR_GREATER, value=price)
    query = query_pb2.Query(
        table=TABLE,
        filter=query_pb2.Filter(comparison=greater),
        sort=[query_pb2.SortKey(column="price", direction=query_pb2.SORT_DIRECTION_DESCENDING)],
    )
    return table_service_pb2.QueryRequest(query=query, window=query_pb2.Window(limit=FIRST_ROWS))


def run_cached(_: str, settings: Settings) -> Figures:
    """The medians in milliseconds, one call at a time."""
    with ServerProcess() as server:
        again, first, cpu = asyncio.run(_ask(server, settings))
    with ServerProcess("--query-cache-bytes", "0") as server:
        _again, without, cpu_without = asyncio.run(_ask(server, settings))
    detail = {
        "p99_ms": percentile(again, 99) * 1e3,
        "first_p99_ms": percentile(first, 99) * 1e3,
        "without_p99_ms": percentile(without, 99) * 1e3,
        "server_cpu_ms_first": cpu,
        "server_cpu_ms_without": cpu_without,
    }
    return {
        "query_again": Figure(percentile(again, 50) * 1e3, detail),
        "query_first": Figure(percentile(first, 50) * 1e3, detail),
        "query_without_cache": Figure(percentile(without, 50) * 1e3, detail),
    }


async def _ask(server: ServerProcess, settings: Settings) -> tuple[list[float], list[float], float]:
    """The seconds of a question that is asked again and of new ones, and the server's CPU for a new one."""
    count = settings.scaled(QUERIES, least=10)
    async with open_channel(server.address) as channel:
        await create_table(channel)
        await load(channel, make_trades(settings.scaled(ROWS, least=1_000), settings.seed))
        stub = TableServiceStub(channel)
        expected = (await stub.Query(question(0))).rows

        async def timed(asked: Question) -> list[float]:
            laps: list[float] = []
            for number in range(1, count + 1):
                request = asked(number)
                begun = time.perf_counter()
                response = await stub.Query(request)
                laps.append(time.perf_counter() - begun)
                if asked is not question and response.rows != expected:
                    raise AssertionError("a question that was asked again was answered otherwise")
            return laps

        again = await timed(lambda number: question(0))
        cpu = server.cpu()
        first = await timed(question)
        return again, first, (server.cpu() - cpu) / count * 1e3
