"""Requests as protobuf bytes, taken out of a body in whatever format they came."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncGenerator
from typing import Any

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import Refusal, limit_exceeded
from tesseract_grpc.server.web.body import Body
from tesseract_grpc.server.web.compression import unpack
from tesseract_grpc.server.web.formats import Format, Shape
from tesseract_grpc.server.web.json_in import MOST_BYTES, from_json

_PREFIX = 5
_PACKED = 0x01
_ENDS = {Shape.CONNECT: 0x02, Shape.WEB: 0x80, Shape.WEB_TEXT: 0x80}
"""The flag of an envelope that ends a body."""

_QUANTA = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


class Requests:
    """The requests of one call."""

    def __init__(self, body: Body, format: Format, message_class: Any, limit: int, *, packed: bool) -> None:
        """`limit` is the most bytes of a message, as it comes and unpacked; of JSON they are at most `MOST_BYTES`.
        `packed` says whether it may be gzip."""
        self._body = body
        self._format = format
        self._class = message_class
        self._limit = min(limit, MOST_BYTES) if format.json else limit
        self._packed = packed

    async def one(self) -> bytes:
        """The only request. Raises Refusal when there is none, or another one."""
        if self._format.shape is Shape.SINGLE:
            data = await self._body.whole(self._limit)
            return await self._read(data, self._packed)
        found: bytes | None = None
        async for data in self.many():
            if found is not None:
                raise Refusal(Reason.MALFORMED_REQUEST, "this method takes one request, and here is another one")
            found = data
        if found is None:
            raise Refusal(Reason.MALFORMED_REQUEST, "this method takes one request, and here is none")
        return found

    async def many(self) -> AsyncGenerator[bytes, None]:
        """One request after the other, as they arrive. Raises Refusal."""
        if self._format.shape is Shape.LINES:
            async for line in self._lines():
                yield await self._read(line, packed=False)
            return
        async for flags, data in self._envelopes():
            if flags & _PACKED and not self._packed:
                header = self._format.compression_header
                raise Refusal(Reason.MALFORMED_REQUEST, f"a message is packed, and {header} does not say how")
            yield await self._read(data, bool(flags & _PACKED))

    async def _read(self, data: bytes, packed: bool) -> bytes:
        if packed:
            data = unpack(data, self._limit)
        return await from_json(data, self._class) if self._format.json else data

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        rest = bytearray()
        searched = 0  # what holds no end of a line
        async for data in self._pieces():
            rest += data
            while (end := rest.find(b"\n", searched)) >= 0:
                line = bytes(rest[:end])
                del rest[: end + 1]
                searched = 0
                if line.strip():
                    yield line
            searched = len(rest)
            self._check_size(searched)
        if rest.strip():
            yield bytes(rest)

    async def _envelopes(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Flags and contents; not those of the end."""
        rest = bytearray()
        async for data in self._pieces():
            rest += data
            while len(rest) >= _PREFIX:
                flags, size = rest[0], int.from_bytes(rest[1:_PREFIX], "big")
                if flags & ~(_PACKED | _ENDS[self._format.shape]):
                    raise Refusal(Reason.MALFORMED_REQUEST, f"there is no envelope with the flags {flags:#04x}")
                self._check_size(size)
                if len(rest) < _PREFIX + size:
                    break
                content = bytes(rest[_PREFIX : _PREFIX + size])
                del rest[: _PREFIX + size]
                if not flags & _ENDS[self._format.shape]:
                    yield flags, content
        if rest:
            raise Refusal(Reason.MALFORMED_REQUEST, "the body ends in the middle of an envelope")

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; of base64, once it is there."""
        if self._format.shape is Shape.WEB_TEXT:
            yield _plain(await self._body.whole(2 * self._limit))
            return
        while (data := await self._body.take()) is not None:
            yield data

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise limit_exceeded("max_message_bytes", self._limit, f"the request has {size} bytes or more")


def _plain(text: bytes) -> bytes:
    """What was in base64, in one piece or in several. Raises Refusal."""
    text = b"".join(text.split())
    found, at = [], 0
    try:
        while at < len(text):
            piece = _QUANTA.match(text, at)
            if piece is None or piece.end() == at:
                raise binascii.Error
            found.append(base64.b64decode(piece.group(), validate=True))
            at = piece.end()
    except binascii.Error:
        raise Refusal(Reason.MALFORMED_REQUEST, "the body is said to be base64, and is not") from None
    return b"".join(found)
