"""How a call ends, in the words of each protocol.

The same `google.rpc.Status` that gRPC clients find in `grpc-status-details-bin` is a list of details in Connect's
JSON and a trailer in gRPC-Web. Connect's details also have a readable form (`debug`), which is for people with curl.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.status import DETAILS_KEY, status_of
from tesseract_grpc.server.web.codes import connect_name

_READABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
"""What stands in `grpc-message` as it is."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a call; without a code it ended well."""

    code: StatusCode = StatusCode.OK
    message: str = ""
    details: bytes = b""
    """A google.rpc.Status, serialized."""

    @classmethod
    def of(cls, refusal: Refusal) -> Ending:
        """The end that a refusal is."""
        status = status_of(refusal)
        return cls(refusal.code, status.message, status.SerializeToString())

    @classmethod
    def told(cls, code: StatusCode, message: str, trailing: Iterable[tuple[str, Any]] = ()) -> Ending:
        """The end that a handler has told its context."""
        details = next((value for key, value in trailing if key == DETAILS_KEY), b"")
        return cls(code, message, bytes(details))

    def connect_error(self) -> dict[str, Any]:
        """The error object of Connect."""
        error: dict[str, Any] = {"code": connect_name(self.code)}
        if self.message:
            error["message"] = self.message
        if details := [_detail(found) for found in Status.FromString(self.details).details]:
            error["details"] = details
        return error

    def connect_json(self) -> bytes:
        """The body of a Connect answer that is an error."""
        return compact(self.connect_error())

    def connect_stream_json(self) -> bytes:
        """What the last envelope of a Connect stream holds."""
        return compact({} if self.code is StatusCode.OK else {"error": self.connect_error()})

    def web_trailers(self) -> bytes:
        """The trailers that end a gRPC-Web answer."""
        lines = [f"grpc-status: {self.code.value[0]}"]
        if self.message:
            lines.append(f"grpc-message: {quote(self.message, safe=_READABLE)}")
        if self.details:
            lines.append(f"{DETAILS_KEY}: {_base64(self.details)}")
        return "".join(f"{line}\r\n" for line in lines).encode()


def compact(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _base64(data: bytes) -> str:
    """Base64 without padding, as both protocols have it."""
    return base64.b64encode(data).decode().rstrip("=")


def _detail(detail: Any) -> dict[str, Any]:
    name = detail.type_url.rpartition("/")[2]
    found: dict[str, Any] = {"type": name, "value": _base64(detail.value)}
    message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))()
    detail.Unpack(message)
    found["debug"] = json_format.MessageToDict(message)
    return found
