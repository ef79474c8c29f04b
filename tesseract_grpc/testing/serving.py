"""A whole server in this process, on a free port of the loopback, gone at the end.

    with running_server() as server:
        with EventHorizon.connect(server.address) as hub:
            ...

    async with running_async_server() as server:
        ...

Options are those of `ServerConfig`; `clock` (a `ManualClock`, say) gives the times that clients are told.

The synchronous form runs the server in a thread with a loop of its own; whatever
touches the server's own objects must run there, which is what `RunningServer.run` is for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import grpc

from tesseract_grpc.server import Server, ServerConfig

Clock = Callable[[], float]
T = TypeVar("T")

_PATIENCE = 30.0
"""Seconds that starting and stopping may take."""


def local_config(**options: Any) -> ServerConfig:
    """A configuration for tests: a free port of the loopback, and a short drain."""
    return ServerConfig(**{"listen": "127.0.0.1:0", "drain_timeout": 2.0, **options})


@asynccontextmanager
async def running_async_server(
    config: ServerConfig | None = None, *, clock: Clock = time.time, **options: Any
) -> AsyncIterator[Server]:
    """A server in the running loop."""
    async with Server(config or local_config(**options), clock=clock) as server:
        yield server


class RunningServer:
    """A server in a thread of its own."""

    def __init__(self, config: ServerConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._server: Server | None = None
        self._error: BaseException | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main, name="running-server", daemon=True)

    @property
    def address(self) -> str:
        """What a client connects to."""
        return self.server.address

    @property
    def server(self) -> Server:
        """The server; touch it in its own loop only, with `run`."""
        assert self._server is not None, "the server is not running"
        return self._server

    def channel(self, **options: Any) -> grpc.Channel:
        """A channel to the server, to be used in a `with`. `options` are those of gRPC without their "grpc."."""
        pairs = [(f"grpc.{name}", value) for name, value in options.items()]
        return grpc.insecure_channel(self.address, options=pairs)

    def run(self, function: Callable[[Server], T]) -> T:
        """Calls `function(server)` in the server's loop and returns what it returns."""

        async def call() -> T:
            return function(self.server)

        assert self._loop is not None, "the server is not running"
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(_PATIENCE)

    def start(self) -> None:
        """Starts the thread and waits until the server serves. Raises what keeps it from serving."""
        self._thread.start()
        self._started.wait(_PATIENCE)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Drains the server and waits for the end of the thread."""
        if self._loop is not None and self._end is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "the server does not stop"

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with Server(self._config, clock=self._clock) as self._server:
            self._started.set()
            await self._end.wait()


@contextmanager
def running_server(
    config: ServerConfig | None = None, *, clock: Clock = time.time, **options: Any
) -> Iterator[RunningServer]:
    """A server in a thread of its own."""
    running = RunningServer(config or local_config(**options), clock)
    running.start()
    try:
        yield running
    finally:
        running.stop()
