"""The body of a request, while it arrives.

It is read no faster than it is taken: above `HIGH` bytes the connection is told to stop reading, below `LOW` to go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import Refusal, limit_exceeded

HIGH = 65_536
LOW = 16_384


class Body:
    """What arrives, in the order of arriving."""

    def __init__(self, want: Callable[[], None], pause: Callable[[bool], None]) -> None:
        """`want` is called before the first byte is waited for; `pause` stops the reading, or lets it go on."""
        self.complete = False
        """Whether all of it has arrived."""
        self.patient = False
        """Whether it may take as long as it likes, as a stream of requests may."""
        self._want = want
        self._pause = pause
        self._paused = False
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._unwanted = False
        self._lost: str | None = None
        self._news: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """Some of it has arrived."""
        if self._unwanted:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH and not self._paused:
            self._paused = True
            self._pause(True)
        self._tell()

    def end(self) -> None:
        """All of it has arrived."""
        self.complete = True
        self._tell()

    def lose(self, why: str) -> None:
        """The rest will not arrive."""
        self._lost = why
        self._tell()

    def forget(self) -> None:
        """Nobody wants what arrives from now on."""
        self._unwanted = True
        self._chunks.clear()
        self._size = 0
        self._go_on()

    async def take(self) -> bytes | None:
        """The next bytes; None after the last. Raises Refusal when the rest will not arrive."""
        while not self._chunks:
            if self.complete:
                return None
            if self._lost is not None:
                raise Refusal(Reason.MALFORMED_REQUEST, f"the rest of the request is missing: {self._lost}")
            self._want()
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        data = self._chunks.popleft()
        self._size -= len(data)
        if self._size <= LOW:
            self._go_on()
        return data

    async def whole(self, limit: int) -> bytes:
        """All of it. Raises Refusal, also when it is larger than `limit` bytes."""
        found = bytearray()
        while (data := await self.take()) is not None:
            found += data
            if len(found) > limit:
                raise limit_exceeded("max_message_bytes", limit, "the request is larger")
        return bytes(found)

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._pause(False)

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
