"""The ways to say the same: what each content type means.

| content type | shape | who |
|---|---|---|
| `application/json`, `application/proto` | the body is one message | Connect, unary; curl |
| `application/connect+json`, `+proto` | five bytes before each message; the last says how it ended | Connect, streams |
| `application/grpc-web[+proto]`, `+json` | the same; the last frame holds trailers | gRPC-Web |
| `application/grpc-web-text[+proto]` | the same in base64 | gRPC-Web, as text |
| `application/x-ndjson` | one message a line; an `error` line when it ended badly | curl, jq |

The answer has the content type of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How messages lie in a body."""

    SINGLE = "single"
    CONNECT = "connect"
    WEB = "grpc-web"
    WEB_TEXT = "grpc-web-text"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Format:
    """One way to say it."""

    content_type: str
    shape: Shape
    json: bool

    @property
    def compression_header(self) -> str:
        """The header that names the compression of the messages."""
        return _COMPRESSION[self.shape]

    @property
    def accepts_header(self) -> str:
        """The header that names the compressions that the client understands."""
        return _ACCEPTS[self.shape]


_COMPRESSION: Mapping[Shape, str] = {
    Shape.SINGLE: "content-encoding",
    Shape.LINES: "content-encoding",
    Shape.CONNECT: "connect-content-encoding",
    Shape.WEB: "grpc-encoding",
    Shape.WEB_TEXT: "grpc-encoding",
}

_ACCEPTS: Mapping[Shape, str] = {
    Shape.SINGLE: "accept-encoding",
    Shape.LINES: "",  # lines must arrive one by one, and curl would have to be told
    Shape.CONNECT: "connect-accept-encoding",
    Shape.WEB: "grpc-accept-encoding",
    Shape.WEB_TEXT: "grpc-accept-encoding",
}


def _formats() -> dict[str, Format]:
    found = {
        "application/json": (Shape.SINGLE, True),
        "application/proto": (Shape.SINGLE, False),
        "application/connect+json": (Shape.CONNECT, True),
        "application/connect+proto": (Shape.CONNECT, False),
        "application/grpc-web": (Shape.WEB, False),
        "application/grpc-web+proto": (Shape.WEB, False),
        "application/grpc-web+json": (Shape.WEB, True),
        "application/grpc-web-text": (Shape.WEB_TEXT, False),
        "application/grpc-web-text+proto": (Shape.WEB_TEXT, False),
        "application/x-ndjson": (Shape.LINES, True),
    }
    return {name: Format(name, shape, json) for name, (shape, json) in found.items()}


FORMATS: Mapping[str, Format] = _formats()
"""Every content type that is understood."""


def format_of(content_type: str) -> Format | None:
    """The format of a request by its header, with or without `; charset=utf-8`; None for all others."""
    name, _, parameters = content_type.partition(";")
    if parameters and parameters.strip().lower().replace('"', "") not in ("", "charset=utf-8"):
        return None
    return FORMATS.get(name.strip().lower())


def formats_of(server_streaming: bool, client_streaming: bool) -> list[str]:
    """The content types that a method takes: a stream is no single message, and Connect has no envelopes around one."""
    streams = server_streaming or client_streaming
    other = Shape.SINGLE if streams else Shape.CONNECT
    return [name for name, found in FORMATS.items() if found.shape is not other]
