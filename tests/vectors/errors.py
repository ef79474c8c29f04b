"""Error vectors: calls that are refused, byte for byte, and what a client must show of each refusal.

`errors.json` holds them. A call is a method and the bytes of its request, on one of the servers that
`tests/clients/errors.py` sets up ("small", "guarded" and so on), with or without the token of a role; what is expected
was recorded from that server. Calls to the server "player" are answered by the player of the vectors with a status that
was written by hand (`HAND_MADE`): what a server of today cannot be made to say, and what one of tomorrow may say.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2, status_pb2

from tesseract_grpc._proto.tesseract.v1 import table_service_pb2 as pb

PATH = Path(__file__).parent / "errors.json"
PLAYED = "played_"
"""What the names of tables begin with for which the player has a status."""

NOT_UNARY = {
    "BAD_RESUME_TOKEN": "only watches take tokens; the vector token_refused shows it",
    "EPOCH_CHANGED": "several nodes and a fail-over lead to it; tests/cluster shows it",
    "FEATURE_NOT_AVAILABLE": "this server has all features; played by hand",
    "INTERNAL": "no request is known that leads to it; played by hand",
    "SESSION_DELETED": "ends watches; the vector end_session_deleted shows it",
    "SESSION_EXPIRED": "no call is refused with it, WatchHub tells it",
    "SLOW_READER": "ends watches",
    "TABLE_ALTERED": "ends watches, and WatchHub tells it",
    "TABLE_CHANGED": "ends watches and backups",
    "TABLE_DELETED": "ends watches; the vector end_table_deleted shows it",
}
"""The reasons that no unary call of a real server is refused with, and why."""

Json = dict[str, Any]


@dataclass(frozen=True)
class ErrorCall:
    """One refused call."""

    name: str
    reason: str
    server: str
    method: str
    request: str
    """Base64."""
    role: str | None = None
    """Whose token the call carries; None: no token."""
    error: Json = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The bytes of the request."""
        return base64.b64decode(self.request)


def load() -> list[ErrorCall]:
    """All error vectors."""
    return [ErrorCall(**found) for found in json.loads(PATH.read_text())]


def text_of(calls: list[ErrorCall]) -> str:
    """The content of the file."""
    return json.dumps([asdict(call) for call in calls], indent=1, ensure_ascii=False) + "\n"


def shown(code: grpc.StatusCode, message: str, details: bytes | None) -> Json:
    """What a client must show of a status: `field` is that of the first violation, or else of ErrorInfo."""
    status = status_pb2.Status.FromString(details or b"")
    found: Json = {"code": code.name, "reason": "", "message": message, "field": "", "hint": "", "resource": ""}
    found |= {"retry_after_ms": None, "metadata": {}, "row_errors": [], "row_error_count": 0}
    for kind, take in _DETAILS.items():
        for detail in status.details:
            part = kind()
            if detail.Unpack(part):
                found |= take(part)
    return found


def _info(part: Any) -> Json:
    metadata = dict(sorted(part.metadata.items()))
    said = {name: metadata.get(name, "") for name in ("field", "hint")}
    return {"reason": part.reason, "metadata": metadata, **said}


def _bad_request(part: Any) -> Json:
    return {"field": part.field_violations[0].field} if part.field_violations else {}


def _rows(part: Any) -> Json:
    names = ("operation", "row", "column", "reason", "message")
    rows = [{name: getattr(error, name) for name in names} for error in part.errors]
    return {"row_errors": rows, "row_error_count": part.total}


_DETAILS: dict[type[Message], Any] = {
    error_details_pb2.ErrorInfo: _info,
    error_details_pb2.BadRequest: _bad_request,
    error_details_pb2.ResourceInfo: lambda part: {"resource": part.resource_name},
    error_details_pb2.RetryInfo: lambda part: {"retry_after_ms": part.retry_delay.ToMilliseconds()},
    pb.RowErrors: _rows,
}


def _status(code: grpc.StatusCode, message: str, *details: Message) -> status_pb2.Status:
    packed = [any_pb2.Any() for _ in details]
    for each, detail in zip(packed, details, strict=True):
        each.Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)


def _reason(reason: str, **metadata: str) -> Any:
    return error_details_pb2.ErrorInfo(reason=reason, domain="tesseract-grpc", metadata=metadata)


def _blamed(*fields: str) -> Any:
    violations = [error_details_pb2.BadRequest.FieldViolation(field=name, description="no") for name in fields]
    return error_details_pb2.BadRequest(field_violations=violations)


_STATE, _INVALID = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT
HAND_MADE: dict[str, status_pb2.Status] = {
    "unknown reason": _status(_STATE, "what nobody knows yet", _reason("REASON_OF_TOMORROW", field="a.b", new="yes")),
    "unknown detail": _status(_STATE, "with more", StringValue(value="of another kind"), _reason("TABLE_IN_USE")),
    "no details": _status(_INVALID, "a proxy says no"),
    "no details that is unavailable": _status(grpc.StatusCode.UNAVAILABLE, "nobody is there"),
    "no message": _status(grpc.StatusCode.PERMISSION_DENIED, "", _reason("ROLE_REQUIRED")),
    "message in many letters": _status(_INVALID, "größer als 100 %, \U00010348 und 漢字", _reason("BAD_NAME")),
    "several violations": _status(_INVALID, "two mistakes", _reason("BAD_SCHEMA"), _blamed("first", "second")),
    "field of the violation": _status(_INVALID, "two fields", _reason("BAD_SCHEMA", field="x"), _blamed("table.x")),
    "half a second": _status(
        grpc.StatusCode.UNAVAILABLE, "later",
        _reason("HUB_READ_ONLY"), error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
    ),
    "internal": _status(grpc.StatusCode.INTERNAL, "something unexpected: 0af3", _reason("INTERNAL", error_id="0af3")),
    "feature": _status(
        grpc.StatusCode.UNIMPLEMENTED, "not here", _reason("FEATURE_NOT_AVAILABLE", feature="alter_table")
    ),
    "rows": _status(
        grpc.StatusCode.ALREADY_EXISTS, "2 rows", _reason("DUPLICATE_KEY"),
        pb.RowErrors(total=9, errors=[
            pb.RowError(operation=1, row=4_000_000_000, column="größe", reason="REASON_OF_TOMORROW", message="no"),
        ]),
    ),
}  # fmt: skip
"""What the player answers GetTable with, for the table `played_0` and so on."""


def played() -> list[ErrorCall]:
    """The calls to the player."""
    found = []
    for number, (name, status) in enumerate(HAND_MADE.items()):
        code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
        error = shown(code, status.message, status.SerializeToString())
        request = pb.GetTableRequest(name=f"{PLAYED}{number}").SerializeToString()
        content = base64.b64encode(request).decode()
        found.append(
            ErrorCall(name, error["reason"], "player", "/tesseract.v1.TableService/GetTable", content, None, error)
        )
    return found
