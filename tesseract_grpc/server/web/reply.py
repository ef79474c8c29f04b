"""The answer to one call, in the format of its request."""

from __future__ import annotations

from typing import Any

from grpc import StatusCode

from tesseract_grpc.server.web import compression
from tesseract_grpc.server.web.codes import HTTP_STATUS
from tesseract_grpc.server.web.connection import Connection
from tesseract_grpc.server.web.ending import Ending
from tesseract_grpc.server.web.formats import Format, Shape
from tesseract_grpc.server.web.framing import Framings
from tesseract_grpc.server.web.head import Head
from tesseract_grpc.server.web.json_out import to_json

_JSON = ("content-type", "application/json")


class Reply:
    """What a client is told, from the head of the answer to its end."""

    def __init__(
        self,
        connection: Connection,
        head: Head,
        format: Format,
        framings: Framings,
        response_class: Any,
        headers: list[tuple[str, str]],
    ) -> None:
        """`headers` are those of every answer to this client."""
        accepted = head.get(format.accepts_header) if format.accepts_header else ""
        self.ended = False
        """Whether the end has been told."""
        self._connection = connection
        self._format = format
        self._packs = compression.accepts_gzip(accepted)
        self._framing = framings.of(format, packs=self._packs, chunked=head.chunked_answers)
        self._response_class = response_class
        self._headers = headers
        self._begun = False

    async def message(self, payload: bytes) -> None:
        """One response. Returns when the client takes it."""
        if self._format.shape is Shape.SINGLE:
            await self._single(payload)
            return
        framed = await self._framing.message(payload, self._response_class)
        self._begin()
        await self._connection.write(framed)

    async def end(self, ending: Ending) -> None:
        """The end, when the client has taken what it was told before."""
        if self.ended:
            return
        failed = ending.code is not StatusCode.OK
        if failed and not self._begun and self._format.shape in (Shape.SINGLE, Shape.LINES):
            self.ended = True
            self._connection.respond(HTTP_STATUS[ending.code], self._error_headers(ending), ending.connect_json())
            return
        await self._connection.room()
        self.ended = True  # nothing waits from here on, so nobody can be interrupted in the middle of it
        self._begin()
        self._connection.put(self._framing.end(ending))
        self._connection.finish()

    async def _single(self, payload: bytes) -> None:
        data = await to_json(payload, self._response_class) if self._format.json else payload
        headers = [*self._headers, ("content-type", self._format.content_type)]
        if self._packs and len(data) >= compression.SHORTEST:
            data = await compression.pack(data)
            headers.append((self._format.compression_header, "gzip"))
        self.ended = True
        self._connection.respond(200, headers, data)

    def _begin(self) -> None:
        """The head of a stream. Proxies are asked not to collect what should arrive at once."""
        if self._begun:
            return
        self._begun = True
        headers = [*self._headers, ("content-type", self._format.content_type), ("x-accel-buffering", "no")]
        if self._packs:
            headers.append((self._format.compression_header, "gzip"))
        self._connection.begin(200, headers)

    def _error_headers(self, ending: Ending) -> list[tuple[str, str]]:
        challenge = [("www-authenticate", "Bearer")] if ending.code is StatusCode.UNAUTHENTICATED else []
        return [*self._headers, _JSON, *challenge]
