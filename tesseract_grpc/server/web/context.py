"""What a handler gets in the place of gRPC's context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import grpc

from tesseract_grpc.server.web.ending import Ending
from tesseract_grpc.server.web.reply import Reply


class WebContext:
    """The context of one call."""

    def __init__(
        self,
        reply: Reply,
        peer: str,
        metadata: Sequence[tuple[str, str]],
        deadline: float | None,
        serialize: Callable[[Any], bytes] | None,
    ) -> None:
        """`deadline` is by the clock of the loop."""
        self._reply = reply
        self._peer = peer
        self._metadata = metadata
        self._deadline = deadline
        self._serialize = serialize

    def peer(self) -> str:
        """The network address of the client."""
        return self._peer

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        """The headers of the request."""
        return self._metadata

    def time_remaining(self) -> float | None:
        """Seconds to the call's deadline; None when it has none."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def write(self, response: Any) -> None:
        """Tells a response; returns when the client takes it."""
        await self._reply.message(response if self._serialize is None else self._serialize(response))

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Iterable[tuple[str, Any]] = ()
    ) -> NoReturn:
        """Ends the call with a status, when the client has taken what it was told before."""
        await self._reply.end(Ending.told(code, details, trailing_metadata))
        raise grpc.aio.AbortError
