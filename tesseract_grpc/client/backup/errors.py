"""What a backup or a restore says when it cannot go on: one exception, a reason from a closed list, and what to do."""

from __future__ import annotations

from enum import StrEnum

from ..core.errors import TesseractError


class BackupReason(StrEnum):
    """Why a backup or a restore does not start, stops, or ends in an error."""

    PACKAGE_MISSING = "PACKAGE_MISSING"
    UNKNOWN_FORMAT = "UNKNOWN_FORMAT"
    BAD_OPTION = "BAD_OPTION"
    FILE_EXISTS = "FILE_EXISTS"
    FILE_FAILED = "FILE_FAILED"
    NOT_A_BACKUP = "NOT_A_BACKUP"
    NEWER_FORMAT = "NEWER_FORMAT"
    DAMAGED = "DAMAGED"
    NOT_KEPT = "NOT_KEPT"
    INCOMPLETE = "INCOMPLETE"
    NAME_TAKEN = "NAME_TAKEN"
    NOT_IN_BACKUP = "NOT_IN_BACKUP"
    NOT_INFERRED = "NOT_INFERRED"
    VALUE_REFUSED = "VALUE_REFUSED"
    MISMATCH = "MISMATCH"


class BackupFailed(TesseractError):
    """A backup or a restore cannot start or go on. `.reason` says why, `.hint` what to do."""

    def __init__(self, reason: BackupReason, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message, reason=reason.value, field=field, metadata={"hint": hint} if hint else {})

    @property
    def hint(self) -> str:
        """What to do about it; empty when there is nothing to say."""
        return self.metadata.get("hint", "")


def bad_option(message: str, field: str, hint: str = "") -> BackupFailed:
    """An option that cannot be meant."""
    return BackupFailed(BackupReason.BAD_OPTION, message, field=field, hint=hint)


def damaged(where: str, what: str) -> BackupFailed:
    """A file that is not as it was written; `where` says which, and which part of it."""
    hint = "it was cut off or altered after it was written: take another copy; nothing was restored from it"
    return BackupFailed(BackupReason.DAMAGED, f"{where}: {what}", hint=hint)


def not_kept(message: str, hint: str) -> BackupFailed:
    """A format that would lose something."""
    return BackupFailed(BackupReason.NOT_KEPT, message, hint=hint)


def pyarrow_missing(what: str) -> BackupFailed:
    """The extra is not installed."""
    hint = "pip install 'tesseract-grpc[arrow]'"
    return BackupFailed(BackupReason.PACKAGE_MISSING, f"{what} needs pyarrow", hint=hint)
