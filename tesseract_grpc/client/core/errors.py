"""What can go wrong, as one tree of exceptions.

Every error of a server arrives as a gRPC status with `google.rpc` details. `error_of_call` turns it into one of the
classes below: the class follows from the status code, `.reason` from the closed list of the server (ErrorInfo),
`.field` from the first field violation, `.line` from the place in an expression, and `.row_errors` from a refused
commit. The client itself raises the same classes, with the same reasons, for what it can refuse without asking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2

DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata that carries the details of a status."""


BROKEN_SEND = "Internal error from Core"
"""What grpc.aio says, in place of the server's status, when a stream ends while it sends on it."""


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row refused a commit. `operation` and `row` count from 0, in the rows as they were given."""

    operation: int
    row: int
    column: str
    reason: str
    message: str


class TesseractError(Exception):
    """The root: everything that this client raises for a failed call."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        field: str = "",
        line: int | None = None,
        row_errors: Iterable[RowError] = (),
        row_error_count: int | None = None,
        metadata: Mapping[str, str] | None = None,
        resource: str = "",
        retry_after: float | None = None,
        code: grpc.StatusCode | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.line = line
        self.row_errors = tuple(row_errors)
        self.row_error_count = len(self.row_errors) if row_error_count is None else row_error_count
        """How many rows were refused in all; `row_errors` holds the first of them."""
        self.metadata = dict(metadata or {})
        self.resource = resource
        """The resource name of the table, session or hub that is to blame, for example `hubs/default/tables/users`."""
        self.retry_after = retry_after
        """Seconds after which the server asks to try again; None when it does not say."""
        self.code = code
        self.sequence = 0
        """Of a write stream: which batch was refused, counted from 1."""

    def __str__(self) -> str:
        named = [self.reason] if self.reason else []
        if self.field and self.field not in self.message:
            named.append(f"field {self.field}")
        if self.line is not None:
            named.append(f"line {self.line}")
        return f"{self.message} ({', '.join(named)})" if named else self.message

    @property
    def hint(self) -> str:
        """What to do about it, where the server says so."""
        return self.metadata.get("hint", "")

    @property
    def passes(self) -> bool:
        """Whether it is likely to pass by itself, so that what may be sent twice is worth sending again: the server
        cannot be reached, or says when to come back."""
        return isinstance(self, Unavailable) or (isinstance(self, LimitExceeded) and self.retry_after is not None)


class InvalidRequest(TesseractError):
    """The request is wrong as it stands; sending it again does not help."""


class NotFound(TesseractError):
    """The table, session, hub or row does not exist."""


class AlreadyExists(TesseractError):
    """The id or the key is taken."""


class PreconditionFailed(TesseractError):
    """The state does not allow it: a condition does not hold, or the table or session was deleted."""


class OutOfRange(TesseractError):
    """A number left the range of its type."""


class LimitExceeded(TesseractError):
    """A limit of the server was reached; the message says which."""


class FeatureNotAvailable(TesseractError):
    """The server does not have this feature."""


class Unauthenticated(TesseractError):
    """The token is missing or not valid."""


class PermissionDenied(TesseractError):
    """The token's role does not allow it."""


class Unavailable(TesseractError):
    """The server cannot be reached, or is shutting down."""


class DeadlineExceeded(TesseractError):
    """The answer did not come in time. A write may still have been made: retry it with its `request_id`."""


class Cancelled(TesseractError):
    """The call was cancelled."""


class ServerFailure(TesseractError):
    """The server failed in a way that it does not explain; its log does."""


class Closed(TesseractError):
    """The hub, mirror or watch was closed on this side."""


_CLASSES: dict[grpc.StatusCode, type[TesseractError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailed,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitExceeded,
    grpc.StatusCode.UNIMPLEMENTED: FeatureNotAvailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
}

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def row_errors_of(errors: table_service_pb2.RowErrors) -> tuple[RowError, ...]:
    """The row errors of a refused commit, as the wire has them."""
    return tuple(RowError(e.operation, e.row, e.column, e.reason, e.message) for e in errors.errors)


def _details(raw: bytes | None) -> dict[str, Any]:
    """The arguments of an error that the details of a status hold; details that nobody knows are left out."""
    found: dict[str, Any] = {}
    if raw is None:
        return found
    try:
        status = status_pb2.Status.FromString(raw)
    except DecodeError:
        return found
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    resource = error_details_pb2.ResourceInfo()
    retry = error_details_pb2.RetryInfo()
    rows = table_service_pb2.RowErrors()
    for detail in status.details:
        if detail.Unpack(info):
            found["reason"], found["metadata"] = info.reason, dict(info.metadata)
            line = info.metadata.get("line", "")
            found["line"] = int(line) if line.isdecimal() else None
            found.setdefault("field", info.metadata.get("field", ""))
        elif detail.Unpack(request) and request.field_violations:
            found["field"] = request.field_violations[0].field
        elif detail.Unpack(resource):
            found["resource"] = resource.resource_name
        elif detail.Unpack(retry):
            found["retry_after"] = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif detail.Unpack(rows):
            found["row_errors"], found["row_error_count"] = row_errors_of(rows), rows.total
    return found


def error_of_status(code: grpc.StatusCode, message: str, details: bytes | None = None) -> TesseractError:
    """The exception for a status; `details` are the bytes of `grpc-status-details-bin`."""
    return _CLASSES.get(code, ServerFailure)(message, code=code, **_details(details))


def error_of_call(error: grpc.RpcError) -> TesseractError:
    """The exception for a failed call of either kind of channel."""
    call: Any = error  # the methods are there on both, but not on the class that they share
    if call.code() == grpc.StatusCode.INTERNAL and call.details() == BROKEN_SEND:
        return error_of_status(grpc.StatusCode.UNAVAILABLE, "the server ended the stream while more was being sent")
    trailers = call.trailing_metadata() or ()
    details = next((value for key, value in trailers if key == DETAILS_KEY), None)
    return error_of_status(call.code(), call.details() or "", details)


def error_of_refusal(refusal: table_service_pb2.WriteRefusal) -> TesseractError:
    """The exception for a refused batch of a write stream."""
    code = _CODES.get(refusal.code, grpc.StatusCode.UNKNOWN)
    rows = row_errors_of(refusal.row_errors)
    field = rows[0].column if rows else ""
    return _CLASSES.get(code, ServerFailure)(
        refusal.message,
        code=code,
        reason=refusal.reason,
        field=field,
        row_errors=rows,
        row_error_count=refusal.row_errors.total,
    )


def invalid(reason: str, message: str, field: str = "", row_errors: Iterable[RowError] = ()) -> InvalidRequest:
    """What the client itself refuses, under the reason that the server would give."""
    return InvalidRequest(
        message, reason=reason, field=field, row_errors=row_errors, code=grpc.StatusCode.INVALID_ARGUMENT
    )
