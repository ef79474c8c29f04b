"""What backups and restores tell while they run and when they are through."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Phase = Literal["backing up", "checking", "restoring", "verifying", "finishing"]

SECONDS_BETWEEN = 0.1


@dataclass(frozen=True, slots=True)
class BackupProgress:
    """How far a backup or a restore is."""

    phase: Phase
    table: str
    """The table that is at it; empty while a file is checked."""
    rows: int
    """Rows that are through; while a file is checked, bytes."""
    total: int
    """Rows, or bytes, that there are."""
    seconds: float
    """Since this phase began."""

    @property
    def rate(self) -> float:
        """Rows, or bytes, a second."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None when that cannot be said."""
        return max(self.total - self.rows, 0) / self.rate if self.rate > 0 and self.total else None


@dataclass(frozen=True, slots=True)
class BackupResult:
    """A backup that was made."""

    path: Path
    format: str
    version: int
    """The version of the hub at which all of it is."""
    epoch: str
    tables: Mapping[str, int]
    """The tables, and how many rows of each; a derived table has none."""
    sessions: tuple[str, ...]
    rows: int
    bytes: int
    """The size of the file."""
    seconds: float
    warnings: tuple[str, ...] = ()
    """What the format does not keep."""


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """A column of a file that does not say what its columns are."""

    name: str
    type: str
    why: str
    doubts: tuple[str, ...] = ()
    """What speaks for something else."""


@dataclass(frozen=True, slots=True)
class InferredTable:
    """What was inferred of a file."""

    columns: tuple[InferredColumn, ...]
    key: tuple[str, ...]
    key_why: str


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """What a file holds; it was read through, and is as it was written as far as its format can tell."""

    path: Path
    format: str
    bytes: int
    hub: str
    epoch: str
    version: int
    time: datetime | None
    tables: Mapping[str, int]
    """The tables, and how many rows of each."""
    sessions: tuple[str, ...]
    checked: bool
    """Whether the file has a checksum of its rows; CSV and JSON lines have none, unless they are compressed."""
    inferred: InferredTable | None = None
    """What was inferred, where the file has no schema."""


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What was restored."""

    path: Path
    format: str
    tables: Mapping[str, int]
    """The tables of the hub, under the names that they have there, and how many rows of each."""
    sessions: tuple[str, ...]
    rows: int
    version: int
    """The version of the hub when all of it was there; 0 with `dry_run`."""
    seconds: float
    verified: bool = False
    """Whether everything was read back and compared."""
    inferred: InferredTable | None = None
    """What was inferred, where the file has no schema."""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Teller:
    """Tells of progress, not too often."""

    on_progress: Callable[[BackupProgress], None] | None
    _phase: Phase | None = None
    _begun: float = 0.0
    _told: float = 0.0
    _last: BackupProgress | None = field(default=None)

    def tell(self, phase: Phase, table: str, rows: int, total: int, *, now: bool = False) -> None:
        """How far it is."""
        if self.on_progress is None:
            return
        moment = time.monotonic()
        if phase != self._phase:
            self._phase, self._begun, self._told = phase, moment, 0.0
        if now or moment - self._told >= SECONDS_BETWEEN or rows >= total:
            self._told = moment
            progress = BackupProgress(phase, table, rows, total, moment - self._begun)
            if (progress.phase, progress.table, progress.rows) != self._key():
                self._last = progress
                self.on_progress(progress)

    def _key(self) -> tuple[str, str, int] | None:
        return None if self._last is None else (self._last.phase, self._last.table, self._last.rows)
