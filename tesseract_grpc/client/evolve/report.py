"""What a migrator tells: what it did, what it would do, and how things stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..core.alterations import EndedSession
from .history import History
from .migration import Migration


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that was applied (up) or taken back (down)."""

    version: int
    name: str
    direction: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a dry run. `checked`: the server has looked at it, on the rows that there are; `problem` is why it
    would be refused, empty when it would not."""

    text: str
    checked: bool
    problem: str = ""
    rewritten_rows: int = 0
    ended_sessions: tuple[EndedSession, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """A migration of a dry run."""

    version: int
    name: str
    direction: str
    steps: tuple[PlannedStep, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it would be refused."""
        return tuple(step.problem for step in self.steps if step.problem)


@dataclass(frozen=True, slots=True)
class SchemaMigrationStatus:
    """How a migration stands.

    `state` is "applied", "pending", "failed" or "interrupted" (it stopped in the middle), "changed" (it is applied, and
    says something else now) or "missing" (it is applied, and not there any more)."""

    version: int
    name: str
    state: str
    applied_at: datetime | None = None
    seconds: float | None = None
    error: str = ""
    reversible: bool = False


def status_of(migrations: Sequence[Migration], history: History) -> list[SchemaMigrationStatus]:
    """All migrations that are there or applied, by rising version."""
    known = {migration.version: migration for migration in migrations}
    found = []
    for version in sorted({*known, *history.applied}):
        migration, entry = known.get(version), history.applied.get(version)
        state, error = ("applied" if history.has(version) else "pending"), ""
        if migration is None:
            state = "missing"
        elif entry is not None and not entry.is_of(migration):
            state = "changed"
        begun = history.unfinished
        if begun is not None and begun.version == version:
            entry, state = begun, "failed" if begun.state == "failed" else "interrupted"
            error = begun.error or f"stopped after {begun.steps_done} steps of {begun.direction}"
        found.append(
            SchemaMigrationStatus(
                version,
                migration.name if migration is not None else entry.name if entry is not None else "",
                state,
                entry.applied_at if entry is not None else None,
                entry.duration if entry is not None else None,
                error,
                migration is not None and migration.down is not None,
            )
        )
    return found
