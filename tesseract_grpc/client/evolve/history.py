"""The history of migrations, as a table of the hub has it: one row for each time that one was applied or taken back.

A row is written before the first step (running) and again after each (steps_done), so that it is true whatever
happens: a row that is still running belongs to a migrator that works, or to one that was killed. What is applied
follows from the rows in their order: nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .migration import Migration

Direction = Literal["up", "down", "baseline"]
State = Literal["running", "applied", "failed"]

COLUMNS: tuple[Mapping[str, Any], ...] = (
    {"name": "entry", "type": "int64", "primary_key": True, "description": "1, 2, 3, .. over all migrations"},
    {"name": "scope", "type": "string", "required": True, "description": "what is migrated: empty, or a table"},
    {"name": "version", "type": "int64", "required": True},
    {"name": "name", "type": "string"},
    {"name": "checksum", "type": "string", "description": "of the migration as it was; empty when nobody can tell"},
    {"name": "direction", "type": "enum", "enum": ["up", "down", "baseline"], "required": True},
    {"name": "state", "type": "enum", "enum": ["running", "applied", "failed"], "required": True},
    {"name": "applied_at", "type": "timestamp", "description": "when it began, by the clock of the migrator"},
    {"name": "duration", "type": "float64", "description": "seconds"},
    {"name": "steps_done", "type": "int64", "required": True, "default": 0},
    {"name": "attempt", "type": "int64", "required": True, "default": 1},
    {"name": "error", "type": "string"},
    {"name": "clean", "type": "bool", "description": "whether nothing of the step that failed was done"},
    {"name": "applied_by", "type": "string"},
)
LOCK_COLUMNS: tuple[Mapping[str, Any], ...] = (
    {"name": "id", "type": "string", "primary_key": True},
    {"name": "owner", "type": "string", "required": True},
    {"name": "since", "type": "timestamp", "required": True},
    {"name": "beat", "type": "int64", "required": True, "description": "rises while the owner lives"},
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row."""

    entry: int
    scope: str
    version: int
    name: str
    checksum: str
    direction: Direction
    state: State
    applied_at: datetime | None
    duration: float | None
    steps_done: int
    attempt: int
    error: str | None
    clean: bool | None
    applied_by: str | None

    def is_of(self, migration: Migration) -> bool:
        """Whether the migration still says what it said then, as far as anybody can tell."""
        return not self.checksum or not migration.checksum or self.checksum == migration.checksum


@dataclass(slots=True)
class History:
    """What is applied, of one scope."""

    applied: dict[int, Entry] = field(default_factory=dict)
    """By version; those of a baseline are not among them."""
    baseline: int = 0
    """Versions up to this one are applied without an entry of their own."""
    taken_back: set[int] = field(default_factory=set)
    """Those of the baseline that were taken back since."""
    unfinished: Entry | None = None
    """The last entry, if it has not come to its end."""
    last: int = 0
    """The number of the last entry."""

    @property
    def empty(self) -> bool:
        """Whether nothing is known."""
        return not (self.applied or self.baseline or self.taken_back or self.unfinished)

    def has(self, version: int) -> bool:
        """Whether a version is applied."""
        return version in self.applied or (version <= self.baseline and version not in self.taken_back)

    def version(self, known: Iterable[int]) -> int:
        """The highest version that is applied, of those that are known; 0 when none is."""
        return max(
            version for version in (0, self.baseline, *self.applied, *known) if version == 0 or self.has(version)
        )


def history_of(rows: Iterable[Mapping[str, Any]]) -> History:
    """What follows from the rows of a scope in the order of their entries."""
    found = History()
    for row in rows:
        entry = Entry(**row)
        found.last = max(found.last, entry.entry)
        if entry.state != "applied":
            found.unfinished = entry
            continue
        found.unfinished = None
        if entry.direction == "baseline":
            found.baseline, found.taken_back = entry.version, set()
            found.applied = {version: kept for version, kept in found.applied.items() if version > entry.version}
        elif entry.direction == "up":
            found.applied[entry.version] = entry
        else:
            found.applied.pop(entry.version, None)
            found.taken_back.add(entry.version)
    return found
