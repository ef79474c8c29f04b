"""One hub being served: the engine's hub, and what serving it adds.

The engine knows tables, sessions and versions. Who waits for what, which streams are open, which answers a retry gets,
when something was created and how people describe it: that is the host's.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.hub import CommitResult, Hub
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.server.codec.filters import FilterLimits
from tesseract_grpc.server.codec.queries import QueryLimits
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.errors import Refusal, limit_exceeded
from tesseract_grpc.server.lifetimes import Lifetimes
from tesseract_grpc.server.limits import engine_limits
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.memory import RequestMemory
from tesseract_grpc.server.metrics.meters import HubMeters
from tesseract_grpc.server.names import of_hub, of_session, of_table
from tesseract_grpc.server.streams.audience import Audience
from tesseract_grpc.server.tracing import OFF, Tracing
from tesseract_grpc.server.versions import VersionGate

Clock = Callable[[], float]
"""Seconds since 1970, as clients are told; never used to measure how long something takes."""


@dataclass(slots=True)
class Note:
    """What people and the clock say about a table or session."""

    description: str
    create_time: float


class Host:
    """A hub and its readers."""

    def __init__(self, name: str, config: ServerConfig, clock: Clock) -> None:
        self.name = name
        self.config = config
        self.clock = clock
        self.hub = Hub(name, epoch=secrets.token_hex(8), limits=engine_limits(config), stopwatch=time.perf_counter_ns)
        self.filter_limits = FilterLimits(config.max_filter_depth, config.max_filter_nodes)
        self.query_limits = QueryLimits(self.filter_limits, config.max_query_depth, config.max_query_parts)
        self.memory = RequestMemory(config.request_id_memory)
        self.versions = VersionGate(self.hub.version, config.max_version_wait)
        self.audience = Audience()
        self.meters = HubMeters()
        self.tracing: Tracing = OFF
        self.lifetimes = Lifetimes(self._expire)
        self.table_notes: dict[str, Note] = {}
        self.session_notes: dict[str, Note] = {}
        self.tick()

    def note(self, description: str = "") -> Note:
        """A note of something that is created now."""
        return Note(description, self.clock())

    def tick(self) -> None:
        """Moves the clock to which now() is evaluated to the present; where rows depend on it, that is a commit."""
        before = self.hub.version
        result = self.hub.tick(round(self.clock() * 1e6))
        if result.version > before:
            self.committed(result)

    def freshen(self) -> None:
        """The same before something is evaluated, if it costs nothing. Where rows depend on time the timer decides."""
        if not self.hub.timely:
            self.tick()

    def committed(self, result: CommitResult) -> None:
        """Tells everybody whom a commit concerns. O(watches of the sessions and tables that it touched)."""
        self.audience.wake(result.touched)
        self.audience.wake(result.tables)
        for session, error in result.ended:
            resource = of_session(self.name, session.name)
            self._ended((session,), Refusal(error.reason, error.message, field=error.field, resource=resource))
        if len(self.table_notes) > len(self.hub.tables):
            self._forget_tables()
        self.versions.advance(self.hub.version)

    def _forget_tables(self) -> None:
        """Derived tables that could not follow are no more, and their watches end by themselves."""
        for name in self.table_notes.keys() - self.hub.tables.keys():
            del self.table_notes[name]

    def edited(self, session: Session) -> None:
        """Tells everybody that a session is another one from here on."""
        self.audience.wake((session,))
        self.defined()

    def defined(self) -> None:
        """Tells those who wait for a version that a definition has changed."""
        self.versions.advance(self.hub.version)

    def table(self, name: str) -> Table:
        """A table by id."""
        return self.hub.table(name)

    def session(self, name: str) -> Session:
        """A session by id."""
        return self.hub.session(name)

    def types_of(self, table: str) -> Mapping[str, DataType]:
        """The types of a table's columns; empty when there is no such table, which the engine will say."""
        found = self.hub.tables.get(table)
        return {} if found is None else {column.name: column.type for column in found.schema.columns}

    def drop_table(self, name: str) -> None:
        """Deletes a table; its sessions and all watches on it end."""
        table = self.hub.table(name)
        sessions = self.hub.drop_table(name)
        self.table_notes.pop(name, None)
        resource = of_table(self.name, name)
        refusal = Refusal(Reason.TABLE_DELETED, f"table '{name}' was deleted", resource=resource)
        self.audience.end(table, refusal)
        self._ended(sessions, refusal)
        self.defined()

    def close_session(self, name: str) -> None:
        """Deletes a session; its watches end."""
        session = self.hub.close_session(name)
        resource = of_session(self.name, name)
        self._ended((session,), Refusal(Reason.SESSION_DELETED, f"session '{name}' was deleted", resource=resource))

    def _ended(self, sessions: Iterable[Session], refusal: Refusal) -> None:
        for session in sessions:
            self.lifetimes.forget(session.name)
            self.session_notes.pop(session.name, None)
            self.audience.end(session, refusal)

    def _expire(self, name: str) -> None:
        if name in self.hub.sessions:
            logger().info("session.expired", hub=self.name, session=name)
            self.close_session(name)


async def keep_ticking(hosts: Iterable[Host], interval: float) -> None:
    """Moves the clocks of hubs every `interval` seconds, until cancelled. Where nothing depends on time it costs next
    to nothing."""
    everyone = tuple(hosts)
    while True:
        await asyncio.sleep(interval)
        for host in everyone:
            try:
                host.tick()
            except Exception as error:  # a bug; the clocks of the other hubs, and the next tick, must not stand still
                logger().error("hub.tick_failed", hub=host.name, error=type(error).__name__)


class Hosts:
    """The hubs of a server, by id."""

    def __init__(self, config: ServerConfig, clock: Clock = time.time) -> None:
        self.config = config
        self.clock = clock
        self.by_name = {name: Host(name, config, clock) for name in config.hubs}

    def find(self, name: str, field: str) -> Host:
        """A hub by id. Raises Refusal."""
        host = self.by_name.get(name)
        if host is None:
            raise Refusal(
                Reason.UNKNOWN_HUB,
                f"there is no hub '{name}'; this server has {', '.join(sorted(self.by_name)[:20])}",
                field=field,
                resource=of_hub(name),
            )
        return host

    def room_for_watch(self) -> None:
        """Raises Refusal when the server has as many watches as it takes."""
        most = self.config.max_watchers
        if sum(host.audience.count for host in self.by_name.values()) >= most:
            raise limit_exceeded("max_watchers", most, "the server has no room for another watch")

    def close(self) -> None:
        """Stops every timer."""
        for host in self.by_name.values():
            host.lifetimes.close()
