"""The watchers of a table that is altered, in a process of their own.

While it runs they only write down what came and when. Afterwards every stream is put to all validators, and every
mirror is compared with what the session shows to who asks it anew.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import grpc.aio

from benchmarks.wire.blotter import TABLE, open_channel
from tesseract_grpc._proto.tesseract.v1 import query_pb2
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb
from tesseract_grpc._proto.tesseract.v1.session_service_pb2_grpc import SessionServiceStub
from tesseract_grpc.testing import (
    check_stream,
    fold,
    rows_of,
    validate_atomic,
    validate_bookmarkable,
    validate_contiguous,
    validate_ordered,
)

PATIENCE = 300.0
PAGE = query_pb2.Window(offset=0, limit=40)
TABLES = 2
"""So many watch the table itself, and hold no rows."""
INTERVAL_MS = 50
"""How often a watcher wants to be told at most."""

Response = spb.WatchSessionResponse | pb.WatchTableResponse


@dataclass(frozen=True, slots=True)
class Heard:
    """When each watcher was told something, and how many responses were validated."""

    times: list[list[float]]
    responses: int


class Watchers:
    """`size` watchers of some sessions and of the table, from `with` to the end of the block."""

    def __init__(self, address: str, sessions: Mapping[str, object], size: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_watch_all, args=(address, list(sessions), size, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._receive()
        return self

    def until(self, version: int, patience: float) -> Heard:
        """What they heard, when all were told `version`. Raises RuntimeError when a promise was broken."""
        self._pipe.send((version, time.monotonic() + patience))
        found = self._receive()
        if not isinstance(found, Heard):
            raise RuntimeError(str(found))
        return found

    def _receive(self) -> object:
        if not self._pipe.poll(PATIENCE):
            raise TimeoutError("the watchers do not answer")
        return self._pipe.recv()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()


def _watch_all(address: str, sessions: list[str], size: int, pipe: Connection) -> None:
    try:
        asyncio.run(_Herd(address, sessions, size).run(pipe))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


class _Watcher:
    """One watch and all that came."""

    def __init__(self, name: str, window: query_pb2.Window | None) -> None:
        self.name = name  # of the session; empty for the table
        self.window = window
        self.responses: list[Response] = []
        self.times: list[float] = []
        self.version = 0
        self.live = asyncio.Event()

    async def run(self, channel: grpc.aio.Channel) -> None:
        async for response in self._call(channel):
            self.responses.append(response)
            event = response.WhichOneof("event")
            if not response.continued:
                self.version = response.to_version
            if event in ("changes", "snapshot_end", "progress"):
                self.times.append(time.monotonic())
            if event == "snapshot_end" or not self.name:
                self.live.set()
        raise RuntimeError(f"the watch of '{self.name}' ended by itself")

    def _call(self, channel: grpc.aio.Channel) -> grpc.aio.UnaryStreamCall[bytes, Response]:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, Response]
        if not self.name:
            watch = channel.unary_stream(
                "/tesseract.v1.TableService/WatchTable", response_deserializer=pb.WatchTableResponse.FromString
            )
            request = pb.WatchTableRequest(table=TABLE)
            request.min_interval.FromMilliseconds(INTERVAL_MS)
            return watch(request.SerializeToString())
        watch = channel.unary_stream(
            "/tesseract.v1.SessionService/WatchSession", response_deserializer=spb.WatchSessionResponse.FromString
        )
        asked = spb.WatchSessionRequest(name=self.name, window=self.window)
        asked.min_interval.FromMilliseconds(INTERVAL_MS)
        return watch(asked.SerializeToString())

    async def verify(self, channel: grpc.aio.Channel) -> None:
        """All promises, and the mirror against the session. Raises ContractViolation, AssertionError."""
        if not self.name:  # it holds no rows, and was told all of the table several times
            for validate in (validate_ordered, validate_contiguous, validate_atomic, validate_bookmarkable):
                validate(self.responses)
            return
        check_stream(self.responses)
        mirror = fold(self.responses)
        page = await SessionServiceStub(channel).QuerySession(
            spb.QuerySessionRequest(name=self.name, window=self.window)
        )
        if page.version != mirror.version or repr(rows_of(page.rows)) != repr(mirror.rows):
            mine, true = [repr(row) for row in mirror.rows], [repr(row) for row in rows_of(page.rows)]
            wrong = [pair for pair in zip(mine, true, strict=False) if pair[0] != pair[1]][:2]
            what = f"the mirror of {self.name} at {mirror.version} has {len(mine)} rows, {len(true)} at {page.version}"
            raise AssertionError(f"{what}: {wrong}")


class _Herd:
    """The watchers, inside their process."""

    def __init__(self, address: str, sessions: list[str], size: int) -> None:
        self._address = address
        windows = [PAGE if name in ("page", "narrow", "worked_out") else None for name in sessions]
        known = list(zip(sessions, windows, strict=True))
        self._watchers = [_Watcher(*known[number % len(known)]) for number in range(size - TABLES)]
        self._watchers += [_Watcher("", None) for _ in range(TABLES)]

    async def run(self, pipe: Connection) -> None:
        """Watches until everybody was told the version that is asked for, and judges what they heard."""
        channels = [open_channel(self._address) for _ in range(10)]
        tasks = [
            asyncio.create_task(watcher.run(channels[number % len(channels)]))
            for number, watcher in enumerate(self._watchers)
        ]
        for watcher in self._watchers:
            await watcher.live.wait()
        pipe.send("watching")
        version, deadline = await asyncio.to_thread(pipe.recv)
        while min(watcher.version for watcher in self._watchers) < version:
            if ended := [task for task in tasks if task.done()]:
                ended[0].result()
            if time.monotonic() > deadline:
                behind = [(each.name, each.version) for each in self._watchers if each.version < version]
                raise TimeoutError(f"not told version {version}: {behind[:5]}")
            await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        for watcher in self._watchers:
            await watcher.verify(channels[0])
        responses = sum(len(watcher.responses) for watcher in self._watchers)
        pipe.send(Heard([watcher.times for watcher in self._watchers], responses))
