"""Answers as bytes for a socket, made once for all who are told the same.

A change that a hundred pages watch comes here as the same bytes a hundred times (`streams/pieces.py`). The first time
it is translated to JSON, packed, and put into its frame and its HTTP chunk, as the format asks; after that it is found
here. What is kept is little: the last few messages of each framing.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from grpc import StatusCode

from tesseract_grpc.server.web import compression
from tesseract_grpc.server.web.ending import Ending, compact
from tesseract_grpc.server.web.formats import Format, Shape
from tesseract_grpc.server.web.json_out import to_json

KEPT = 8
"""The most messages that are kept, of each framing."""

LARGEST_KEPT = 4 << 20
"""The most bytes of a message that is kept; pieces of results and changes are smaller."""

_PACKED = 0x01
_CONNECT_END = 0x02
_WEB_END = 0x80


class Framing:
    """How the messages of one format are put into bytes."""

    def __init__(self, format: Format, *, packs: bool, chunked: bool) -> None:
        self._format = format
        self._packs = packs
        self._chunked = chunked
        self._plain = not format.json and not packs
        # The payload is kept beside what was made of it, so that nothing else can have its id.
        self._kept: dict[tuple[int, Any], tuple[bytes, bytes | asyncio.Task[bytes]]] = {}

    async def message(self, payload: bytes, message_class: Any) -> bytes:
        """The bytes that tell a message. O(1) for all but the first of those who are told the same."""
        key = (id(payload), message_class)
        kept = self._kept.get(key)
        if kept is None:
            if self._plain:
                made: bytes | asyncio.Task[bytes] = self._frame(payload, 0)
            else:
                made = asyncio.create_task(self._make(key, payload, message_class))
            self._keep(key, payload, made)
        else:
            made = kept[1]
        # One who goes away takes nothing from the others.
        return made if isinstance(made, bytes) else await asyncio.shield(made)

    def end(self, ending: Ending) -> bytes:
        """The bytes that tell how a stream ended; none where its end says enough."""
        match self._format.shape:
            case Shape.CONNECT:
                return self._chunk(_envelope(_CONNECT_END, ending.connect_stream_json()))
            case Shape.WEB:
                return self._chunk(_envelope(_WEB_END, ending.web_trailers()))
            case Shape.WEB_TEXT:
                return self._chunk(base64.b64encode(_envelope(_WEB_END, ending.web_trailers())))
            case _ if ending.code is StatusCode.OK:
                return b""
            case _:
                return self._chunk(compact({"error": ending.connect_error()}) + b"\n")

    def _keep(self, key: tuple[int, Any], payload: bytes, made: bytes | asyncio.Task[bytes]) -> None:
        if isinstance(made, bytes) and len(made) > LARGEST_KEPT:
            self._kept.pop(key, None)
            return
        self._kept[key] = payload, made
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    async def _make(self, key: tuple[int, Any], payload: bytes, message_class: Any) -> bytes:
        flags, data = 0, payload
        try:
            if self._format.json:
                data = await to_json(payload, message_class)
            if self._packs and len(data) >= compression.SHORTEST:
                flags, data = _PACKED, await compression.pack(data)
        except BaseException:
            self._kept.pop(key, None)
            raise
        made = self._frame(data, flags)
        if key in self._kept:
            self._keep(key, payload, made)
        return made

    def _frame(self, data: bytes, flags: int) -> bytes:
        match self._format.shape:
            case Shape.LINES:
                return self._chunk(data + b"\n")
            case Shape.WEB_TEXT:
                return self._chunk(base64.b64encode(_envelope(flags, data)))
            case _:
                return self._chunk(_envelope(flags, data))

    def _chunk(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data


def _envelope(flags: int, data: bytes) -> bytes:
    return b"".join((bytes((flags,)), len(data).to_bytes(4, "big"), data))


class Framings:
    """The framings of a port, one for each way to answer."""

    def __init__(self) -> None:
        self._found: dict[tuple[Format, bool, bool], Framing] = {}

    def of(self, format: Format, *, packs: bool, chunked: bool) -> Framing:
        """The one framing for this. `chunked` is how HTTP/1.1 has bodies of unknown length."""
        key = (format, packs, chunked)
        if key not in self._found:
            self._found[key] = Framing(format, packs=packs, chunked=chunked)
        return self._found[key]
