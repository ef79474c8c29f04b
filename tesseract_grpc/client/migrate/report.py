"""What a migration tells while it runs and when it is through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["copying", "verifying", "following"]


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a migration is."""

    phase: Phase
    rows: int
    """Rows that the hub has acknowledged, those of earlier runs included; while verifying, rows that were compared;
    while following, rows that were written since."""
    total: int
    """Rows that there are to copy; 0 when that is not known."""
    seconds: float
    """Since this run began."""
    rate: float
    """Rows a second, in this run."""
    deleted: int = 0
    """While following: rows that were found to be deleted."""

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None when that cannot be said."""
        return max(self.total - self.rows, 0) / self.rate if self.rate > 0 and self.total else None


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What a migration did."""

    table: str
    """The table of the hub."""
    rows: int
    """How many rows it copied, those of interrupted runs included."""
    resumed_at: int = 0
    """How many of them had been copied by interrupted runs."""
    version: int = 0
    """The version of the hub at which both sides were compared, or of the last commit."""
    verified: bool = False
    """Whether counts and checksums were compared, and are equal."""
    seconds: float = 0.0
    """How long it took, the comparison included and following not."""
    reading_seconds: float = 0.0
    """How much of it the database and its driver took."""
    converting_seconds: float = 0.0
    """How much of it went into making columns, checksums and requests of rows."""
    followed: int = 0
    """Rows that were written while following."""
    deleted: int = 0
    """Rows that were deleted while following."""
    warnings: tuple[str, ...] = field(default=())
    """What may be worth knowing."""
