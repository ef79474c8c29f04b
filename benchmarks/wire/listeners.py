"""Watchers in a process of their own, which write down when they were told what.

Who was told version v at a time has by then seen the effect of every commit up to v, whether it came as a message of
its own or merged with others. So the delay of a commit is taken from the versions of the messages, not from their
contents, and a commit that a later one wrote over counts like any other.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from array import array
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from benchmarks.wire.blotter import open_channel
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2

METHOD = "/tesseract.v1.SessionService/WatchSession"
_PATIENCE = 120.0
_BINS_A_DOUBLING = 100  # bins are 0.7 % wide
_LOWEST = 1e-5  # seconds


@dataclass(frozen=True, slots=True)
class Told:
    """What watchers were told: each message's versions, and when it came by `time.monotonic`."""

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    at: NDArray[np.float64]
    versions: NDArray[np.int64]  # of each watcher, what it was told last


@dataclass(slots=True)
class Delays:
    """How long after their intended times commits were told, counted in bins of equal ratio."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3_000, np.int64))
    worst: float = 0.0

    def add(self, told: Told, intended: NDArray[np.float64], first: int) -> None:
        """Counts the commits that have the versions from `first` on, each once for every watcher."""
        for start in range(0, len(told.at), 50_000):
            part = slice(start, start + 50_000)
            low = np.clip(told.before[part] + 1 - first, 0, len(intended))
            high = np.clip(told.after[part] + 1 - first, 0, len(intended))
            sizes = np.maximum(high - low, 0)
            offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            self._count(np.repeat(told.at[part], sizes) - intended[np.repeat(low, sizes) + offsets])

    def add_missing(self, told: Told, intended: NDArray[np.float64], first: int, now: float) -> int:
        """Counts what watchers have not been told until now as told now, which is too good; returns how many."""
        missing = 0
        for version in told.versions.tolist():
            rest = intended[max(0, version + 1 - first) :]
            self._count(now - rest)
            missing += len(rest)
        return missing

    def _count(self, delays: NDArray[np.float64]) -> None:
        if len(delays):
            bins = np.log2(np.maximum(delays, _LOWEST) / _LOWEST) * _BINS_A_DOUBLING
            self.counts += np.bincount(bins.astype(np.int64).clip(0, 2_999), minlength=3_000)
            self.worst = max(self.worst, float(delays.max()))

    @property
    def count(self) -> int:
        """How many were counted."""
        return int(self.counts.sum())

    def percentile_ms(self, percent: float) -> float:
        """The delay that `percent` of all do not exceed, to a hundredth of itself."""
        place = int(np.searchsorted(np.cumsum(self.counts), self.count * percent / 100))
        return float(min(_LOWEST * 2 ** ((place + 1) / _BINS_A_DOUBLING), self.worst) * 1e3)


class Listeners:
    """`size` watchers of one session on `connections` connections, from `with` to the end of the block."""

    def __init__(self, address: str, session: str, size: int, connections: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        arguments = (address, session, size, min(size, connections), theirs)
        self._process = spawn.Process(target=_listen, args=arguments, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        if not self._pipe.poll(_PATIENCE):
            raise TimeoutError("the watchers have no snapshot")
        self._pipe.recv()
        return self

    def until(self, version: int, patience: float) -> Told:
        """What they were told since their snapshots, when all were told `version`, or after so many seconds."""
        self._pipe.send((version, time.monotonic() + patience))
        if not self._pipe.poll(patience + _PATIENCE):
            raise TimeoutError("the watchers do not answer")
        told: Told = self._pipe.recv()
        return told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()


def _listen(address: str, session: str, size: int, connections: int, pipe: Connection) -> None:
    asyncio.run(_Group(address, session, size, connections).run(pipe))


class _Group:
    """The watchers, inside their process."""

    def __init__(self, address: str, session: str, size: int, connections: int) -> None:
        self._address = address
        self._request = session_service_pb2.WatchSessionRequest(name=session).SerializeToString()
        self._connections = connections
        self._versions = [0] * size
        self._before, self._after, self._at = array("q"), array("q"), array("d")
        self._live = asyncio.Semaphore(0)
        self._last: tuple[bytes, session_service_pb2.WatchSessionResponse] | None = None

    async def run(self, pipe: Connection) -> None:
        """Watches until every watcher was told the version that is asked for, and hands over what they heard."""
        channels = [open_channel(self._address) for _ in range(self._connections)]
        size = len(self._versions)
        tasks = [asyncio.create_task(self._watch(channels[n % len(channels)], n)) for n in range(size)]
        for _ in range(size):
            await self._live.acquire()
        pipe.send(None)
        version, deadline = await asyncio.to_thread(pipe.recv)
        while min(self._versions) < version and time.monotonic() < deadline:
            if ended := [task for task in tasks if task.done()]:
                ended[0].result()
            await asyncio.sleep(0.01)
        before, after = np.array(self._before, np.int64), np.array(self._after, np.int64)
        pipe.send(Told(before, after, np.array(self._at), np.array(self._versions, np.int64)))

    async def _watch(self, channel: grpc.aio.Channel, number: int) -> None:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(METHOD)
        async for data in watch(self._request):
            message = self._decode(data)
            if message.HasField("snapshot_end"):
                self._versions[number] = message.to_version
                self._live.release()
            elif not message.continued and message.to_version > self._versions[number] > 0:
                self._before.append(self._versions[number])
                self._after.append(message.to_version)
                self._at.append(time.monotonic())
                self._versions[number] = message.to_version
        raise RuntimeError("a watch ended by itself")

    def _decode(self, data: bytes) -> session_service_pb2.WatchSessionResponse:
        """Watchers of one session get the same bytes: they are decoded once for as many in a row as got them."""
        if self._last is None or self._last[0] != data:
            self._last = (data, session_service_pb2.WatchSessionResponse.FromString(data))
        return self._last[1]
