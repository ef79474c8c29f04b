"""Runs migrations of the schema, and keeps their history in the hub.

    take the lock -> read the history -> plan -> for each migration: note that it runs, take its steps, note that it ran

Every note is one commit with the condition that the lock is still held. A step that is one request carries an id which
follows from its place in the history, so a migrator that was killed between a step and its note sends the same request
again, and nothing happens twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..core.errors import AlreadyExists, NotFound, PreconditionFailed, TesseractError
from ..core.writes import WriteBatch
from ..evolve.check import Checks
from ..evolve.errors import SchemaMigrationFailed, SchemaReason
from ..evolve.files import read_directory
from ..evolve.history import COLUMNS, LOCK_COLUMNS, History, history_of
from ..evolve.migration import Migration, in_order, migration_of
from ..evolve.plan import Todo, check_tables, plan_of, table_of, with_table
from ..evolve.report import AppliedMigration, PlannedMigration, PlannedStep, SchemaMigrationStatus, status_of
from ..evolve.step import THE_TABLE, Call, Step, StepsLike
from .runtime import call_function
from .schema_lock import AsyncSchemaLock, who_am_i
from .tesseract import AsyncTesseract

if TYPE_CHECKING:
    from .hub import AsyncEventHorizon

MOST_ERROR = 2_000
"""How much of an error goes into the history."""


class AsyncSchemaMigrator:
    """Numbered migrations, from a directory of files or from code, and what of them a hub has.

    A migration is a list of steps (alterations, tables that come, go, are renamed or exchanged) or a function of the
    hub. It is applied once; one that was changed afterwards is refused. Raises SchemaMigrationFailed, with `.reason`
    and `.hint`; and what the hub says. docs/MIGRATING.md describes all of it."""

    def __init__(
        self,
        hub: AsyncEventHorizon,
        directory: str | Path | None = None,
        *,
        history: str = "schema_history",
        lock_timeout: float = 30.0,
        lease: float = 15.0,
        on_progress: Callable[[AppliedMigration], object] | None = None,
    ) -> None:
        """`history` names the table of the hub that remembers what was applied; beside it stands one for the lock,
        which is waited for `lock_timeout` seconds, and is taken over from who shows no sign of life for `lease`
        seconds."""
        self._given: Any = hub
        self._hub: AsyncEventHorizon = getattr(hub, "hub", hub)  # the compatible hub has the client's behind it
        self._rpc = self._hub._rpc
        self._table_names = (history, f"{history}_lock")
        self._lock_timeout, self._lease, self._on_progress = lock_timeout, lease, on_progress
        self._migrations = [] if directory is None else read_directory(directory)

    @property
    def migrations(self) -> Sequence[Migration]:
        """All of them, by rising version."""
        return tuple(self._migrations)

    def add_migration(
        self, version: int, up: StepsLike, down: StepsLike | None = None, *, name: str = "", table: str | None = None
    ) -> None:
        """Adds one in code: a function of the hub or of the table and the hub, or a list of steps. Without `down`,
        what can be undone by itself is. Steps that name no table are about `table`, or about the one that is
        migrated."""
        made = migration_of(version, name, up, down, table=THE_TABLE if table is None else table)
        self._migrations = in_order([*self._migrations, made])

    # --- up and down

    async def up(self, target: int | None = None, *, retry: bool = False) -> list[AppliedMigration]:
        """Applies what is not applied, up to the version `target` or all of it. With `retry`, a function that stopped
        in the middle is called again."""
        return await self._run("", "up", target, retry)

    async def down(self, target: int | None = None, *, retry: bool = False) -> list[AppliedMigration]:
        """Takes the newest back, or all down to the version `target`, which stays; 0 takes all back."""
        return await self._run("", "down", target, retry)

    @overload
    async def migrate(self, table: int | None = ..., *, retry: bool = ...) -> list[AppliedMigration]: ...

    @overload
    async def migrate(self, table: str, current: int, target: int, *, retry: bool = ...) -> AsyncTesseract: ...

    async def migrate(
        self, table: str | int | None = None, current: int = 0, target: int | None = None, *, retry: bool = False
    ) -> list[AppliedMigration] | AsyncTesseract:
        """To a version, upwards or downwards: `migrate(3)`. Or one table by itself: `migrate("users", 1, 3)`, with a
        history of its own; there `current` is believed as long as that history is empty. Returns what was
        done, or the table."""
        if not isinstance(table, str):
            return await self._run("", "either", table, retry)
        await self._run(table, "either", target, retry, current)
        found: AsyncTesseract = await self._given.get_tesseract(table)
        return found

    async def mark(self, version: int, state: str, *, table: str = "") -> None:
        """Notes a migration as "applied" or as "pending" without running it, with the text that it has now: after
        somebody has seen to it by hand."""
        if state not in ("applied", "pending"):
            message = f"a migration is marked as applied or as pending, not as {state!r}"
            raise SchemaMigrationFailed(SchemaReason.UNKNOWN_VERSION, message, hint="write one of them")
        known = {migration.version: migration for migration in self._migrations}
        async with await self._lock() as lock:
            history = await self._history(table)
            entry = history.applied.get(version) or history.unfinished
            if version not in known and (entry is None or entry.version != version):
                hint = f"there are {', '.join(map(str, known)) or 'none'}"
                raise SchemaMigrationFailed(SchemaReason.UNKNOWN_VERSION, f"there is no version {version}", hint=hint)
            named = known.get(version)
            row = self._row(table, version, "up" if state == "applied" else "down", history)
            row |= {"name": named.name if named else entry.name if entry else ""}
            row |= {"checksum": named.checksum if named else "", "state": "applied", "error": "marked by hand"}
            await self._note(lock, row)

    async def _run(
        self, scope: str, way: str, target: int | None, retry: bool, current: int = 0
    ) -> list[AppliedMigration]:
        done: list[AppliedMigration] = []
        async with await self._lock() as lock:
            history = await self._history(scope)
            believed = current > 0 and self._believe(scope, current, history)
            todo = plan_of(self._migrations, history, self._target(way, target, history), retry=retry)
            check_tables(todo, scope)
            if believed:
                row = self._row(scope, current, "baseline", history)
                await self._note(lock, {**row, "name": "said by the caller", "state": "applied"})
                history.last = row["entry"]
            for each in todo:
                row = self._row(scope, each.migration.version, each.direction, history)
                done.append(await self._apply(lock, scope, each, row))
                history.last = max(history.last, row["entry"])
        return done

    def _target(self, way: str, target: int | None, history: History) -> int | None:
        """The version to come to. Refuses an up that leads down, and a down that leads up."""
        known = [migration.version for migration in self._migrations]
        current = history.version(known)
        begun = history.unfinished
        if way == "down" and target is None:
            if begun is not None and begun.direction == "down":
                current = begun.version
            below = [version for version in known if version < current and history.has(version)]
            return max(below, default=0)
        if target is not None and ((way == "up" and target < current) or (way == "down" and target > current)):
            message = f"version {target} lies {'below' if way == 'up' else 'above'} {current}, which is applied"
            other = "down" if way == "up" else "up"
            raise SchemaMigrationFailed(SchemaReason.UNKNOWN_VERSION, message, hint=f"use {other}, or migrate")
        return target

    def _believe(self, scope: str, current: int, history: History) -> bool:
        """Takes the version that the caller says as where the table stands, if nothing is known of it."""
        if history.empty:
            history.baseline = current
            return True
        stands = history.version(migration.version for migration in self._migrations)
        if stands < current:
            message = f"{scope} is said to have version {current}, but its history says {stands}"
            hint = f"migrate it from {stands}, or `mark` what it has"
            raise SchemaMigrationFailed(SchemaReason.VERSION_DIFFERS, message, hint=hint)
        return False

    # --- one migration

    async def _apply(self, lock: AsyncSchemaLock, scope: str, todo: Todo, row: dict[str, Any]) -> AppliedMigration:
        migration, direction, done = todo.migration, todo.direction, todo.done
        started = time.monotonic()
        if todo.entry is not None:
            again = todo.entry.state == "failed"
            row |= {"entry": todo.entry.entry, "attempt": todo.entry.attempt + again, "steps_done": done}
            row |= {"applied_at": todo.entry.applied_at}  # the ids of requests follow from it
        row |= {
            "name": migration.name,
            "checksum": migration.checksum,
            "state": "running",
            "error": None,
            "clean": None,
        }
        await self._note(lock, row)
        steps = migration.steps(direction)
        attempt = f"schema-{row['entry']}-{row['applied_at'].timestamp():.6f}-{row['attempt']}"
        for at, step in list(enumerate(steps))[done:]:
            named = with_table(step, scope, migration)
            try:
                await self._take(named, scope, migration, f"{attempt}-{at}")
            except Exception as error:
                seconds = time.monotonic() - started
                await self._note_failure(lock, {**row, "duration": seconds, "clean": not isinstance(step, Call)}, error)
                place = f"step {at + 1} of {len(steps)} ({named.describe()})"
                message = f"migration {migration.title} ({direction}) failed at {place}: {_text_of(error)}"
                raise SchemaMigrationFailed(
                    SchemaReason.STEP_FAILED, message, hint=_what_now(named, at, direction), field=migration.origin
                ) from error
            row["steps_done"] = at + 1
            if at + 1 < len(steps):
                await self._note(lock, row)
        seconds = time.monotonic() - started
        await self._note(lock, {**row, "state": "applied", "duration": seconds})
        made = AppliedMigration(migration.version, migration.name, direction, seconds)
        if self._on_progress is not None:
            self._on_progress(made)
        return made

    async def _take(self, step: Step, scope: str, migration: Migration, request_id: str) -> None:
        """One step."""
        if not isinstance(step, Call):
            method, request = step.call(self._hub.name, request_id)
            await self._rpc.call(getattr(self._rpc.tables, method), request)
        elif step.takes_table:
            table = await self._given.get_tesseract(table_of(scope, migration))
            await call_function(step.function, table, self._given)
        else:
            await call_function(step.function, self._given)

    # --- looking without doing

    async def status(self, *, table: str = "") -> list[SchemaMigrationStatus]:
        """How all migrations stand, those among them that are applied and not there any more. Changes nothing."""
        return status_of(self._migrations, await self._history(table))

    async def dry_run(self, target: int | None = None, *, table: str = "") -> list[PlannedMigration]:
        """What `migrate` would do. The server checks alterations and new tables on the rows that there are, as far as
        what stands before them lets it know; functions are not called, and what follows them is not checked."""
        todo = plan_of(self._migrations, await self._history(table), target, retry=True)
        check_tables(todo, table)
        checks = Checks(self._hub.name)
        planned = []
        for each in todo:
            left = each.migration.steps(each.direction)[each.done :]
            steps = [await self._checked(checks, with_table(step, table, each.migration)) for step in left]
            planned.append(PlannedMigration(each.migration.version, each.migration.name, each.direction, tuple(steps)))
        return planned

    async def _checked(self, checks: Checks, step: Step) -> PlannedStep:
        asked = checks.question(step)
        if asked is None:
            return PlannedStep(step.describe(), False)
        method, request = asked
        try:
            response = await self._rpc.call(getattr(self._rpc.tables, method), request)
        except TesseractError as error:
            if error.passes:
                raise
            return PlannedStep(step.describe(), True, _text_of(error))
        return checks.answer(step, response)

    # --- the tables of the hub

    async def _lock(self) -> AsyncSchemaLock:
        """The lock, and the tables that it and the history need."""
        history, lock = self._table_names
        await self._table(history, COLUMNS, "what migrations of the schema were applied")
        return AsyncSchemaLock(
            await self._table(lock, LOCK_COLUMNS, "who migrates the schema"), self._lease, self._lock_timeout
        )

    async def _table(self, name: str, columns: Any, description: str) -> AsyncTesseract:
        try:
            return await self._hub.get_tesseract(name)
        except NotFound:
            pass
        try:
            return await self._hub.create_tesseract(name, columns, description=description)
        except AlreadyExists:
            return await self._hub.get_tesseract(name)

    async def _history(self, scope: str) -> History:
        """The history of a scope, as it is now; an empty one when there is no table yet."""
        try:
            rows = await self._hub.query(table=self._table_names[0], sort="entry")
        except NotFound:
            return History()
        found = history_of(row for row in rows if row["scope"] == scope)
        found.last = max((row["entry"] for row in rows), default=0)
        return found

    def _row(self, scope: str, version: int, direction: str, history: History) -> dict[str, Any]:
        """A new row."""
        row = {"entry": history.last + 1, "scope": scope, "version": version, "direction": direction}
        row |= {
            "name": "",
            "checksum": "",
            "duration": 0.0,
            "steps_done": 0,
            "attempt": 1,
            "error": None,
            "clean": None,
        }
        return row | {"applied_at": datetime.now(UTC), "applied_by": who_am_i()}

    async def _note(self, lock: AsyncSchemaLock, row: dict[str, Any]) -> None:
        """Writes a row, if the lock is still held."""
        try:
            await self._hub.write(lock.guard(WriteBatch()).upsert(self._table_names[0], row))
        except (PreconditionFailed, NotFound) as error:
            message = "another migrator has taken the lock over, because this one gave no sign of life"
            hint = "see `status`; what the other one does is in the history"
            raise SchemaMigrationFailed(SchemaReason.LOCK_LOST, message, hint=hint) from error

    async def _note_failure(self, lock: AsyncSchemaLock, row: dict[str, Any], error: Exception) -> None:
        """Writes why a step failed. Where that cannot be written, the row says that it is running, which is as true."""
        try:
            await self._note(lock, {**row, "state": "failed", "error": _text_of(error)[:MOST_ERROR]})
        except TesseractError:
            return


def _text_of(error: Exception) -> str:
    text = error.message if isinstance(error, TesseractError) else str(error)
    rows = "; ".join(each.message for each in getattr(error, "row_errors", ())[:3])
    named = text or type(error).__name__ if isinstance(error, TesseractError) else f"{type(error).__name__}: {text}"
    return f"{named} ({rows})" if rows else named


def _what_now(step: Step, at: int, direction: str) -> str:
    """What to do about a step that failed."""
    if isinstance(step, Call):
        return (
            "nobody knows what of the function was done: see what the hub has, then `retry` to call it again, or "
            "`mark` the migration as applied or as pending"
        )
    if at:
        return f"the steps before it stand; put right what it says, and the same `{direction}` goes on with this step"
    return f"nothing of it was done; put right what it says, and call `{direction}` again"
