"""What can be wrong with a request, as data.

Every error of the engine carries a `Reason` from one closed list, a message for people that says what is wrong and
what to do, and, where they exist, the field and a hint. The server maps reasons to statuses in one table; nothing
else in the engine knows about transport.

A refused commit carries one `RowProblem` a refused row (the first hundred) and leaves the hub as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

MAX_ROW_PROBLEMS = 100
"""The most row problems one refused commit lists; `CommitRefused.total` counts them all."""


class Reason(StrEnum):
    """Why something was refused. Closed and documented: clients may switch on it."""

    UNKNOWN_TABLE = "UNKNOWN_TABLE"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"
    UNKNOWN_HUB = "UNKNOWN_HUB"
    TABLE_EXISTS = "TABLE_EXISTS"
    SESSION_EXISTS = "SESSION_EXISTS"
    TABLE_DELETED = "TABLE_DELETED"
    SESSION_DELETED = "SESSION_DELETED"
    TABLE_CHANGED = "TABLE_CHANGED"
    TABLE_ALTERED = "TABLE_ALTERED"
    TABLE_IN_USE = "TABLE_IN_USE"
    WRONG_TYPE = "WRONG_TYPE"
    MISSING_KEY = "MISSING_KEY"
    NULL_KEY = "NULL_KEY"
    NAN_KEY = "NAN_KEY"
    NULL_NOT_ALLOWED = "NULL_NOT_ALLOWED"
    INT64_OVERFLOW = "INT64_OVERFLOW"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    DUPLICATE_COLUMN = "DUPLICATE_COLUMN"
    KEY_NOT_FOUND = "KEY_NOT_FOUND"
    NOT_WRITABLE = "NOT_WRITABLE"
    BAD_ENUM_VALUE = "BAD_ENUM_VALUE"
    BAD_JSON = "BAD_JSON"
    BAD_TIMESTAMP = "BAD_TIMESTAMP"
    CONDITION_NOT_MET = "CONDITION_NOT_MET"
    MALFORMED_FILTER = "MALFORMED_FILTER"
    MALFORMED_BATCH = "MALFORMED_BATCH"
    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    BAD_EXPRESSION = "BAD_EXPRESSION"
    BAD_REGEX = "BAD_REGEX"
    BAD_SCHEMA = "BAD_SCHEMA"
    BAD_NAME = "BAD_NAME"
    BAD_WINDOW = "BAD_WINDOW"
    BAD_SORT = "BAD_SORT"
    BAD_PAGE_TOKEN = "BAD_PAGE_TOKEN"
    FEATURE_NOT_AVAILABLE = "FEATURE_NOT_AVAILABLE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


class EngineError(Exception):
    """The base of everything that the engine refuses."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str = "",
        hint: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.hint = hint
        self.metadata: Mapping[str, str] = metadata or {}


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that is wrong."""

    field: str
    reason: Reason
    message: str


class InvalidRequest(EngineError):
    """The request can never succeed as it is."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str = "",
        hint: str = "",
        violations: Iterable[Violation] = (),
    ) -> None:
        super().__init__(reason, message, field=field, hint=hint)
        self.violations: tuple[Violation, ...] = tuple(violations) or (Violation(field, reason, message),)


class NotFound(EngineError):
    """What the request names does not exist."""


class AlreadyExists(EngineError):
    """What the request would create exists."""


class LimitExceeded(EngineError):
    """A limit of the hub would be passed; the message says which and how far."""


class FeatureNotAvailable(EngineError):
    """The request needs a feature that this version does not have."""


class PreconditionFailed(EngineError):
    """The state does not allow the request, for example because its table was deleted."""


class OutOfRange(EngineError):
    """A result does not fit its type. `group` is the number of the group it belongs to, for whoever can name it."""

    def __init__(self, reason: Reason, message: str, *, field: str = "", hint: str = "", group: int = -1) -> None:
        super().__init__(reason, message, field=field, hint=hint)
        self.group = group


class Category(Enum):
    """The kind of a row problem; what the status of the refused commit is made from."""

    INVALID = "INVALID_ARGUMENT"
    EXISTS = "ALREADY_EXISTS"
    MISSING = "NOT_FOUND"
    PRECONDITION = "FAILED_PRECONDITION"
    RANGE = "OUT_OF_RANGE"


_CATEGORIES = {
    Reason.DUPLICATE_KEY: Category.EXISTS,
    Reason.KEY_NOT_FOUND: Category.MISSING,
    Reason.CONDITION_NOT_MET: Category.PRECONDITION,
    Reason.INT64_OVERFLOW: Category.RANGE,
}


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why one row refused its commit."""

    operation: int
    row: int
    column: str
    reason: Reason
    message: str

    @property
    def category(self) -> Category:
        """The kind of this problem."""
        return _CATEGORIES.get(self.reason, Category.INVALID)


class CommitRefused(EngineError):
    """A commit was refused because of its rows; nothing of it was applied."""

    def __init__(self, problems: Iterable[RowProblem], total: int | None = None) -> None:
        self.problems: tuple[RowProblem, ...] = tuple(problems)[:MAX_ROW_PROBLEMS]
        first = self.problems[0]
        self.total = len(self.problems) if total is None else total
        self.category = first.category
        more = f" ({self.total - 1} more rows were refused)" if self.total > 1 else ""
        super().__init__(
            first.reason,
            f"operation {first.operation}, row {first.row}: {first.message}{more}",
            field=first.column,
        )


class AlterationRefused(CommitRefused):
    """An alteration of a table was refused because of its rows; nothing was changed. `operation` of a problem is the
    number of the alteration, `row` that of the row in the order of slots."""

    def __init__(self, problems: Iterable[RowProblem], total: int) -> None:
        super().__init__(problems, total)
        first = self.problems[0]
        more = f" ({total - 1} more rows were refused)" if total > 1 else ""
        self.message = f"alteration {first.operation}: {first.message}{more}"
        self.args = (self.message,)
