"""What happens to a hub, as handlers and `hub.events` are told it, and what a client knows of a hub.

A stream of a hub's events cannot be resumed. So a client remembers what there is (`Known`); after a gap it is told anew
what there is, and the difference tells what happened meanwhile: not in which order, nor what came and went.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, schema_pb2, session_service_pb2

from .names import id_of
from .schema import Schema

HUB_EVENTS = (
    "table_created",
    "table_removed",
    "table_renamed",
    "table_altered",
    "tables_swapped",
    "session_opened",
    "session_edited",
    "session_closed",
    "hub_state",
)
"""Everything that is told."""


@dataclass(frozen=True, slots=True)
class HubEvent:
    """One thing that happened to a hub. What an event does not have is empty."""

    kind: str
    """Its name, one of those that `hub.on` takes."""
    version: int
    """The version at which it happened; of what was missed, that at which it was noticed."""
    table: str = ""
    """The id of the table; of a session, that of the table which it reads."""
    session: str = ""
    """The id of the session."""
    old_name: str = ""
    """table_renamed: the id before."""
    other: str = ""
    """tables_swapped: the id of the other table."""
    columns: tuple[dict[str, Any], ...] = ()
    """Of a table: its columns, in the form that `create_tesseract` takes. Of a session: those that it shows."""
    description: str = ""
    anonymous: bool = False
    """Whether the session has no id of its own."""
    reason: str = ""
    """session_closed: why, from docs/ERRORS.md; empty where nobody saw it."""
    message: str = ""
    """session_closed, hub_state: the same for people."""
    state: str = ""
    """hub_state: serving or read_only."""
    missed: bool = False
    """Whether it happened while there was no connection, and was found out by comparing."""


@dataclass(frozen=True, slots=True)
class HubNews:
    """What one response, or the comparison after a gap, has brought."""

    version: int
    events: tuple[HubEvent, ...]


Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class KnownTable:
    """A table that there is. Its identity outlives renaming, and restarts of a server that has a log."""

    name: str
    identity: Identity
    definition: bytes
    event: HubEvent

    @classmethod
    def of(cls, table: schema_pb2.Table, version: int) -> KnownTable:
        """From the wire."""
        created = table.create_time
        kept = schema_pb2.Table()
        kept.CopyFrom(table)
        for name in ("name", "row_count", "memory_bytes", "update_version", "memory"):
            kept.ClearField(name)
        columns = tuple(Schema.of(table.columns, table.indexes).to_dicts())
        name = id_of(table.name)
        event = HubEvent("", version, table=name, columns=columns, description=table.description)
        identity = (table.create_version, created.seconds * 10**9 + created.nanos)
        return cls(name, identity, kept.SerializeToString(deterministic=True), event)


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session that there is."""

    name: str
    identity: int
    generation: int
    event: HubEvent

    @classmethod
    def of(cls, session: session_service_pb2.Session, version: int) -> KnownSession:
        """From the wire."""
        name, created = id_of(session.name), session.create_time
        event = HubEvent(
            "",
            version,
            table=id_of(session.query.table),
            session=name,
            columns=tuple(Schema.of(session.columns).to_dicts()),
            description=session.description,
            anonymous=session.anonymous,
        )
        return cls(name, created.seconds * 10**9 + created.nanos, session.generation, event)


@dataclass(slots=True)
class Known:
    """What there is in a hub, as far as a client was told."""

    tables: dict[str, KnownTable] = field(default_factory=dict)
    sessions: dict[str, KnownSession] = field(default_factory=dict)
    state: str = ""
    message: str = ""

    def take(self, response: hub_service_pb2.WatchHubResponse) -> HubEvent | None:
        """Notes what happened, and tells it; None for what this client does not know."""
        version, kind = response.version, response.WhichOneof("event")
        match kind:
            case "table_created" | "table_altered":
                table = KnownTable.of(getattr(response, kind), version)
                self.tables[table.name] = table
                return _as(table.event, kind)
            case "table_deleted":
                name = id_of(response.table_deleted)
                self.tables.pop(name, None)
                return HubEvent("table_removed", version, table=name)
            case "table_renamed":
                old, table = (
                    id_of(response.table_renamed.old_name),
                    KnownTable.of(response.table_renamed.table, version),
                )
                self.tables.pop(old, None)
                self.tables[table.name] = table
                return _as(table.event, kind, old_name=old)
            case "tables_swapped":
                swapped = response.tables_swapped
                one, other = KnownTable.of(swapped.table, version), KnownTable.of(swapped.other, version)
                self.tables[one.name], self.tables[other.name] = one, other
                return _as(one.event, kind, other=other.name)
            case "session_opened" | "session_edited":
                session = KnownSession.of(getattr(response, kind), version)
                self.sessions[session.name] = session
                return _as(session.event, kind)
            case "session_closed":
                closed = response.session_closed
                known = self.sessions.pop(id_of(closed.name), None)
                event = HubEvent("", version, session=id_of(closed.name)) if known is None else known.event
                return _as(event, kind, version=version, reason=closed.reason, message=closed.message)
            case "hub_state":
                return self.turn(response.hub_state, version)
        return None

    def turn(self, hub: hub_service_pb2.Hub, version: int) -> HubEvent:
        """Notes whether the hub takes writes, and tells it."""
        self.state = hub_service_pb2.HubState.Name(hub.state).removeprefix("HUB_STATE_").lower()
        self.message = hub.state_message
        return HubEvent("hub_state", version, state=self.state, message=self.message)

    def existing(self) -> Iterator[HubEvent]:
        """What there is, as if it were created now."""
        for table in self.tables.values():
            yield _as(table.event, "table_created")
        for session in self.sessions.values():
            yield _as(session.event, "session_opened")

    def since(self, before: Known, version: int) -> Iterator[HubEvent]:
        """What must have happened to lead here from what was known before. O(tables + sessions)."""
        if self.state != before.state:
            yield HubEvent("hub_state", version, state=self.state, message=self.message, missed=True)
        yield from self._closed(before, version)
        yield from self._tables_since(before, version)
        for name, session in self.sessions.items():
            known = before.sessions.get(name)
            if known is None or known.identity != session.identity:
                yield _missed(session.event, "session_opened")
            elif (known.generation, known.event.description) != (session.generation, session.event.description):
                yield _missed(session.event, "session_edited")

    def _closed(self, before: Known, version: int) -> Iterator[HubEvent]:
        for name, known in before.sessions.items():
            session = self.sessions.get(name)
            if session is None or session.identity != known.identity:
                yield _missed(known.event, "session_closed", version=version)

    def _tables_since(self, before: Known, version: int) -> Iterator[HubEvent]:
        now = {table.identity: table for table in self.tables.values()}
        then = {table.identity: table for table in before.tables.values()}
        for identity, table in then.items():
            if identity not in now:
                yield HubEvent("table_removed", version, table=table.name, missed=True)
        swapped: set[str] = set()
        for identity, table in now.items():
            known = then.get(identity)
            if known is None:
                yield _missed(table.event, "table_created")
                continue
            if known.name != table.name and table.name not in swapped:
                other = self.tables.get(known.name)
                if other is not None and (was := then.get(other.identity)) is not None and was.name == table.name:
                    swapped.add(other.name)
                    yield _missed(table.event, "tables_swapped", other=other.name)
                else:
                    yield _missed(table.event, "table_renamed", old_name=known.name)
            if known.definition != table.definition:
                yield _missed(table.event, "table_altered")


def _as(event: HubEvent, kind: str, **more: Any) -> HubEvent:
    return replace(event, kind=kind, **more)


def _missed(event: HubEvent, kind: str, **more: Any) -> HubEvent:
    return replace(event, kind=kind, missed=True, **more)
