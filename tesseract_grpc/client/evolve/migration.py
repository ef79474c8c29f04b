"""One migration: a number, a name, what it does and what undoes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from .errors import bad_migration
from .step import Call, Step, StepsLike, checksum_of, inverse_of, steps_of


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration as it is now: the history has it as it was when it was applied."""

    version: int
    name: str
    up: tuple[Step, ...]
    down: tuple[Step, ...] | None
    """None when it cannot be taken back."""
    checksum: str
    """A name for what it says; empty when nobody can tell."""
    table: str | None
    """The table that it is about, if it says so; "" stands for the one that is migrated."""
    origin: str
    """Where it stands, for people."""

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.version} {self.name}" if self.name else str(self.version)

    def steps(self, direction: str) -> tuple[Step, ...]:
        """What it does in a direction, which it must have."""
        steps = self.up if direction == "up" else self.down
        assert steps is not None
        return steps

    def is_open(self, direction: str, done: int) -> bool:
        """Whether nobody knows how far the step after `done` others has come, once it was begun."""
        steps = self.steps(direction)
        return done < len(steps) and isinstance(steps[done], Call)


def migration_of(
    version: object,
    name: str,
    up: StepsLike,
    down: StepsLike | None,
    *,
    table: str | None = None,
    checksum: str | None = None,
    origin: str = "",
) -> Migration:
    """A migration from what a user wrote. Without `down`, what can be undone by itself is: columns, indexes and tables
    that came go, and names go back.

    Raises SchemaMigrationFailed (BAD_MIGRATION)."""
    where = origin or f"migration {version}"
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise bad_migration(f"a version is a whole number from 1 on, not {version!r}", where, "number them 1, 2, 3, ..")
    forward = steps_of(up, table, f"{where} up")
    back = inverse_of(forward) if down is None else steps_of(down, table, f"{where} down")
    named = checksum_of(up, down) if checksum is None else checksum
    return Migration(version, name, forward, back, named, table, where)


def in_order(migrations: Iterable[Migration]) -> list[Migration]:
    """By rising version. Raises SchemaMigrationFailed when two have the same."""
    found = sorted(migrations, key=lambda each: each.version)
    for one, other in pairwise(found):
        if one.version == other.version:
            message = f"{one.origin} and {other.origin} have the same version {one.version}"
            raise bad_migration(message, other.origin, "give the later one the next number")
    return found
