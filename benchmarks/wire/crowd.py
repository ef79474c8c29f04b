"""Many watchers of one session in one event loop.

Every watcher is a stream of its own, spread over a number of connections. All watchers of a session get the same bytes
for the same change, so a message is decoded once for as many watchers in a row as received it: the crowd must cost less
than the server that it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self

import grpc.aio

from benchmarks.wire.blotter import open_channel
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2

_PATIENCE = 120.0  # seconds; a crowd that waits longer than this will wait for ever
_METHOD = "/tesseract.v1.SessionService/WatchSession"

OnChanges = Callable[[session_service_pb2.WatchSessionResponse, float], None]


class Crowd:
    """`size` watchers on `connections` connections."""

    def __init__(
        self, address: str, session: str, size: int, connections: int, on_changes: OnChanges | None = None
    ) -> None:
        self.size = size
        self.messages = 0  # Changes received by all watchers
        self._session = session
        self._on_changes = on_changes
        self._channels = [open_channel(address) for _ in range(min(size, connections))]
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[int, int] = {}  # version: watchers that have not reached it
        self._reached: dict[int, asyncio.Event] = {}
        self._versions = [0] * size
        self._live = 0
        self._all_live = asyncio.Event()
        self._last: tuple[bytes, session_service_pb2.WatchSessionResponse] | None = None

    async def __aenter__(self) -> Self:
        for number in range(self.size):
            channel = self._channels[number % len(self._channels)]
            self._tasks.append(asyncio.create_task(self._watch(channel, number)))
        live = asyncio.create_task(self._all_live.wait())
        done, _ = await asyncio.wait([live, *self._tasks], timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {live}:
            task.result()  # a watch that ended early raises its status here
        if live not in done:
            raise TimeoutError(f"{self._live} of {self.size} watchers have their snapshot")
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def reached(self, version: int) -> None:
        """Wait until every watcher has everything up to `version`."""
        behind = sum(1 for have in self._versions if have < version)
        if not behind:
            return
        self._waiting[version] = behind
        event = self._reached[version] = asyncio.Event()
        async with asyncio.timeout(_PATIENCE):
            await event.wait()

    async def _watch(self, channel: grpc.aio.Channel, number: int) -> None:
        request = session_service_pb2.WatchSessionRequest(name=self._session).SerializeToString()
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(_METHOD)
        async for data in watch(request):
            message = self._decode(data)
            kind = message.WhichOneof("event")
            if kind == "snapshot_end":
                self._versions[number] = message.to_version
                self._live += 1
                if self._live == self.size:
                    self._all_live.set()
            elif kind == "changes":
                self.messages += 1
                if self._on_changes is not None:
                    self._on_changes(message, time.monotonic())
            if not message.continued and kind in ("changes", "progress"):
                self._advance(number, message.to_version)
        raise RuntimeError("a watch ended by itself")

    def _decode(self, data: bytes) -> session_service_pb2.WatchSessionResponse:
        if self._last is None or self._last[0] != data:
            self._last = (data, session_service_pb2.WatchSessionResponse.FromString(data))
        return self._last[1]

    def _advance(self, number: int, version: int) -> None:
        before, self._versions[number] = self._versions[number], version
        for waited in list(self._waiting):
            if before < waited <= version:
                self._waiting[waited] -= 1
                if not self._waiting[waited]:
                    del self._waiting[waited]
                    self._reached.pop(waited).set()
