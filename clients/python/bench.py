"""How fast this client is, beside its stubs: clients/BENCH.md says what each mode measures.

Usage: python bench.py --mode write --address 127.0.0.1:50051 --table trades
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import grpc.aio

from tesseract_grpc._proto.tesseract.v1 import session_service_pb2, table_service_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1.session_service_pb2_grpc import SessionServiceStub
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub
from tesseract_grpc.client import AsyncEventHorizon, AsyncMirror
from tesseract_grpc.testing import digest_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = 1_700_000_000_000_000
"""The microseconds of row 0."""
OPTIONS = [("grpc.max_receive_message_length", 64 << 20)]

Answer = dict[str, Any]


def row(i: int) -> dict[str, Any]:
    """The row with this id."""
    return {
        "id": i,
        "symbol": f"S{i % 1000}",
        "side": "sell" if i % 2 else "buy",
        "price": i * 7919 % 100_000 / 100,
        "qty": i % 1000 + 1,
        "ts": EPOCH + timedelta(microseconds=START + i),
        "trader": f"T{i % 200}",
        "active": i % 3 == 0,
    }


def message(table: str, ids: range) -> table_service_pb2.WriteRequest:
    """The request that upserts rows, made by hand."""
    rows = [row(i) for i in ids]
    batch = value_pb2.RowBatch(row_count=len(rows))
    for name, case in (("id", "int64s"), ("price", "float64s"), ("qty", "int64s"), ("active", "bools")):
        getattr(batch.columns.add(name=name), case).values.extend([found[name] for found in rows])
    batch.columns.add(name="ts").timestamps.values.extend([START + i for i in ids])
    for name in ("symbol", "side", "trader"):
        texts: dict[str, int] = {}
        codes = [texts.setdefault(found[name], len(texts)) for found in rows]
        coded = batch.columns.add(name=name).dictionary
        coded.codes.extend(codes)
        coded.dictionary.extend(texts)
    operation = table_service_pb2.WriteOperation(table=table, upsert=table_service_pb2.Upsert(rows=batch))
    return table_service_pb2.WriteRequest(operations=[operation])


async def write_batches(batches: list[Any], send: Callable[[Any], Awaitable[int]], given: Any) -> Answer:
    """Writes all batches once, and then again and again until the time is over."""
    for batch in batches:
        await send(batch)
    rows, version = 0, 0
    started = time.perf_counter()
    for batch in cycle(batches):
        version = await send(batch)
        rows += given.batch
        if time.perf_counter() - started >= given.seconds:
            break
    return {"rows": rows, "seconds": time.perf_counter() - started, "version": version}


async def write(given: Any) -> Answer:
    async with AsyncEventHorizon.connect(given.address) as hub:
        table = await hub.get_tesseract(given.table)
        batches = [[row(i) for i in ids] for ids in slices(given)]

        async def send(rows: list[dict[str, Any]]) -> int:
            return (await table.upsert(rows)).version

        return await write_batches(batches, send, given)


async def raw_write(given: Any) -> Answer:
    async with grpc.aio.insecure_channel(given.address, OPTIONS) as channel:
        stub: Any = TableServiceStub(channel)

        async def send(request: table_service_pb2.WriteRequest) -> int:
            return int((await stub.Write(request)).version)

        return await write_batches([message(given.table, ids) for ids in slices(given)], send, given)


def slices(given: Any) -> list[range]:
    return [range(start, start + given.batch) for start in range(0, given.rows, given.batch)]


async def repeat(once: Callable[[], Awaitable[tuple[float, Any]]], given: Any) -> tuple[Answer, Any]:
    """Repeats until the timed parts have taken long enough; the first is not counted."""
    await once()
    seconds, repetitions, last = 0.0, 0, None
    while seconds < given.seconds:
        took, last = await once()
        seconds, repetitions = seconds + took, repetitions + 1
    return {"repetitions": repetitions, "seconds": seconds}, last


async def mirrored(given: Any, until: int) -> Answer:
    """Mirrors the session; with `until`, what is timed is the way from the snapshot to this version."""
    async with AsyncEventHorizon.connect(given.address) as hub:
        session = await hub.get_session(given.session)

        async def once() -> tuple[float, AsyncMirror]:
            started = time.perf_counter()
            async with session.mirror() as mirror:
                if until:
                    started = time.perf_counter()
                    await mirror.wait_for(until)
                return time.perf_counter() - started, mirror

        answer, mirror = await repeat(once, given)
        held = mirror.bookmark()
        rows = [{**found, "ts": (found["ts"] - EPOCH) // timedelta(microseconds=1)} for found in held.rows]
        return {**answer, "rows": len(mirror), "digest": digest_of(held.types, rows).hex()}


async def drained(given: Any, until: int) -> Answer:
    """The same stream, thrown away."""
    async with grpc.aio.insecure_channel(given.address, OPTIONS) as channel:
        stub: Any = SessionServiceStub(channel)
        request = session_service_pb2.WatchSessionRequest(name=given.session)

        async def once() -> tuple[float, int]:
            messages, started = 0, time.perf_counter()
            call = stub.WatchSession(request)
            async for response in call:
                messages += 1
                if response.HasField("snapshot_end"):
                    if not until:
                        break
                    started = time.perf_counter()
                elif until and response.HasField("changes") and response.to_version >= until:
                    break
            took = time.perf_counter() - started
            call.cancel()
            return took, messages

        answer, messages = await repeat(once, given)
        return {**answer, "messages": messages}


def main() -> None:
    modes: dict[str, Callable[[Any], Awaitable[Answer]]] = {
        "write": write,
        "raw_write": raw_write,
        "snapshot": lambda given: mirrored(given, 0),
        "raw_snapshot": lambda given: drained(given, 0),
        "fold": lambda given: mirrored(given, given.version),
        "raw_fold": lambda given: drained(given, given.version),
    }
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mode", required=True, choices=modes)
    parser.add_argument("--address", required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--table", default="")
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--session", default="")
    parser.add_argument("--version", type=int, default=0)
    given = parser.parse_args()

    async def run() -> Answer:
        return await modes[given.mode](given)

    print(json.dumps({"mode": given.mode, **asyncio.run(run())}))


if __name__ == "__main__":
    main()
