"""What browsers cost: `python -m benchmarks.browsers [--watchers 100] [--seconds 5]`.

A server process, a writer that changes ten rows a commit, and watchers of one session in a process of their own: over
gRPC, over Connect (binary and JSON) and gRPC-Web. Two questions:

* **Cost.** Commits come as fast as they are acknowledged; how many messages do the watchers get in a second, and how
  much CPU time does the server take for one of them?
* **Company.** Fifty commits a second and ten gRPC watchers; how long does a commit take to reach them while nobody else
  watches, while browsers do, and while browsers watch that have stopped reading?
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import psutil

from tesseract_grpc._proto.tesseract.v1 import (
    query_pb2,
    schema_pb2,
    session_service_pb2_grpc,
    table_service_pb2_grpc,
    value_pb2,
)
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb

ROWS = 1_000
CHANGED = 10
WATCH = "/tesseract.v1.SessionService/WatchSession"
KINDS = {
    "connect": "application/connect+proto",
    "connect-json": "application/connect+json",
    "grpc-web": "application/grpc-web+proto",
}


def batch(ids: Sequence[int], salt: int) -> value_pb2.RowBatch:
    """Rows of an integer, a number and a text."""
    found = value_pb2.RowBatch(row_count=len(ids))
    found.columns.add(name="id").int64s.values.extend(ids)
    found.columns.add(name="price").float64s.values.extend([id + salt / 7 for id in ids])
    found.columns.add(name="note").strings.values.extend([f"note {id} {salt % 100}" for id in ids])
    return found


class Writer:
    """Makes commits."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.tables: Any = table_service_pb2_grpc.TableServiceStub(channel)
        self.sessions: Any = session_service_pb2_grpc.SessionServiceStub(channel)
        self.count = 0

    @classmethod
    async def prepared(cls, address: str) -> Writer:
        """One whose table, rows and session are there."""
        writer = cls(grpc.aio.insecure_channel(address))
        await writer.prepare()
        return writer

    async def prepare(self) -> None:
        """The table, its rows, and the session."""
        kinds = {"id": "INT64", "price": "FLOAT64", "note": "STRING"}
        columns = [
            schema_pb2.Column(name=name, type=getattr(value_pb2, f"DATA_TYPE_{kind}"), primary_key=name == "id")
            for name, kind in kinds.items()
        ]
        await self.tables.CreateTable(pb.CreateTableRequest(table_id="t", table=schema_pb2.Table(columns=columns)))
        rows = pb.WriteOperation(table="t", insert=pb.Insert(rows=batch(range(ROWS), 0)))
        await self.tables.Write(pb.WriteRequest(operations=[rows]))
        session = spb.Session(query=query_pb2.Query(table="t"))
        await self.sessions.CreateSession(spb.CreateSessionRequest(session_id="s", session=session))

    async def commit(self) -> int:
        """Changes some rows; returns the version."""
        self.count += 1
        ids = [(self.count * CHANGED + n) % ROWS for n in range(CHANGED)]
        update = pb.WriteOperation(table="t", update=pb.Update(rows=batch(ids, self.count)))
        return int((await self.tables.Write(pb.WriteRequest(operations=[update]))).version)


@contextmanager
def server() -> Iterator[tuple[psutil.Process, str, str]]:
    """A server process, with its addresses for gRPC and for browsers."""
    command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", "127.0.0.1:0", "--http-port", "0"]
    process = subprocess.Popen([*command, "--log-level", "error"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address, http = (process.stdout.readline().removeprefix("listening on ").strip() for _ in range(2))
        yield psutil.Process(process.pid), address, http
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def watching(kind: str, count: int, address: str, http: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Watchers in a process of their own; it prints their number when they are there, and what they got at the end."""
    arguments = ["--watch", kind, "--watchers", str(count), "--address", address, "--http", http]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def messages(process: asyncio.subprocess.Process) -> int:
    """How many messages the watchers have got so far."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    return int(await process.stdout.readline())


# The process that watches


class Tally:
    """What was got."""

    messages = 0


async def read_http(http: str, kind: str, tally: Tally, live: asyncio.Queue[None], *, stops: bool) -> None:
    """One browser, which only counts; one that `stops` reads until it is there, and never again."""
    host, _, port = http.partition("://")[2].rpartition(":")
    request = spb.WatchSessionRequest(name="s")
    data = b'{"name":"s"}' if "json" in kind else request.SerializeToString()
    body = b"\x00" + len(data).to_bytes(4, "big") + data
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384 if stops else 1 << 18)
    small.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=small, limit=1 << 16)
    head = f"POST {WATCH} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.readuntil(b"\r\n\r\n")
    for number in range(1 << 60):
        size = int(await reader.readline(), 16)
        await reader.readexactly(size + 2)
        tally.messages += 1
        if number == 2:  # begin, rows, end of the snapshot
            live.put_nowait(None)
            if stops:
                await asyncio.Event().wait()


async def read_grpc(address: str, tally: Tally, live: asyncio.Queue[None]) -> None:
    """One gRPC client, which does not look at what it gets."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        raw: Any = channel
        number = 0
        async for _ in raw.unary_stream(WATCH)(spb.WatchSessionRequest(name="s").SerializeToString()):
            tally.messages += 1
            number += 1
            if number == 3:
                live.put_nowait(None)


async def watch(kind: str, count: int, address: str, http: str) -> None:
    """Watches until it is killed; says how many messages came whenever it is asked."""
    tally, live, tasks = Tally(), asyncio.Queue[None](), []
    for _ in range(count):
        if kind == "grpc":
            tasks.append(asyncio.create_task(read_grpc(address, tally, live)))
        else:
            stops, name = kind.startswith("stopped-"), KINDS[kind.removeprefix("stopped-")]
            tasks.append(asyncio.create_task(read_http(http, name, tally, live, stops=stops)))
        await live.get()
    print(count, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(tally.messages, flush=True)


# What is measured


async def cost(kind: str, count: int, seconds: float) -> dict[str, Any]:
    """Commits one after the other, as fast as they are acknowledged."""
    with server() as (process, address, http):
        writer = await Writer.prepared(address)
        async with watching(kind, count, address, http) as watchers:
            for _ in range(100):
                await writer.commit()
            before, cpu, begun = await messages(watchers), process.cpu_times(), time.perf_counter()
            commits = 0
            while time.perf_counter() - begun < seconds:
                await writer.commit()
                commits += 1
            passed = time.perf_counter() - begun
            got, spent = await messages(watchers) - before, process.cpu_times()
    busy = spent.user + spent.system - cpu.user - cpu.system
    return {
        "watchers": kind,
        "count": count,
        "commits_per_s": round(commits / passed),
        "messages_per_s": round(got / passed),
        "server_us_per_message": round(1e6 * busy / max(1, got), 1),
    }


async def company(kind: str, count: int, seconds: float) -> dict[str, Any]:
    """Fifty commits a second, and what ten gRPC watchers see of them."""
    with server() as (_, address, http):
        writer = await Writer.prepared(address)
        if kind == "nobody":
            return {"beside": kind, **await delays(writer, address, seconds)}
        async with watching(kind, count, address, http):
            return {"beside": f"{count} {kind}", **await delays(writer, address, seconds)}


async def delays(writer: Writer, address: str, seconds: float) -> dict[str, float]:
    """Milliseconds from asking for a commit to being told of it."""
    asked: dict[int, float] = {}
    heard: list[tuple[int, float]] = []

    async def listen() -> None:
        async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub: Any = session_service_pb2_grpc.SessionServiceStub(channel)
            async for response in stub.WatchSession(spb.WatchSessionRequest(name="s")):
                now = time.perf_counter()
                heard.extend([(response.to_version, now)] if response.HasField("changes") else [])

    listeners = [asyncio.create_task(listen()) for _ in range(10)]
    await asyncio.sleep(1)
    until = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < until:
        asked[await writer.commit()] = begun
        await asyncio.sleep(max(0.0, 0.02 - (time.perf_counter() - begun)))
    await asyncio.sleep(1)
    for listener in listeners:
        listener.cancel()
    found = sorted(1_000 * (at - asked[version]) for version, at in heard if version in asked)
    return {
        "p50_ms": round(found[len(found) // 2], 2),
        "p99_ms": round(found[len(found) * 99 // 100], 2),
        "told": len(found),
    }


async def main() -> None:
    """Runs what the flags say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    for name in ("--watch", "--address", "--http"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.watch:
        await watch(flags.watch, flags.watchers, flags.address, flags.http)
        return
    for kind in ("grpc", *KINDS):
        print(json.dumps(await cost(kind, flags.watchers, flags.seconds)), flush=True)
    for kind in ("nobody", "grpc", "connect", "connect-json", "stopped-connect"):
        print(json.dumps(await company(kind, flags.watchers, flags.seconds)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
