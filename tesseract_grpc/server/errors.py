"""What a refusal is on the wire: one table from reason to status code, and the exception that carries one.

Every refusal has a *reason* from a closed list: the engine's (`engine.data.errors.Reason`) and the few that only a
server can have (`ServerReason`). `STATUS_OF` gives each its gRPC status code; docs/ERRORS.md is the same list for
people, and a test compares the two. Handlers raise; `status.py` turns what was raised into a status with details.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from grpc import StatusCode

from tesseract_grpc.engine.data.errors import CommitRefused, EngineError, InvalidRequest, Reason, RowProblem, Violation


class ServerReason(StrEnum):
    """The reasons that have nothing to do with tables and rows."""

    TOKEN_MISSING = "TOKEN_MISSING"
    TOKEN_UNKNOWN = "TOKEN_UNKNOWN"
    ROLE_REQUIRED = "ROLE_REQUIRED"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    VERSION_NOT_REACHED = "VERSION_NOT_REACHED"
    BAD_RESUME_TOKEN = "BAD_RESUME_TOKEN"
    SERVER_SHUTTING_DOWN = "SERVER_SHUTTING_DOWN"
    HUB_READ_ONLY = "HUB_READ_ONLY"
    EPOCH_CHANGED = "EPOCH_CHANGED"
    WRITES_OVERLOADED = "WRITES_OVERLOADED"
    MEMORY_LIMIT = "MEMORY_LIMIT"
    SLOW_READER = "SLOW_READER"
    UNKNOWN_WATCH = "UNKNOWN_WATCH"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    INTERNAL = "INTERNAL"


STATUS_OF: Mapping[Reason | ServerReason, StatusCode] = {
    Reason.UNKNOWN_TABLE: StatusCode.NOT_FOUND,
    Reason.UNKNOWN_COLUMN: StatusCode.INVALID_ARGUMENT,
    Reason.UNKNOWN_SESSION: StatusCode.NOT_FOUND,
    Reason.UNKNOWN_HUB: StatusCode.NOT_FOUND,
    Reason.TABLE_EXISTS: StatusCode.ALREADY_EXISTS,
    Reason.SESSION_EXISTS: StatusCode.ALREADY_EXISTS,
    Reason.TABLE_DELETED: StatusCode.FAILED_PRECONDITION,
    Reason.TABLE_IN_USE: StatusCode.FAILED_PRECONDITION,
    Reason.SESSION_DELETED: StatusCode.FAILED_PRECONDITION,
    Reason.TABLE_CHANGED: StatusCode.FAILED_PRECONDITION,
    Reason.TABLE_ALTERED: StatusCode.FAILED_PRECONDITION,
    Reason.WRONG_TYPE: StatusCode.INVALID_ARGUMENT,
    Reason.MISSING_KEY: StatusCode.INVALID_ARGUMENT,
    Reason.NULL_KEY: StatusCode.INVALID_ARGUMENT,
    Reason.NAN_KEY: StatusCode.INVALID_ARGUMENT,
    Reason.NULL_NOT_ALLOWED: StatusCode.INVALID_ARGUMENT,
    Reason.INT64_OVERFLOW: StatusCode.OUT_OF_RANGE,
    Reason.DUPLICATE_KEY: StatusCode.ALREADY_EXISTS,
    Reason.DUPLICATE_COLUMN: StatusCode.INVALID_ARGUMENT,
    Reason.KEY_NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.NOT_WRITABLE: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_ENUM_VALUE: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_JSON: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_TIMESTAMP: StatusCode.INVALID_ARGUMENT,
    Reason.CONDITION_NOT_MET: StatusCode.FAILED_PRECONDITION,
    Reason.MALFORMED_FILTER: StatusCode.INVALID_ARGUMENT,
    Reason.MALFORMED_BATCH: StatusCode.INVALID_ARGUMENT,
    Reason.MALFORMED_REQUEST: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_EXPRESSION: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_REGEX: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_SCHEMA: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_NAME: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_WINDOW: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_SORT: StatusCode.INVALID_ARGUMENT,
    Reason.BAD_PAGE_TOKEN: StatusCode.INVALID_ARGUMENT,
    Reason.FEATURE_NOT_AVAILABLE: StatusCode.UNIMPLEMENTED,
    Reason.LIMIT_EXCEEDED: StatusCode.RESOURCE_EXHAUSTED,
    ServerReason.TOKEN_MISSING: StatusCode.UNAUTHENTICATED,
    ServerReason.TOKEN_UNKNOWN: StatusCode.UNAUTHENTICATED,
    ServerReason.ROLE_REQUIRED: StatusCode.PERMISSION_DENIED,
    ServerReason.REQUEST_ID_REUSED: StatusCode.INVALID_ARGUMENT,
    ServerReason.VERSION_NOT_REACHED: StatusCode.UNAVAILABLE,
    ServerReason.BAD_RESUME_TOKEN: StatusCode.INVALID_ARGUMENT,
    ServerReason.SERVER_SHUTTING_DOWN: StatusCode.UNAVAILABLE,
    ServerReason.HUB_READ_ONLY: StatusCode.UNAVAILABLE,
    ServerReason.EPOCH_CHANGED: StatusCode.UNAVAILABLE,
    ServerReason.MEMORY_LIMIT: StatusCode.RESOURCE_EXHAUSTED,
    ServerReason.WRITES_OVERLOADED: StatusCode.RESOURCE_EXHAUSTED,
    ServerReason.SLOW_READER: StatusCode.RESOURCE_EXHAUSTED,
    ServerReason.UNKNOWN_WATCH: StatusCode.NOT_FOUND,
    ServerReason.SESSION_EXPIRED: StatusCode.FAILED_PRECONDITION,
    ServerReason.INTERNAL: StatusCode.INTERNAL,
}
"""The status code of every reason. A reason has one code, so a client may switch on either."""

RESOURCE_OF: Mapping[Reason | ServerReason, str] = {
    Reason.UNKNOWN_TABLE: "tesseract.v1.Table",
    Reason.TABLE_EXISTS: "tesseract.v1.Table",
    Reason.TABLE_DELETED: "tesseract.v1.Table",
    Reason.TABLE_CHANGED: "tesseract.v1.Table",
    Reason.TABLE_IN_USE: "tesseract.v1.Table",
    ServerReason.MEMORY_LIMIT: "tesseract.v1.Table",
    Reason.UNKNOWN_SESSION: "tesseract.v1.Session",
    Reason.SESSION_EXISTS: "tesseract.v1.Session",
    Reason.SESSION_DELETED: "tesseract.v1.Session",
    Reason.TABLE_ALTERED: "tesseract.v1.Session",
    Reason.UNKNOWN_HUB: "tesseract.v1.Hub",
    ServerReason.EPOCH_CHANGED: "tesseract.v1.Hub",
    ServerReason.SESSION_EXPIRED: "tesseract.v1.Session",
}
"""The type of the resource that a reason is about; such a status carries ResourceInfo."""


@dataclass(frozen=True, slots=True)
class RefusedRows:
    """The rows that refused a commit: the first ones, and how many in all."""

    problems: Sequence[RowProblem]
    total: int


class Refusal(Exception):
    """A request that is answered with a status. Whatever a handler raises becomes one of these."""

    def __init__(
        self,
        reason: Reason | ServerReason,
        message: str,
        *,
        field: str = "",
        hint: str = "",
        violations: Sequence[Violation] = (),
        metadata: Mapping[str, str] | None = None,
        resource: str = "",
        retry_after: float | None = None,
        rows: RefusedRows | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.hint = hint
        self.violations = violations
        self.metadata = metadata or {}
        self.resource = resource
        self.retry_after = retry_after
        self.rows = rows

    def about(self, field: str, **metadata: str) -> Refusal:
        """The same refusal, which says of a part of the request that it is about it."""
        return Refusal(
            self.reason,
            self.message,
            field=field,
            hint=self.hint,
            metadata={**self.metadata, **metadata},
            resource=self.resource,
            retry_after=self.retry_after,
        )

    @property
    def code(self) -> StatusCode:
        """The status code of the reason."""
        return STATUS_OF[self.reason]


_LIST_ITEM = re.compile(r"\b(all_of|any_of)\[")


def of_engine(error: EngineError) -> Refusal:
    """The refusal that says what an engine error says."""
    violations = error.violations if isinstance(error, InvalidRequest) else ()
    return Refusal(
        error.reason,
        error.message,
        field=_in_request(error.field),
        hint=error.hint,
        violations=[Violation(_in_request(v.field), v.reason, v.message) for v in violations],
        metadata=error.metadata,
        rows=RefusedRows(error.problems, error.total) if isinstance(error, CommitRefused) else None,
    )


def _in_request(field: str) -> str:
    """The engine's lists of filters are messages with a list in them on the wire."""
    return _LIST_ITEM.sub(r"\1.filters[", field)


@contextmanager
def fields_under(prefix: str) -> Iterator[None]:
    """Names the fields of errors raised inside as the request has them: the engine's `columns[0].name` is
    `table.columns[0].name` in a CreateTableRequest."""
    try:
        yield
    except InvalidRequest as error:
        error.field = _under(prefix, error.field)
        error.violations = tuple(Violation(_under(prefix, v.field), v.reason, v.message) for v in error.violations)
        raise
    except EngineError as error:
        error.field = _under(prefix, error.field)
        raise


def _under(prefix: str, field: str) -> str:
    if not field:
        return prefix
    return field if field.startswith(prefix) else f"{prefix}.{field}"


def limit_exceeded(limit: str, maximum: int, message: str, *, field: str = "") -> Refusal:
    """The refusal of a request that passes a limit; the message names the limit and its value."""
    return Refusal(
        Reason.LIMIT_EXCEEDED,
        f"{message}: the limit {limit} is {maximum}",
        field=field,
        metadata={"limit": limit, "maximum": str(maximum)},
    )


def invalid(message: str, field: str, reason: Reason = Reason.MALFORMED_REQUEST) -> Refusal:
    """The refusal of a request that can never succeed as it is."""
    return Refusal(reason, message, field=field, violations=(Violation(field, reason, message),))
