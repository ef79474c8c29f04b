"""A client of the port for browsers, made of bytes: it frames requests and takes answers apart by itself, so that it
shares no code with the server. For what is no HTTP at all there are plain sockets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import grpc
import httpx
from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory
from google.rpc import status_pb2

from tesseract_grpc._proto.tesseract.v1 import (
    diagnosis_service_pb2,
    hub_service_pb2,
    session_service_pb2,
    table_service_pb2,
)
from tesseract_grpc.server import Server
from tests.server.support import Api, serving

UNARY = (
    "application/json",
    "application/proto",
    "application/grpc-web+proto",
    "application/grpc-web+json",
    "application/grpc-web-text",
    "application/x-ndjson",
)
STREAMS = (
    "application/connect+json",
    "application/connect+proto",
    "application/grpc-web",
    "application/grpc-web+json",
    "application/grpc-web-text+proto",
    "application/x-ndjson",
)
CODES = {code.value[0]: code for code in grpc.StatusCode}
NAMES = {"canceled": grpc.StatusCode.CANCELLED} | {code.name.lower(): code for code in grpc.StatusCode}

METHODS = {
    f"/{service.full_name}/{method.name}": method
    for module in (table_service_pb2, session_service_pb2, hub_service_pb2, diagnosis_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""Every method of our services, by path."""


@dataclass
class Told:
    """What came of a call."""

    http: int
    headers: httpx.Headers
    responses: list[Any] = field(default_factory=list)
    code: grpc.StatusCode = grpc.StatusCode.OK
    message: str = ""
    details: list[Any] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """The reason of a refusal; empty where it has none."""
        return next((found.reason for found in self.details if found.DESCRIPTOR.name == "ErrorInfo"), "")


def envelope(data: bytes, flags: int = 0) -> bytes:
    """A message with its five bytes."""
    return bytes((flags,)) + len(data).to_bytes(4, "big") + data


def body_of(content_type: str, requests: Iterable[Any], *, packed: bool = False) -> bytes:
    """The body that asks with these messages."""
    parts = [
        json.dumps(json_format.MessageToDict(request)).encode()
        if is_json(content_type)
        else request.SerializeToString()
        for request in requests
    ]
    if "ndjson" in content_type:
        return b"".join(part + b"\n" for part in parts)
    if content_type in ("application/json", "application/proto"):
        return gzip.compress(parts[0]) if packed else parts[0]
    body = b"".join(envelope(gzip.compress(part), 1) if packed else envelope(part) for part in parts)
    return base64.b64encode(body) if "text" in content_type else body


def is_json(content_type: str) -> bool:
    return "json" in content_type


def take_apart(response: httpx.Response, body: bytes, kind: Any) -> Told:
    """An answer that is complete."""
    content_type = response.headers.get("content-type", "")
    told = Told(response.status_code, response.headers)
    if response.status_code != 200:
        _connect_error(told, json.loads(body))
    elif content_type in ("application/json", "application/proto"):
        told.responses.append(_parse(body, kind, content_type))
    elif "ndjson" in content_type:
        for line in body.splitlines():
            if set(found := json.loads(line)) == {"error"}:
                _connect_error(told, found["error"])
            else:
                told.responses.append(_parse(line, kind, content_type))
    else:
        _frames(told, response, b64(body) if "text" in content_type else body, kind)
    return told


def _frames(told: Told, response: httpx.Response, body: bytes, kind: Any) -> None:
    content_type, ended = response.headers["content-type"], False
    while body:
        assert not ended, "something comes after the end"
        flags, size = body[0], int.from_bytes(body[1:5], "big")
        data, body = body[5 : 5 + size], body[5 + size :]
        assert len(data) == size, "the answer ends in the middle of a frame"
        if flags & 1:
            data = gzip.decompress(data)
        if flags & 0x82:
            ended = True
            _end(told, data, web=bool(flags & 0x80))
        else:
            told.responses.append(_parse(data, kind, content_type))
    assert ended, "the answer does not say how it ended"


def _end(told: Told, data: bytes, *, web: bool) -> None:
    if not web:
        _connect_error(told, json.loads(data).get("error", {"code": "ok"}))
        return
    trailers = dict(line.split(": ", 1) for line in data.decode().split("\r\n") if line)
    told.code, told.message = CODES[int(trailers["grpc-status"])], unquote(trailers.get("grpc-message", ""))
    raw = trailers.get("grpc-status-details-bin", "")
    _details(told, status_pb2.Status.FromString(b64(raw.encode())).details)


def _connect_error(told: Told, error: Any) -> None:
    told.code = NAMES[error["code"]]
    told.message = error.get("message", "")
    _details(
        told,
        [
            any_pb2.Any(type_url=f"type.googleapis.com/{found['type']}", value=b64(found["value"].encode()))
            for found in error.get("details", ())
        ],
    )


def _details(told: Told, details: Iterable[Any]) -> None:
    for found in details:
        name = found.TypeName()
        told.details.append(message_class(name).FromString(found.value))


def message_class(name: str) -> Any:
    """The generated class of a message."""
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


def b64(text: bytes) -> bytes:
    """Base64 in one piece or several, with or without the padding at the end."""
    found = b""
    for part in text.replace(b"=", b"= ").replace(b"= =", b"==").split():
        found += base64.b64decode(part + b"=" * (-len(part) % 4))
    return found


def _parse(data: bytes, kind: Any, content_type: str) -> Any:
    return json_format.Parse(data, kind()) if is_json(content_type) else kind.FromString(data)


class Web:
    """A client of one server's port."""

    def __init__(self, address: str, client: httpx.AsyncClient) -> None:
        self.address = address
        self.client = client
        host, _, port = address.partition("://")[2].rpartition(":")
        self.host, self.port = host, int(port)

    async def call(
        self, path: str, *requests: Any, content_type: str = "application/json", packed: bool = False, **headers: str
    ) -> Told:
        """One call, from its requests to its end."""
        every = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
        kind = message_class(METHODS[path].output_type.full_name)
        body = body_of(content_type, requests, packed=packed)
        async with self.client.stream("POST", path, content=body, headers=every) as response:
            return take_apart(response, await response.aread(), kind)

    @asynccontextmanager
    async def stream(self, path: str, request: Any, **headers: str) -> AsyncIterator[AsyncIterator[Any]]:
        """A server's stream over Connect, message by message; a refusal is raised as `Ended`."""
        every = {"content-type": "application/connect+proto"}
        every |= {name.replace("_", "-"): value for name, value in headers.items()}
        kind = message_class(METHODS[path].output_type.full_name)
        body = body_of("application/connect+proto", [request])
        async with self.client.stream("POST", path, content=body, headers=every) as response:
            yield _messages(response, kind)

    async def raw(self, data: bytes, *, patience: float = 10.0) -> bytes:
        """What a socket hears after it has said something, until the server closes it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(reader.read(-1), patience)
        finally:
            writer.close()


class Ended(Exception):
    """A stream has ended; `told` says how."""

    def __init__(self, told: Told) -> None:
        super().__init__(f"{told.code.name} {told.message}")
        self.told = told


async def _messages(response: httpx.Response, kind: Any) -> AsyncIterator[Any]:
    rest = b""
    async for data in response.aiter_raw():
        rest += data
        while len(rest) >= 5 and len(rest) >= (size := 5 + int.from_bytes(rest[1:5], "big")):
            flags, found, rest = rest[0], rest[5:size], rest[size:]
            if flags & 2:
                told = Told(response.status_code, response.headers)
                _end(told, found, web=False)
                raise Ended(told)
            yield kind.FromString(found)


@asynccontextmanager
async def browsing(**options: Any) -> AsyncIterator[tuple[Server, Api, Web]]:
    """A server, a client of its gRPC port, and one of its port for browsers."""
    async with serving(**{"http_port": 0, **options}) as (server, api):
        assert server.http_address is not None
        async with httpx.AsyncClient(base_url=server.http_address, timeout=30) as client:
            yield server, api, Web(server.http_address, client)


async def grpc_call(api: Api, path: str, *requests: Any) -> Told:
    """The same call by gRPC."""
    method = METHODS[path]
    kind = message_class(method.output_type.full_name)
    told = Told(200, httpx.Headers())
    raws = [request.SerializeToString() for request in requests]
    call: Any
    try:
        if method.client_streaming:
            call = api.raw.stream_stream(path)(iter(raws))
            told.responses = [kind.FromString(raw) async for raw in call]
        elif method.server_streaming:
            call = api.raw.unary_stream(path)(raws[0])
            told.responses = [kind.FromString(raw) async for raw in call]
        else:
            told.responses = [kind.FromString(await api.raw.unary_unary(path)(raws[0]))]
    except grpc.aio.AioRpcError as error:
        told.code, told.message = error.code(), error.details() or ""
        trailing: Any = dict(error.trailing_metadata() or ())
        _details(told, status_pb2.Status.FromString(trailing.get("grpc-status-details-bin", b"")).details)
    return told


def request_of(path: str, **fields: Any) -> Any:
    """A request of a method."""
    return message_class(METHODS[path].input_type.full_name)(**fields)


def same(found: Told, expected: Told) -> None:
    """Both calls were told the same."""
    assert (found.code, found.message) == (expected.code, expected.message)
    assert found.responses == expected.responses
    assert found.details == expected.details


__all__: Sequence[str] = ("METHODS", "STREAMS", "UNARY", "Ended", "Told", "Web", "browsing", "envelope")
