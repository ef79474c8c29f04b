"""What an error of a call says about its effect: refused for certain, or unknown because the server died."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

EXPECTED = frozenset(
    {
        "DUPLICATE_KEY",
        "KEY_NOT_FOUND",
        "NULL_KEY",
        "NULL_NOT_ALLOWED",
        "CONDITION_NOT_MET",
        "INT64_OVERFLOW",
        "NOT_WRITABLE",
    }
)
"""Reasons for which the random writes of tests/world are refused."""


_BROKE_WHILE_SENDING = "Internal error from Core"
"""What grpc.aio says in the place of the status when the connection breaks in the middle of a send."""


class Unexpected(AssertionError):
    """A refusal that this traffic does not deserve."""


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason of a refusal; empty for a status that is not one of ours: the connection broke."""
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    info = error_details_pb2.ErrorInfo()
    if raw is None or not any(detail.Unpack(info) for detail in status_pb2.Status.FromString(raw).details):
        return ""
    return str(info.reason)


def refused(error: grpc.aio.AioRpcError) -> bool:
    """Whether the server said no; otherwise the call broke and nobody knows. Raises Unexpected."""
    reason = reason_of(error)
    if reason:
        expect(reason, str(error.details()))
        return True
    if error.details() == _BROKE_WHILE_SENDING:
        return False
    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        raise Unexpected(f"{error.code()}: {error.details()}")
    return False


def expect(reason: str, message: str) -> None:
    """Raises Unexpected for a reason that this traffic does not deserve."""
    if reason not in EXPECTED:
        raise Unexpected(f"{reason}: {message}")
