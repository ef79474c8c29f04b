"""What a migration says when it cannot go on: one exception, a reason from a closed list, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from ..core.errors import TesseractError


class MigrationReason(StrEnum):
    """Why a migration does not start, stops, or ends in an error."""

    PACKAGE_MISSING = "PACKAGE_MISSING"
    BAD_DATABASE_URL = "BAD_DATABASE_URL"
    DATABASE_FAILED = "DATABASE_FAILED"
    UNKNOWN_SOURCE = "UNKNOWN_SOURCE"
    NO_KEY = "NO_KEY"
    BAD_KEY = "BAD_KEY"
    UNMAPPED_COLUMNS = "UNMAPPED_COLUMNS"
    BAD_OPTION = "BAD_OPTION"
    TABLE_DIFFERS = "TABLE_DIFFERS"
    VALUE_REFUSED = "VALUE_REFUSED"
    NOT_RESUMABLE = "NOT_RESUMABLE"
    MISMATCH = "MISMATCH"


class MigrationFailed(TesseractError):
    """A migration cannot start or go on, or its two sides differ. `.reason` says which, `.hint` what to do."""

    def __init__(self, reason: MigrationReason, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message, reason=reason.value, field=field, metadata={"hint": hint} if hint else {})

    @property
    def hint(self) -> str:
        """What to do about it; empty when there is nothing to say."""
        return self.metadata.get("hint", "")


def bad_option(message: str, field: str, hint: str = "") -> MigrationFailed:
    """An option that cannot be meant."""
    return MigrationFailed(MigrationReason.BAD_OPTION, message, field=field, hint=hint)


def packages_missing(error: ImportError) -> Exception:
    """What to say when a migration cannot be loaded: the extra is missing, or else the error itself."""
    if not (error.name or "").startswith("sqlalchemy"):
        return error
    hint = "pip install 'tesseract-grpc[migrate]'"
    return MigrationFailed(MigrationReason.PACKAGE_MISSING, "reading databases needs SQLAlchemy", hint=hint)
