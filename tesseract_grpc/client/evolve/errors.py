"""What a migration of the schema says when it cannot go on: one exception, a reason from a closed list, and what to
do."""

from __future__ import annotations

from enum import StrEnum

from ..core.errors import TesseractError


class SchemaReason(StrEnum):
    """Why migrations of the schema do not start, stop, or end in an error."""

    BAD_MIGRATION = "BAD_MIGRATION"
    CHECKSUM_DRIFT = "CHECKSUM_DRIFT"
    MISSING_MIGRATION = "MISSING_MIGRATION"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    UNKNOWN_VERSION = "UNKNOWN_VERSION"
    VERSION_DIFFERS = "VERSION_DIFFERS"
    IRREVERSIBLE = "IRREVERSIBLE"
    LOCKED = "LOCKED"
    LOCK_LOST = "LOCK_LOST"
    STEP_FAILED = "STEP_FAILED"
    HALF_DONE = "HALF_DONE"


class SchemaMigrationFailed(TesseractError):
    """Migrations of the schema cannot start or go on. `.reason` says which, `.hint` what to do; `__cause__` is the
    error of a step that failed."""

    def __init__(self, reason: SchemaReason, message: str, *, hint: str, field: str = "") -> None:
        super().__init__(message, reason=reason.value, field=field, metadata={"hint": hint})

    @property
    def hint(self) -> str:
        """What to do about it."""
        return self.metadata["hint"]


def bad_migration(message: str, where: str, hint: str) -> SchemaMigrationFailed:
    """A migration that cannot be meant."""
    return SchemaMigrationFailed(SchemaReason.BAD_MIGRATION, f"{where}: {message}", hint=hint, field=where)
