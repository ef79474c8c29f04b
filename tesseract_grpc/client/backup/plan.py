"""Under which names and in which order things come back, decided before anything is done.

Stored tables are loaded under names of their own, beside everything else; when all of them are there, they get their
names, and what reads them is created: derived tables and sessions, each behind what it reads.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2

from .definition import Contents, SessionBackup, TableBackup, to_json
from .errors import BackupFailed, BackupReason, bad_option
from .options import RestoreSettings
from .references import Name, names_in, rename

HIDDEN = "_restoring."
"""With what the names of tables begin that are being loaded."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stored table: what it is loaded as, and what it becomes."""

    backup: TableBackup
    hidden: str
    name: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Created:
    """A derived table or a session, which is created when what it reads is there."""

    kind: Literal["table", "session"]
    name: str
    definition: Any


@dataclass(frozen=True, slots=True)
class Present:
    """What a hub has: its tables and sessions, and what derived tables and sessions ask."""

    tables: Mapping[str, query_pb2.Query | None]
    sessions: Mapping[str, query_pb2.Query]


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore, to be carried out."""

    loaded: tuple[Loaded, ...]
    created: tuple[Created, ...]
    kept: tuple[Created, ...]
    """What is there already, as the backup has it."""

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(each.backup.rows for each in self.loaded)


def plan_of(contents: Contents, settings: RestoreSettings, hub: str, present: Present) -> Plan:
    """What is to be done. Raises BackupFailed where it cannot be, and then nothing has been."""
    tables = _chosen(contents, settings)
    with_sessions = settings.tables is None if settings.sessions is None else settings.sessions
    sessions = list(contents.sessions) if with_sessions else []
    new = _new_names(tables, settings)
    new_sessions = {each.name: settings.rename_sessions.get(each.name, each.name) for each in sessions}
    _check_names([*new.values()], "rename")
    _check_names([*new_sessions.values()], "rename_sessions")
    token = secrets.token_hex(4)
    stored = [table for table in tables if not table.derived]
    loaded = tuple(
        Loaded(table, f"{HIDDEN}{token}.{number}", new[table.name], new[table.name] in present.tables)
        for number, table in enumerate(stored, 1)
    )
    wanted = _created(tables, sessions, new, new_sessions, hub)
    kept = tuple(each for each in wanted if settings.replace and _same(each, present))
    created = tuple(each for each in wanted if each not in kept)
    _check_free(loaded, created, settings, present)
    _check_sources(created, {each.name for each in loaded}, present)
    return Plan(loaded, _in_order(created), kept)


def _chosen(contents: Contents, settings: RestoreSettings) -> list[TableBackup]:
    known = {table.name: table for table in contents.tables}
    if settings.tables is None:
        return list(contents.tables)
    unknown = [name for name in settings.tables if name not in known]
    if unknown:
        hint = f"it has {', '.join(known) or 'none'}"
        raise BackupFailed(
            BackupReason.NOT_IN_BACKUP, f"the backup has no table {unknown[0]!r}", hint=hint, field="tables"
        )
    return [known[name] for name in dict.fromkeys(settings.tables)]


def _new_names(tables: list[TableBackup], settings: RestoreSettings) -> dict[str, str]:
    asked = settings.rename
    if isinstance(asked, str):
        if len(tables) != 1:
            raise bad_option(
                f"one new name for {len(tables)} tables", "rename", "give a dict of names, or choose one table (tables)"
            )
        return {tables[0].name: asked}
    asked = asked or {}
    unknown = asked.keys() - {table.name for table in tables}
    if unknown:
        raise bad_option(f"the table {min(unknown)!r} is not restored, and cannot get another name", "rename")
    return {table.name: asked.get(table.name, table.name) for table in tables}


def _check_names(names: list[str], field: str) -> None:
    for name in names:
        if not _NAME.match(name):
            raise bad_option(f"{name!r} cannot be a name", field, "1 to 128 of A-Z a-z 0-9 _ . -, a letter or _ first")
        if names.count(name) > 1:
            raise bad_option(f"two would be called {name!r}", field)


def _created(
    tables: Iterable[TableBackup],
    sessions: Iterable[SessionBackup],
    new: Mapping[str, str],
    new_sessions: Mapping[str, str],
    hub: str,
) -> list[Created]:
    found: list[Created] = []
    for table in tables:
        if table.derived:
            definition = schema_pb2.Table()
            definition.CopyFrom(table.definition)
            rename(definition, hub, new, new_sessions)
            found.append(Created("table", new[table.name], definition))
    for session in sessions:
        asked = session_service_pb2.Session()
        asked.CopyFrom(session.definition)
        rename(asked, hub, new, new_sessions)
        found.append(Created("session", new_sessions[session.name], asked))
    return found


def _same(each: Created, present: Present) -> bool:
    """Whether the hub has it already, asking the same."""
    there = present.tables.get(each.name) if each.kind == "table" else present.sessions.get(each.name)
    return there is not None and to_json(there) == to_json(each.definition.query)


def _check_free(
    loaded: Iterable[Loaded], created: Iterable[Created], settings: RestoreSettings, present: Present
) -> None:
    taken = [f"table {each.name!r}" for each in loaded if each.replaces and not settings.replace]
    taken += [
        f"{each.kind} {each.name!r}"
        for each in created
        if each.name in (present.tables if each.kind == "table" else present.sessions)
    ]
    if taken:
        hint = "restore under other names (rename=, --rename), or exchange tables with replace=True (--replace)"
        raise BackupFailed(
            BackupReason.NAME_TAKEN, f"the hub has {', '.join(taken[:10])} already", hint=hint, field="rename"
        )
    derived = [each.name for each in loaded if each.replaces and present.tables[each.name] is not None]
    if derived:
        message = f"table {derived[0]!r} of the hub is derived, and cannot be exchanged for a stored one"
        raise BackupFailed(BackupReason.NAME_TAKEN, message, hint="remove it first", field="replace")


def _check_sources(created: Iterable[Created], loaded: set[str], present: Present) -> None:
    names: set[Name] = {("table", name) for name in loaded | present.tables.keys()}
    names |= {("session", name) for name in present.sessions}
    names |= {(each.kind, each.name) for each in created}
    for each in created:
        missing = names_in(each.definition) - names
        if missing:
            kind, name = min(missing)
            message = f"the {each.kind} {each.name!r} reads the {kind} {name!r}, which is neither restored nor there"
            raise BackupFailed(
                BackupReason.NOT_IN_BACKUP, message, hint="restore that too, or leave this out", field="tables"
            )


def _in_order(created: tuple[Created, ...]) -> tuple[Created, ...]:
    """Each behind what it reads."""
    by_name = {(each.kind, each.name): each for each in created}
    order: dict[Name, Created] = {}

    def visit(name: Name) -> None:
        if name in by_name and name not in order:
            for read in sorted(names_in(by_name[name].definition)):
                if read != name:
                    visit(read)
            order[name] = by_name[name]

    for each in by_name:
        visit(each)
    return tuple(order.values())
