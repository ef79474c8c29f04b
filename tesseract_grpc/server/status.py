"""A refusal as a gRPC status with google.rpc details, kept small enough to arrive.

Details travel as one binary header beside the message. Peers refuse headers above a limit that is 8 KiB by default,
and the refusal would then be replaced by a meaningless one; so texts are cut and row errors are left out from the end
until the details fit `MAX_DETAILS_BYTES`. `RowErrors.total` always counts them all.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import RESOURCE_OF, Refusal, RefusedRows

DOMAIN = "tesseract-grpc"
"""The domain of every ErrorInfo."""

DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata that gRPC libraries read rich statuses from."""

MAX_DETAILS_BYTES = 5_000
"""The most bytes of a status; in base64 and with the message this stays below 8 KiB of headers."""

MAX_TEXT = 400
"""The most characters of one text in a status."""

MAX_VIOLATIONS = 20
"""The most field violations in a status."""


def status_of(refusal: Refusal) -> Status:
    """The status that a call ends with. O(row errors)."""
    status = Status(code=refusal.code.value[0], message=cut(refusal.message))
    status.details.add().Pack(_error_info(refusal))
    if refusal.violations or refusal.field:
        status.details.add().Pack(_bad_request(refusal))
    if (kind := RESOURCE_OF.get(refusal.reason)) is not None and refusal.resource:
        status.details.add().Pack(
            ResourceInfo(resource_type=kind, resource_name=cut(refusal.resource), description=cut(refusal.message))
        )
    if refusal.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(round(refusal.retry_after * 1_000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    if refusal.rows is not None:
        room = MAX_DETAILS_BYTES - status.ByteSize() - 100  # what packing into an Any adds
        status.details.add().Pack(row_errors(refusal.rows, room))
    return status


def trailing(status: Status) -> tuple[tuple[str, bytes], ...]:
    """The trailing metadata that carries a status."""
    return ((DETAILS_KEY, status.SerializeToString()),)


def row_errors(rows: RefusedRows, room: int = 1 << 20) -> twin.table_service.RowErrors:
    """The row errors that fit into `room` bytes, and how many there are in all."""
    message = twin.table_service.RowErrors(total=rows.total)
    size = message.ByteSize()
    for problem in rows.problems:
        error = twin.table_service.RowError(
            operation=problem.operation,
            row=problem.row,
            column=problem.column,
            reason=problem.reason,
            message=cut(problem.message),
        )
        size += error.ByteSize() + 4
        if size > room and message.errors:
            break
        message.errors.append(error)
    return message


def cut(text: str) -> str:
    """`text`, shortened when a client sent something very long into it."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def _error_info(refusal: Refusal) -> ErrorInfo:
    metadata = dict(refusal.metadata)
    if refusal.field:
        metadata.setdefault("field", cut(refusal.field))
    if refusal.hint:
        metadata.setdefault("hint", cut(refusal.hint))
    return ErrorInfo(reason=str(refusal.reason), domain=DOMAIN, metadata=metadata)


def _bad_request(refusal: Refusal) -> BadRequest:
    message = BadRequest()
    if refusal.violations:
        for violation in refusal.violations[:MAX_VIOLATIONS]:
            message.field_violations.add(
                field=cut(violation.field), description=cut(violation.message), reason=str(violation.reason)
            )
    else:
        message.field_violations.add(
            field=cut(refusal.field), description=cut(refusal.message), reason=str(refusal.reason)
        )
    return message
