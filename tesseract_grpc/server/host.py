"""One hub being served: the engine's hub, and what serving it adds.

The engine knows tables, sessions and versions. Who waits for what, which streams are open, which answers a retry gets,
when something was created and how people describe it: that is the host's.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import struct_pb2

from tesseract_grpc.engine.data.commit_log import HubLog, SharedLog
from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import DataType
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.hub import CommitResult, Hub
from tesseract_grpc.engine.live.rebinding import Rebound
from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.closed import closed
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.server.codec.filters import FilterLimits
from tesseract_grpc.server.codec.queries import QueryLimits
from tesseract_grpc.server.config import ServerConfig
from tesseract_grpc.server.debug.calls import CallRecords
from tesseract_grpc.server.debug.mode import DebugMode
from tesseract_grpc.server.debug.settings import settings_of
from tesseract_grpc.server.errors import Refusal, ServerReason, invalid, limit_exceeded
from tesseract_grpc.server.hub_events import HubEvents
from tesseract_grpc.server.journal import Behaviours, Journal, JournalState
from tesseract_grpc.server.lifetimes import Lifetimes
from tesseract_grpc.server.limits import KEPT, engine_limits, kept_limits
from tesseract_grpc.server.log_opening import open_log
from tesseract_grpc.server.logs import Quiet, logger
from tesseract_grpc.server.memory import RequestMemory
from tesseract_grpc.server.memory_guard import MemoryGuard
from tesseract_grpc.server.metrics.meters import HubMeters
from tesseract_grpc.server.names import of_hub, of_session, of_table
from tesseract_grpc.server.query_cache import QueryCache
from tesseract_grpc.server.records import Moment
from tesseract_grpc.server.resume_tokens import ResumeTokens
from tesseract_grpc.server.shared_journal import SharedJournal
from tesseract_grpc.server.snapshots.restore import restore_newest
from tesseract_grpc.server.streams.audience import Audience
from tesseract_grpc.server.streams.digests import Digests
from tesseract_grpc.server.tracing import OFF, Tracing
from tesseract_grpc.server.versions import VersionGate

if TYPE_CHECKING:
    from tesseract_grpc.server.backup.transfer import Transfer

ANONYMOUS_PREFIX = "anonymous-"
"""With what the ids of anonymous sessions begin."""

_QUIET = Quiet()

Clock = Callable[[], float]
"""Seconds since 1970, as clients are told; never used to measure how long something takes."""


@dataclass(slots=True)
class Note:
    """What people and the clock say about a table or session."""

    description: str
    create_time: float


class Host:
    """A hub and its readers."""

    def __init__(
        self, name: str, config: ServerConfig, clock: Clock, behaviours: Behaviours, commit_log: HubLog | None
    ) -> None:
        self.name = name
        self.config = config
        self.clock = clock
        epoch = secrets.token_hex(8) if commit_log is None else commit_log.epoch
        self.hub = Hub(name, epoch=epoch, limits=engine_limits(config), stopwatch=time.perf_counter_ns)
        self.journal = _journal(self, commit_log, behaviours)
        self.filter_limits = FilterLimits(config.max_filter_depth, config.max_filter_nodes)
        self.query_limits = QueryLimits(self.filter_limits, config.max_query_depth, config.max_query_parts)
        self.memory = RequestMemory(config.request_id_memory)
        self.local_memory = RequestMemory(config.request_id_memory)  # of what is not in the log
        self.memory_guard = MemoryGuard(self)
        self.versions = VersionGate(self.hub.version, config.max_version_wait)
        self.queries = QueryCache(self, config.query_cache_bytes)
        self.audience = Audience()
        self.digests = Digests()
        secret = secrets.token_bytes(32) if commit_log is None else commit_log.secret
        self.tokens = ResumeTokens(name, epoch, secret, self._made)
        self.meters = HubMeters()
        self.backups: set[Transfer] = set()
        self.tracing: Tracing = OFF
        self.debug = DebugMode(self.hub, clock, settings_of(config))
        self.events = HubEvents(self)
        self.lifetimes = Lifetimes(self._expire)
        self.table_notes: dict[str, Note] = {}
        self.session_notes: dict[str, Note] = {}
        self.replaying = False
        self._limits_known = False
        if commit_log is None:
            self.hub.tick(self.now_us())

    def _made(self, table: str) -> int:
        """The version that made a table."""
        return self.hub.table(table).create_version

    @property
    def log(self) -> Any:
        """The server's log; what is replayed is nothing that happens now, and is told for debugging only."""
        return _QUIET if self.replaying else logger()

    def set_limits(self, values: Mapping[str, int]) -> None:
        """Puts other limits in force, of those that decide what a change does."""
        self._limits_known = True
        self.config = self.config.model_copy(update={name: values[name] for name in KEPT if name in values})
        config = self.config
        self.hub.set_limits(engine_limits(config))
        self.filter_limits = FilterLimits(config.max_filter_depth, config.max_filter_nodes)
        self.query_limits = QueryLimits(self.filter_limits, config.max_query_depth, config.max_query_parts)
        self.memory.resize(config.request_id_memory)

    async def configure(self, config: ServerConfig) -> None:
        """Puts the limits of a configuration in force, where the log has it that others are. Raises Refusal."""
        values = kept_limits(config)
        if self.journal.log is not None and values != self.limits_in_force:
            limits = struct_pb2.Struct()
            limits.update(values)
            await self.journal.propose(limits)

    @property
    def limits_in_force(self) -> dict[str, int]:
        """The limits that decide what a change does; empty while a log says nothing of them."""
        return kept_limits(self.config) if self._limits_known else {}

    def restore(self, commit_log: HubLog) -> int:
        """Brings the hub to the newest snapshot that serves; returns its position. Raises LogDamaged."""
        found = restore_newest(self, commit_log)
        if found is None:
            return 0
        if (limits := found.extra.get("limits")) is not None:
            self.set_limits(json.loads(limits))
        return found.position

    def extra(self) -> Mapping[str, bytes]:
        """What a snapshot keeps beside tables, sessions and answers."""
        return {"limits": json.dumps(kept_limits(self.config)).encode()}

    def now_us(self) -> int:
        """The present in microseconds since 1970 UTC."""
        return round(self.clock() * 1e6)

    def note(self, description: str = "") -> Note:
        """A note of something that is created now."""
        return Note(description, self.clock())

    def move_clock(self, moment: Moment) -> None:
        """Moves the clock to which now() is evaluated, where something that depends on it is new. Takes a version."""
        if moment.moves_clock and moment.time_us > self.hub.now:
            self.committed(self.hub.advance(moment.time_us))

    async def tick(self) -> None:
        """Moves the clock to the present; where rows depend on it, that is a commit."""
        if self.hub.timely:
            if self.journal.state is JournalState.SERVING and self.now_us() > self.hub.now:
                await self.journal.tick()
        elif self.journal.log is None:
            self.hub.tick(self.now_us())

    def refuse_anonymous(self, query: Query, field: str) -> None:
        """Raises Refusal when what is kept would read from an anonymous session, which is not."""

        def definition(name: str, path: str) -> Query:
            if self.lifetimes.idle_timeout(name) is None and name in self.hub.sessions:
                return Query("")
            path = path.replace("query", field, 1)
            message = f"'{name}' is an anonymous session; only anonymous sessions can read from it: give it an id"
            raise invalid(message, path, Reason.UNKNOWN_SESSION)

        closed(query, definition)

    def committed(self, result: CommitResult) -> None:
        """Tells everybody whom a commit concerns. O(watches of the sessions and tables that it touched)."""
        self.audience.wake(result.touched)
        self.audience.wake(result.tables)
        for source in result.aging:
            self.audience.remind((source.table, *source.sessions()))
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
            self.events.table_deleted(name)

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
        return {} if found is None else {column.name: column.type for column in found.schema.visible}

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

    def rebound(self, rebound: Rebound, what: str) -> None:
        """Tells everybody that names of tables mean others, or that tables were altered. `what` says it for people."""
        self.audience.move(rebound.relations)
        self.audience.wake(rebound.sessions)
        self.audience.wake(rebound.relations.values())
        for end in rebound.ended:
            name, metadata = end.session.name, {"column": end.column} if end.column else {}
            missed = f"misses the column '{end.column}'" if end.column else f"cannot go on ({end.message})"
            message = f"session '{name}' {missed}: {what}"
            resource = of_session(self.name, name)
            self._ended((end.session,), Refusal(Reason.TABLE_ALTERED, message, metadata=metadata, resource=resource))
        self.defined()

    def close_session(self, name: str, reason: Reason | ServerReason = Reason.SESSION_DELETED) -> None:
        """Deletes a session; its watches end."""
        session = self.hub.close_session(name)
        what = "was deleted" if reason is Reason.SESSION_DELETED else "was not used for its idle_timeout"
        self._ended((session,), Refusal(reason, f"session '{name}' {what}", resource=of_session(self.name, name)))

    def _ended(self, sessions: Iterable[Session], refusal: Refusal) -> None:
        for session in sessions:
            self.lifetimes.forget(session.name)
            self.session_notes.pop(session.name, None)
            self.audience.end(session, refusal)
            self.events.session_closed(session, refusal)

    def end(self, refusal: Refusal) -> None:
        """Ends everything that waits or streams; each stream says what it owes first."""
        self.versions.end(refusal)
        self.audience.end_all(refusal)
        self.debug.end(refusal)

    async def close(self) -> None:
        """Stops every timer, and closes the log."""
        self.lifetimes.close()
        self.debug.close()
        await self.journal.close()

    def _expire(self, name: str) -> None:
        if name in self.hub.sessions:
            logger().info("session.expired", hub=self.name, session=name)
            self.close_session(name, ServerReason.SESSION_EXPIRED)


async def keep_ticking(hosts: Collection[Host], interval: float) -> None:
    """Moves the clocks of hubs every `interval` seconds, until cancelled, and drops texts that no row has any more.
    Where nothing depends on time and nothing is written it costs next to nothing."""
    while True:
        await asyncio.sleep(interval)
        for host in tuple(hosts):
            try:
                await host.tick()
                host.hub.drop_texts()
            except Refusal as refusal:
                logger().debug("hub.not_ticked", hub=host.name, reason=str(refusal.reason))
            except Exception as error:  # a bug; the clocks of the other hubs, and the next tick, must not stand still
                logger().error("hub.tick_failed", hub=host.name, error=type(error).__name__)


def _journal(host: Host, log: HubLog | None, behaviours: Behaviours) -> Journal:
    """The way of changes into a hub, by whether it is this process's alone."""
    if log is not None and log.shared:
        return SharedJournal(host, cast(SharedLog, log), behaviours)
    return Journal(host, log, behaviours)


OpenLog = Callable[[ServerConfig, str], HubLog | None]
"""The log of a hub by its id; None for a hub in memory. Raises LogFailed, LogDamaged."""


class Hosts:
    """The hubs of a server, by id."""

    def __init__(
        self, config: ServerConfig, clock: Clock, behaviours: Behaviours, open_log: OpenLog = open_log
    ) -> None:
        """Opens the logs. Raises LogFailed, LogDamaged."""
        self.config = config
        self.clock = clock
        self.by_name: dict[str, Host] = {}
        self._behaviours = behaviours
        self._open_log = open_log
        self.calls = CallRecords()
        try:
            for name in config.hubs:
                self.by_name[name] = Host(name, config, clock, behaviours, open_log(config, name))
        except BaseException:
            for host in self.by_name.values():
                if host.journal.log is not None:
                    host.journal.log.close()
            raise
        self.calls.of({name: host.debug for name, host in self.by_name.items()})

    async def opened(self, name: str) -> Host:
        """A hub with its log opened anew, beside the one that is served. Raises LogFailed, LogDamaged."""
        log = await asyncio.to_thread(self._open_log, self.config, name)
        return Host(name, self.config, self.clock, self._behaviours, log)

    def replace(self, host: Host) -> None:
        """Another hub is served under its name from now on."""
        self.by_name[host.name] = host
        self.calls.of({name: host.debug for name, host in self.by_name.items()})

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

    @property
    def immediate(self) -> bool:
        """Whether every change is applied while it is proposed."""
        return all(host.journal.immediate for host in self.by_name.values())

    def room_for_watch(self) -> None:
        """Raises Refusal when the server has as many watches as it takes."""
        most = self.config.max_watchers
        if sum(host.audience.count for host in self.by_name.values()) >= most:
            raise limit_exceeded("max_watchers", most, "the server has no room for another watch")

    async def close(self) -> None:
        """Stops every timer, and closes the logs."""
        for host in self.by_name.values():
            await host.close()
