"""Status codes as Connect spells them, and the HTTP status that an answer of one message has.

A stream, and everything in gRPC-Web, has the HTTP status 200 and says how it ended in its last frame.
"""

from __future__ import annotations

from collections.abc import Mapping

from grpc import StatusCode

HTTP_STATUS: Mapping[StatusCode, int] = {
    StatusCode.CANCELLED: 499,
    StatusCode.UNKNOWN: 500,
    StatusCode.INVALID_ARGUMENT: 400,
    StatusCode.DEADLINE_EXCEEDED: 504,
    StatusCode.NOT_FOUND: 404,
    StatusCode.ALREADY_EXISTS: 409,
    StatusCode.PERMISSION_DENIED: 403,
    StatusCode.RESOURCE_EXHAUSTED: 429,
    StatusCode.FAILED_PRECONDITION: 400,
    StatusCode.ABORTED: 409,
    StatusCode.OUT_OF_RANGE: 400,
    StatusCode.UNIMPLEMENTED: 501,
    StatusCode.INTERNAL: 500,
    StatusCode.UNAVAILABLE: 503,
    StatusCode.DATA_LOSS: 500,
    StatusCode.UNAUTHENTICATED: 401,
}
"""What the Connect protocol says of each code; it is the same in all of its implementations."""


def connect_name(code: StatusCode) -> str:
    """The code as it stands in JSON: `not_found`, and British `cancelled` with one l."""
    return "canceled" if code is StatusCode.CANCELLED else code.name.lower()
