"""A port that takes JSON over HTTP/1.1 and gives JSON back: just enough of it for the test code of any language."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from tests.clients.servers import StageError

Handler = Callable[[str, str, dict[str, Any]], Awaitable[Any]]
"""Takes method, path and body. Raises LookupError for what is not there, StageError for what cannot be done."""


class Control:
    """One port."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").rstrip().split("\r\n")
                method, path, _ = first.split(" ", 2)
                headers = {name.strip().lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
                content = await _content(reader, headers)
                status, answer = await self._answer(method, path, content)
                await _send(writer, status, answer)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, path: str, content: bytes) -> tuple[HTTPStatus, Any]:
        try:
            body = json.loads(content or b"{}")
            if not isinstance(body, dict):
                raise StageError("the body must be an object")
            return HTTPStatus.OK, await self._handler(method, path.partition("?")[0], body)
        except LookupError as error:
            return HTTPStatus.NOT_FOUND, {"error": f"there is no {error}"}
        except (StageError, ValueError, TypeError) as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        except Exception as error:
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": f"{type(error).__name__}: {error}"}


async def _content(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readline()
    while (await reader.readline()).strip():  # trailers
        pass
    return b"".join(pieces)


async def _send(writer: asyncio.StreamWriter, status: HTTPStatus, answer: Any) -> None:
    content = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
    head += f"Access-Control-Allow-Origin: *\r\nContent-Length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()


@asynccontextmanager
async def controlling(handler: Handler, port: int) -> AsyncIterator[str]:
    """Serves `handler`; gives the address."""
    server = await asyncio.start_server(Control(handler).serve, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
