"""A hub with the ancestor's methods, over a hub of the client.

Tables are made unless they are there, so that a program which describes its tables when it starts may start again. What
is there must have the described columns: changing them is what `add_column` and migrations of the schema are for.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from typing import Any, ClassVar, Self
from uuid import uuid4

import grpc

from ..core.datatype import type_of_name
from ..core.errors import AlreadyExists, NotFound, TesseractError
from ..sync.hub import EventHorizon as Hub
from ..sync.session import Session as Live
from ..sync.tesseract import Tesseract
from .definitions import Definitions, definitions_of
from .refusal import NotCarriedOver
from .session import Session
from .sessions import SessionDefinition, session_of
from .spelling import Spelled
from .table import Table
from .tables import TableDefinition, table_of

ADDRESS = "TESSERACT_ADDRESS"


class EventHorizon(Spelled):
    """A hub. What it does not define itself (`write`, `write_stream`, ..) is that of the client's hub, `hub`."""

    _default: ClassVar[EventHorizon | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, hub: Hub | str | None = None, **options: Any) -> None:
        """On a hub of the client, or on the one at an address, by default that in TESSERACT_ADDRESS, else
        localhost:50051; `options` are those of `connect`."""
        self._owned = not isinstance(hub, Hub)
        address = hub if isinstance(hub, str) else os.environ.get(ADDRESS, "localhost:50051")
        self.hub = hub if isinstance(hub, Hub) else Hub.connect(address, **options)
        self.tables: dict[str, Table] = {}
        self._generated: list[str] = []

    @classmethod
    def default(cls) -> EventHorizon:
        """The hub of the tables that name none: connected at first use, closed when the program ends."""
        with cls._lock:
            if cls._default is None:
                cls._default = cls()
                atexit.register(cls._default.close)
            return cls._default

    @classmethod
    def use(cls, hub: EventHorizon | None) -> None:
        """Makes another hub the default one; None lets the next use connect again."""
        with cls._lock:
            cls._default = hub

    def _behind(self) -> Hub:
        return self.hub

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the sessions whose ids were generated here, and ends the connection if it was made here."""
        for id in self._generated:
            try:
                self.hub.remove_session(id, allow_missing=True)
            except TesseractError:
                break  # the server is gone, or the hub is closed
        self._generated.clear()
        if self._owned:
            self.hub.close()

    # --- tables

    def create_tesseract(self, name: str, config: Any = None) -> Table:
        """The table with this name, made as the configuration says unless it is there."""
        return Table(name, {} if config is None else config, self)

    def get_tesseract(self, name: str) -> Table | None:
        """The table with this name, with the columns that it has now; None when there is none."""
        try:
            if name not in self.tables:
                return Table(name, None, self)
            self.tables[name].tesseract.info()
        except NotFound:
            self.tables.pop(name, None)
            return None
        return self.tables[name]

    def remove_tesseract(self, name: str | Table) -> int:
        """Deletes a table with its rows and sessions. Returns the version."""
        found = name if isinstance(name, str) else name.name
        self.tables.pop(found, None)
        return self.hub.remove_tesseract(found)

    def rename_tesseract(self, name: str | Table, new_name: str) -> Table:
        """Renames a table; its sessions follow."""
        found = name if isinstance(name, str) else name.name
        table = self.tables.pop(found, None) or Table(found, None, self)
        self.tables.pop(found, None)
        table.tesseract = self.hub.rename_tesseract(found, new_name)
        self.remember(table)
        return table

    def create_tesseract_from_session(self, name: str, session: Any) -> Table:
        """A derived table: the rows of a session, kept up to date."""
        return self.create_tesseract(name, {"session": session})

    def create_union(self, name: str, config: Mapping[str, Any]) -> Table:
        """A derived table with the rows of several queries: {"subSessions": {name: query}, "columns": [...]}. The
        column `branch` says from which, counted from 0."""
        subs = config.get("subSessions", config.get("sub_sessions"))
        unknown = sorted(set(config) - {"subSessions", "sub_sessions", "columns"})
        if not isinstance(subs, Mapping) or not subs or unknown:
            where = f"union.{unknown[0]}" if unknown else "union.subSessions"
            raise NotCarriedOver(
                "a union has subSessions and columns", where, "write {subSessions: {..}, columns: [..]}"
            )
        sources = [self.translate(each, f"union.subSessions.{key}").query for key, each in subs.items()]
        query: dict[str, Any] = {"source": {"union": {"sources": sources, "branch_column": "branch"}}}
        if config.get("columns"):
            query["columns"] = self.translate({"source": "union", "columns": config["columns"]}, "union").query[
                "columns"
            ]
        made = self.hub.create_tesseract_from_session(name, query)
        return Table(made.name, None, self)

    def remember(self, table: Table) -> None:
        """Finds the table under its name from now on."""
        self.tables[table.name] = table

    def find_or_make(self, name: str, config: Any) -> tuple[Tesseract, TableDefinition, set[str]]:
        """A table, what its configuration says, and which of its columns wait for a type."""
        if config is None:
            return self.hub.get_tesseract(name), TableDefinition([]), set()
        definition = table_of(config, name)
        try:
            if definition.query is not None:
                source = self._source(definition.query, f"{name}.session")
                made = self.hub.create_tesseract_from_session(name, source, description=definition.description)
            else:
                made = self.hub.create_tesseract(
                    name, definition.columns, description=definition.description, **definition.options
                )
        except AlreadyExists:
            made = self.hub.get_tesseract(name)
            if definition.query is None:
                check_columns(made, definition)
            return made, definition, set()
        return made, definition, set(definition.untyped)

    def _source(self, query: Any, field: str) -> Any:
        """What a derived table reads: a session, its id, or a query."""
        if isinstance(query, Session):
            return query.session
        return self.translate(query, field).query if isinstance(query, Mapping) else query

    # --- sessions

    def translate(self, config: Any, field: str = "session") -> SessionDefinition:
        """What a configuration of a session means, with what its table's columns hand on."""
        return session_of(config, self._inherited, field)

    def _inherited(self, table: str) -> Mapping[str, Mapping[str, Any]]:
        found = self.tables.get(table)
        return {} if found is None else found.definition.inherited

    def create_session(self, config: Mapping[str, Any] | None = None, **more: Any) -> Session:
        """A live query. Without an id it gets one, and ends with this hub's `close`."""
        definition = self.translate({**(config or {}), **more})
        id = definition.id
        if id is None:
            id = f"{definition.query.get('table', 'session')}_{uuid4().hex[:12]}"
            self._generated.append(id)
        session = self.hub.create_session(
            id,
            permanent_filter=definition.permanent_filter,
            idle_timeout=definition.idle_timeout,
            description=definition.description,
            **definition.query,
        )
        return Session(self, session, definition)

    def get_session(self, id: str) -> Session | None:
        """The session with this id; None when there is none."""
        try:
            found: Live = self.hub.get_session(id)
        except NotFound:
            return None
        return Session(self, found, SessionDefinition(id, {}))

    # --- files of definitions

    def load(self, source: Any) -> Definitions:
        """Makes all tables and sessions of a file of definitions, or of what was read from one; rows that it holds are
        added to tables that are empty. All of it is read before anything is made. See `definitions_of`."""
        definitions = definitions_of(source)
        for name, config in definitions.tables.items():
            table_of(config, f"tables.{name}")
        for name, config in definitions.tables.items():
            table = self.create_tesseract(name, config)
            rows = definitions.data.get(name)
            if rows and not table.get_count():
                table.add(rows)
        for id, config in definitions.sessions.items():
            definitions.made[id] = self.create_session({**config, "id": id})
        return definitions


def check_columns(made: Tesseract, definition: TableDefinition) -> None:
    """Refuses a table that is there and has not the described columns. Raises AlreadyExists."""
    there = {column["name"]: column for column in made.columns}
    wanted = {column["name"]: column for column in definition.columns}
    differ = [name for name in wanted if name not in there] + [name for name in there if name not in wanted]
    for name in wanted.keys() & there.keys():
        named = wanted[name].get("type")
        if (
            name not in definition.untyped
            and named is not None
            and type_of_name(named, name) != made.schema.types[name]
        ):
            differ.append(name)
        if wanted[name].get("expression", "") != there[name].get("expression", ""):
            differ.append(name)
    key = tuple(column["name"] for column in definition.columns if column.get("primary_key"))
    if not differ and key == made.key:
        return
    what = f"column {differ[0]!r} differs" if differ else f"its key is {', '.join(made.key)}"
    raise AlreadyExists(
        f"table {made.name!r} is there with other columns: {what}",
        reason="TABLE_EXISTS",
        field=made.name,
        metadata={"hint": "change it with its method alter, or with a SchemaMigrator; or take another name"},
        code=grpc.StatusCode.ALREADY_EXISTS,
    )


class TesseractV1Compatibility:
    """The compatibility layer of the guide: tables that are made directly, and sessions that are made from tables.

    `createTable`, `getTable` and `eventHorizon` are under these names and in snake_case."""

    def __init__(self, hub: Hub | EventHorizon | str | None = None, **options: Any) -> None:
        """On a hub of either kind, or on the one at an address, as `EventHorizon` takes it."""
        self.event_horizon = hub if isinstance(hub, EventHorizon) else EventHorizon(hub, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables that were made or found here, by name."""
        return self.event_horizon.tables

    def create_table(self, name: str, config: Any) -> Table:
        """The table with this name, made as the configuration says unless it is there."""
        return self.event_horizon.create_tesseract(name, config)

    def get_table(self, name: str) -> Table | None:
        """The table with this name; None when there is none."""
        return self.event_horizon.get_tesseract(name)

    def load(self, source: Any) -> Definitions:
        """Makes all tables and sessions of a file of definitions."""
        return self.event_horizon.load(source)

    def close(self) -> None:
        """Removes the sessions whose ids were generated here, and ends the connection if it was made here."""
        self.event_horizon.close()

    createTable = create_table  # noqa: N815
    getTable = get_table  # noqa: N815

    @property
    def eventHorizon(self) -> EventHorizon:  # noqa: N802
        """The hub."""
        return self.event_horizon
