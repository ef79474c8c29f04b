"""What stands between a client and a server, and misbehaves when told to.

It forwards TCP. A *black hole* forwards nothing in either direction, while connections stay open and new ones are
accepted: to both ends the other one is silent. What they sent meanwhile is not lost, as TCP would send it again: it
arrives after `heal`. `cut` breaks all connections at once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

PIECE = 65_536


class Proxy:
    """Forwards connections to `target`, a `host:port`."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        """How many there have been."""

    async def start(self, port: int) -> Self:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        return self

    @property
    def address(self) -> str:
        """What clients connect to."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def blackhole(self) -> None:
        """Nothing arrives any more."""
        self._open.clear()

    def heal(self) -> None:
        """Everything arrives, also what was sent meanwhile."""
        self._open.set()

    def cut(self) -> None:
        """Breaks all connections of now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        """Ends everything."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            answers, far = await asyncio.open_connection(*self._target, limit=PIECE)
            self._writers.add(far)
            await asyncio.gather(self._forward(reader, far), self._forward(answers, writer))
        except OSError:  # nobody is there, or one end has gone: so does the other
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        await self._open.wait()
        with suppress(OSError):
            writer.write_eof()
