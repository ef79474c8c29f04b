"""A thousand watchers lose their connections, are away while commits go on, and come back at once with their tokens.

None of them may be sent a snapshot. The time of each counts from the moment at which all come back to when it has been
told the version that the hub had then.
"""

from __future__ import annotations

import asyncio
import time

import grpc.aio

from benchmarks.measure import percentile
from benchmarks.wire.blotter import open_channel
from benchmarks.wire.latency import SESSION, prepare_board, timed_writer
from benchmarks.wire.listeners import METHOD
from benchmarks.wire.pace import for_seconds, open_loop
from benchmarks.wire.server import ServerProcess
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, session_service_pb2
from tesseract_grpc._proto.tesseract.v1.hub_service_pb2_grpc import HubServiceStub

WATCHERS = 1_000
CONNECTIONS = 50
AWAY_SECONDS = 10.0
COMMITS_A_SECOND = 100.0
PATIENCE = 120.0


def run_resume(_: str, settings: Settings) -> Figures:
    """How long a watcher takes to be current again, p50 and p99."""
    with ServerProcess() as server:
        return asyncio.run(_resume(server, settings))


async def _resume(server: ServerProcess, settings: Settings) -> Figures:
    size = settings.scaled(WATCHERS, least=5)
    seconds = max(0.5, AWAY_SECONDS * min(1.0, settings.scale))
    async with open_channel(server.address) as channel:
        ids = await prepare_board(channel, settings.seed)
        tokens = await _tokens(server.address, size)
        commits = await open_loop(COMMITS_A_SECOND, for_seconds(seconds), timed_writer(channel, ids, 1))
        hub = (await HubServiceStub(channel).GetHub(hub_service_pb2.GetHubRequest(name="default"))).hub
        cpu, start = server.cpu(), time.monotonic()
        comers = await _come_back(server.address, tokens, hub.version)
        cpu = server.cpu() - cpu
    waits = [at - start for at, _ in comers]
    detail = {
        "worst_ms": max(waits) * 1e3,
        "commits_missed": float(commits),
        "bytes_a_watcher": sum(size for _, size in comers) / len(comers),
        "server_cpu_ms_a_watcher": cpu / len(comers) * 1e3,
    }
    return {
        "resume_p50": Figure(percentile(waits, 50) * 1e3, detail),
        "resume_p99": Figure(percentile(waits, 99) * 1e3, detail),
    }


async def _tokens(address: str, size: int) -> list[bytes]:
    """Watches with all of them until each has its snapshot and a token, and breaks the connections off."""

    async def first_token(channel: grpc.aio.Channel) -> bytes:
        request = session_service_pb2.WatchSessionRequest(name=SESSION)
        async for data in _watch(channel, request):
            response = session_service_pb2.WatchSessionResponse.FromString(data)
            if response.resume_token and not response.continued:
                return response.resume_token
        raise RuntimeError("a watch ended by itself")

    channels = [open_channel(address) for _ in range(min(size, CONNECTIONS))]
    async with asyncio.timeout(PATIENCE):
        tokens = await asyncio.gather(*(first_token(channels[n % len(channels)]) for n in range(size)))
    await asyncio.gather(*(channel.close() for channel in channels))
    return tokens


async def _come_back(address: str, tokens: list[bytes], version: int) -> list[tuple[float, int]]:
    """When each was told `version`, and how many bytes that took."""

    async def current(channel: grpc.aio.Channel, token: bytes) -> tuple[float, int]:
        request = session_service_pb2.WatchSessionRequest(name=SESSION, resume_token=token)
        size = 0
        async for data in _watch(channel, request):
            size += len(data)
            response = session_service_pb2.WatchSessionResponse.FromString(data)
            if response.HasField("begin") and not response.begin.resumed:
                raise AssertionError("the token was not taken")
            if response.WhichOneof("event") in ("snapshot_rows", "reset"):
                raise AssertionError("a snapshot was sent to one who came back")
            if response.to_version >= version and not response.continued:
                return time.monotonic(), size
        raise RuntimeError("a watch ended by itself")

    channels = [open_channel(address) for _ in range(min(len(tokens), CONNECTIONS))]
    async with asyncio.timeout(PATIENCE):
        found = await asyncio.gather(*(current(channels[n % len(channels)], each) for n, each in enumerate(tokens)))
    await asyncio.gather(*(channel.close() for channel in channels))
    return found


def _watch(
    channel: grpc.aio.Channel, request: session_service_pb2.WatchSessionRequest
) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
    watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(METHOD)
    return watch(request.SerializeToString())
