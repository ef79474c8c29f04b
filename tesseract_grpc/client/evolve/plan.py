"""What has to be done to come from what is applied to a version, decided before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .errors import SchemaMigrationFailed, SchemaReason, bad_migration
from .history import Entry, History
from .migration import Migration
from .step import THE_TABLE, Alter, Call, Step


@dataclass(frozen=True, slots=True)
class Todo:
    """One migration in one direction, and how far it has come."""

    migration: Migration
    direction: str
    done: int = 0
    entry: Entry | None = None
    """The entry that it goes on with, when it was begun before."""


def plan_of(
    migrations: Sequence[Migration], history: History, target: int | None, *, retry: bool = False
) -> list[Todo]:
    """What leads to the version `target`, in order; None is the newest there is.

    Raises SchemaMigrationFailed: CHECKSUM_DRIFT, MISSING_MIGRATION, OUT_OF_ORDER, UNKNOWN_VERSION, IRREVERSIBLE,
    HALF_DONE. With `retry`, a function that stopped in the middle is called again."""
    known = {migration.version: migration for migration in migrations}
    check_history(known, history)
    current = history.version(known)
    if target is None:
        target = max([current, *known])
    if target != 0 and target not in known and not history.has(target):
        versions = ", ".join(map(str, known)) or "none"
        hint = f"there are {versions}; 0 takes all back"
        raise SchemaMigrationFailed(SchemaReason.UNKNOWN_VERSION, f"there is no version {target}", hint=hint)
    if target < current:
        todo = [
            Todo(each, "down") for each in reversed(migrations) if target < each.version and history.has(each.version)
        ]
        _check_reversible(todo)
    else:
        todo = [Todo(each, "up") for each in migrations if each.version <= target and not history.has(each.version)]
        _check_order(todo, current, history)
    return _go_on(todo, known, history.unfinished, retry)


def check_history(known: dict[int, Migration], history: History) -> None:
    """What is applied must still be there and say what it said."""
    for version, entry in sorted(history.applied.items()):
        migration = known.get(version)
        title = f"{version} {entry.name}"
        if migration is None:
            message = f"migration {title} is applied, but is not there any more"
            hint = "bring its file back: what was applied can neither be checked nor taken back without it"
            raise SchemaMigrationFailed(SchemaReason.MISSING_MIGRATION, message, hint=hint)
        if not entry.is_of(migration):
            message = f"migration {title} was applied, and says something else now ({migration.origin})"
            hint = "put the text back and write a new one; or, if the hub has what it says now, `mark` it as applied"
            raise SchemaMigrationFailed(SchemaReason.CHECKSUM_DRIFT, message, hint=hint, field=migration.origin)


def _check_reversible(todo: Sequence[Todo]) -> None:
    for each in todo:
        if each.migration.down is None:
            message = f"migration {each.migration.title} cannot be taken back: it says no down, and loses something"
            hint = f"write down in {each.migration.origin}"
            raise SchemaMigrationFailed(SchemaReason.IRREVERSIBLE, message, hint=hint, field=each.migration.origin)


def _check_order(todo: Sequence[Todo], current: int, history: History) -> None:
    unfinished = history.unfinished.version if history.unfinished is not None else None
    for each in todo:
        version = each.migration.version
        if version < current and version not in history.taken_back and version != unfinished:
            message = f"migration {each.migration.title} is not applied, but {current} is"
            hint = f"give it a number above {current}; or, if the hub has what it says, `mark` it as applied"
            raise SchemaMigrationFailed(SchemaReason.OUT_OF_ORDER, message, hint=hint, field=each.migration.origin)


def _go_on(todo: list[Todo], known: dict[int, Migration], entry: Entry | None, retry: bool) -> list[Todo]:
    """Puts what was begun before in its place: it goes on where it stopped."""
    if entry is None or (entry.state == "failed" and entry.steps_done == 0 and entry.clean):
        return todo  # nothing of it was done
    migration, direction = known.get(entry.version), entry.direction
    title = f"migration {entry.version} {entry.name}".rstrip()
    if migration is not None and entry.is_of(migration):
        open_step = migration.is_open(direction, entry.steps_done)
        first = todo[0] if todo else None
        here = first is not None and (first.migration.version, first.direction) == (entry.version, direction)
        if here and (not open_step or retry):
            return [Todo(migration, direction, entry.steps_done, entry), *todo[1:]]
        if open_step:
            message = f"{title} ({direction}) stopped inside of a function: {entry.error or 'its migrator was killed'}"
            hint = "see what of it the hub has, then `retry` to call it again, or `mark` it as applied or as pending"
        else:
            message = f"{title} ({direction}) stopped after {entry.steps_done} steps: {entry.error or 'it was killed'}"
            hint = f"let it come to its end first (`{direction}`), or `mark` it as applied or as pending"
    else:
        message = f"{title} ({direction}) stopped after {entry.steps_done} steps, and is not what it was then"
        hint = "put its text back; or see what of it the hub has, and `mark` it as applied or as pending"
    raise SchemaMigrationFailed(SchemaReason.HALF_DONE, message, hint=hint)


def with_table(step: Step, scope: str, migration: Migration) -> Step:
    """The step with the table that is migrated in its place."""
    if isinstance(step, Alter) and step.table == THE_TABLE:
        return replace(step, table=table_of(scope, migration))
    return step


def table_of(scope: str, migration: Migration) -> str:
    """The table that a migration is about."""
    found = scope or migration.table
    if not found:
        hint = "say table='users' in add_migration, or migrate('users', from, to)"
        raise bad_migration("which table it is about is missing", migration.origin, hint)
    return found


def check_tables(todo: Sequence[Todo], scope: str) -> None:
    """Every step knows its table, before the first is taken."""
    for each in todo:
        for step in each.migration.steps(each.direction):
            if isinstance(step, Call) and step.takes_table:
                table_of(scope, each.migration)
            with_table(step, scope, each.migration)
