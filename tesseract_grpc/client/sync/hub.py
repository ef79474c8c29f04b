# Generated from tesseract_grpc/client/aio/hub.py by tools/generate_sync_client.py: edit that file and run it.
"""A hub, as its users handle it: the connection, the tables and the sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, Unpack

from tesseract_grpc._proto.tesseract.v1 import (
    hub_service_pb2,
    query_pb2,
    schema_pb2,
    session_service_pb2,
    table_service_pb2,
)

from ..backup.options import BackupOptions, RestoreOptions
from ..backup.report import BackupResult, RestoreResult
from ..core.alterations import AlterResult
from ..core.arguments import duration_of
from ..core.connection import MAX_MESSAGE_BYTES, Connection, Retry, Tls
from ..core.feed import Bookmark
from ..core.filters import FilterLike, filter_of
from ..core.info import HubInfo, ServerInfo
from ..core.joint_feed import JointFeed
from ..core.names import hub_name, session_name, table_name
from ..core.plans import Plan, plan_of
from ..core.queries import QueryParts, SourceLike, query_of, source_of
from ..core.request_id import new_request_id
from ..core.retention import MemoryLimitLike, RetentionLike, limited
from ..core.rows import Rows
from ..core.schema import ColumnDict, Schema, columns_of
from ..core.watch_options import OnLagLike, ends_on, watch_fields
from ..core.watched import Watched, watched_of
from ..core.windows import Nodes, window_of
from ..core.writes import TableLike, WriteBatch, WriteResult
from ..migrate.errors import packages_missing
from ..migrate.options import MigrationOptions
from ..migrate.report import MigrationResult
from .alter import swap
from .backup import backup
from .debug import Debug
from .diagnosis import Diagnosable
from .handlers import Handler
from .hub_events import HubEvents, HubHandlers
from .mirror import MirrorGroup
from .query import run_query
from .restore import discard_restores, restore
from .rpc import Rpc
from .session import Session
from .tesseract import Tesseract
from .watch import Watch
from .write import write
from .write_stream import DEFAULT_IN_FLIGHT, WriteStream


class EventHorizon(Diagnosable):
    """A hub of a server. Made by `connect`; use it as a context manager, or close it."""

    def __init__(self, connection: Connection) -> None:
        self._rpc = Rpc(connection)
        self._hub = connection.hub
        self._events = HubHandlers(self._rpc)

    @classmethod
    def connect(
        cls,
        address: str = "localhost:50051",
        *,
        tls: Tls | None = None,
        token: str | None = None,
        timeout: float = 30.0,
        keepalive: float = 20.0,
        keepalive_timeout: float = 10.0,
        retry: Retry | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        hub: str = "default",
    ) -> Self:
        """A hub of the server at `address`. Nothing is sent before the first call.

        `timeout` is that of every call, in seconds; `token` goes with every call; `keepalive` is how often a quiet
        connection is probed, and `keepalive_timeout` how long the answer may take."""
        return cls(
            Connection(
                address,
                tls=tls,
                token=token,
                timeout=timeout,
                keepalive=keepalive,
                keepalive_timeout=keepalive_timeout,
                retry=retry or Retry(),
                max_message_bytes=max_message_bytes,
                hub=hub,
            )
        )

    @property
    def name(self) -> str:
        """The id of the hub."""
        return self._hub

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all watches and mirrors, and the connection."""
        self._rpc.close()

    # --- tables

    def create_tesseract(
        self,
        id: str,
        columns: Sequence[ColumnDict],
        *,
        description: str = "",
        retention: RetentionLike | None = None,
        memory_limit: MemoryLimitLike | None = None,
    ) -> Tesseract:
        """Creates a table. A column is a dict: name, type, primary_key, index (True, "hash" or "sorted"), required,
        default, enum (the names), expression, description. `retention` says which rows leave by themselves
        (`RetentionWords`), `memory_limit` the bytes that it may take, or `{"max_bytes": .., "policy": "evict"}`."""
        messages, indexes = columns_of(columns)
        table = schema_pb2.Table(columns=messages, indexes=indexes, description=description)
        request = table_service_pb2.CreateTableRequest(
            parent=hub_name(self._hub),
            table_id=id,
            table=limited(table, retention, memory_limit),
            request_id=new_request_id(),
        )
        return Tesseract(self._rpc, (self._rpc.call(self._rpc.tables.CreateTable, request)).table)

    def create_tesseract_from_session(self, id: str, session: SourceLike, *, description: str = "") -> Tesseract:
        """Creates a derived table: the rows that a session shows, kept up to date. It cannot be written; deleting the
        session does not disturb it. In the place of a session a query may be given, as a dict."""
        query = query_pb2.Query(source=source_of(self._hub, session))
        return self._create_derived(id, query, description)

    def create_union(
        self, id: str, sources: Sequence[Any], *, branch_column: str = "branch", description: str = ""
    ) -> Tesseract:
        """Creates a derived table with the rows of several sources, none left out; `branch_column` says which."""
        union = {"union": {"sources": sources, "branch_column": branch_column}}
        return self._create_derived(id, query_pb2.Query(source=source_of(self._hub, union)), description)

    def _create_derived(self, id: str, query: query_pb2.Query, description: str) -> Tesseract:
        request = table_service_pb2.CreateTableRequest(
            parent=hub_name(self._hub),
            table_id=id,
            table=schema_pb2.Table(query=query, description=description),
            request_id=new_request_id(),
        )
        return Tesseract(self._rpc, (self._rpc.call(self._rpc.tables.CreateTable, request)).table)

    def get_tesseract(self, id: str) -> Tesseract:
        """The table with this id."""
        request = table_service_pb2.GetTableRequest(name=table_name(self._hub, id))
        return Tesseract(self._rpc, (self._rpc.call(self._rpc.tables.GetTable, request)).table)

    def list_tesseracts(self) -> list[Tesseract]:
        """All tables, by rising id."""

        def request(token: str) -> table_service_pb2.ListTablesRequest:
            return table_service_pb2.ListTablesRequest(parent=hub_name(self._hub), page_size=1000, page_token=token)

        pages = self._pages(self._rpc.tables.ListTables, request)
        return [Tesseract(self._rpc, table) for page in pages for table in page.tables]

    def remove_tesseract(self, id: TableLike, *, allow_missing: bool = False) -> int:
        """Deletes a table with its rows and sessions; returns the version of the commit."""
        request = table_service_pb2.DeleteTableRequest(
            name=table_name(self._hub, _name_of(id)), allow_missing=allow_missing, request_id=new_request_id()
        )
        return (self._rpc.call(self._rpc.tables.DeleteTable, request)).version

    def rename_tesseract(self, id: TableLike, new_id: str) -> Tesseract:
        """Renames a table; its sessions follow."""
        request = table_service_pb2.RenameTableRequest(
            name=table_name(self._hub, _name_of(id)), new_table_id=new_id, request_id=new_request_id()
        )
        return Tesseract(self._rpc, (self._rpc.call(self._rpc.tables.RenameTable, request)).table)

    def swap_tesseracts(self, one: TableLike, other: TableLike, *, keep_sessions: bool = False) -> AlterResult:
        """Exchanges the names of two tables in one version. Sessions, joins and derived tables stay with the name that
        they ask for. With `keep_sessions` it is refused when a session would end."""
        return swap(self._rpc, self._hub, _name_of(one), _name_of(other), keep_sessions=keep_sessions)

    def write(self, batch: WriteBatch, *, request_id: str | None = None, validate_only: bool = False) -> WriteResult:
        """Commits a batch of operations on one table or several: all or nothing. `request_id` names the commit, so that
        sending it again cannot commit twice; without one, it gets a name of its own."""
        asked = {name: (self.get_tesseract(name)).schema for name in batch.unknown_tables}
        return write(self._rpc, batch, {**batch.schemas, **asked}, request_id=request_id, validate_only=validate_only)

    def write_stream(self, *, in_flight: int = DEFAULT_IN_FLIGHT) -> WriteStream:
        """Many commits in a row, without waiting for each: at most `in_flight` of them are unanswered. Use it in a
        `with` block, which ends when all answers are there, and call its `write`."""

        def ask_schema(name: str) -> Schema:
            return (self.get_tesseract(name)).schema

        return WriteStream(self._rpc, in_flight, ask_schema=ask_schema)

    def migrate_from(
        self, url: str, table: str | None = None, *, to: str | None = None, **options: Unpack[MigrationOptions]
    ) -> MigrationResult:
        """Copies a table of a database, or the rows of a `query`, into the table `to` of this hub, and compares both
        sides at the end; with `watch`, goes on to follow it until `stop` is true. `url` is one of SQLAlchemy's. Needs
        the extra `tesseract-grpc[migrate]`. docs/MIGRATING.md describes the options.

        Raises MigrationFailed, which says why and what to do. Memory for some batches; time O(rows)."""
        try:
            from .migration import migrate
        except ImportError as error:
            raise packages_missing(error) from None
        return migrate(self, url, table, to, options)

    def backup(
        self, path: str | Path, tables: Sequence[TableLike] | None = None, **options: Unpack[BackupOptions]
    ) -> BackupResult:
        """Writes all tables and sessions of the hub, or these tables, into a file: all at one version, while writes go
        on. The end of its name says the format: `.tesseract` holds a hub, and `.parquet`, `.json`, `.jsonl` and `.csv`
        (also `.gz`) one table. docs/BACKUP.md describes formats and options.

        Raises BackupFailed; there is then no file. Memory for some thousand rows; time O(rows)."""
        return backup(self._rpc, path, tables, options)

    def restore(self, path: str | Path, **options: Unpack[RestoreOptions]) -> RestoreResult:
        """Makes tables and sessions of a backup, or a table of a file of rows, whose columns are inferred. Nobody sees
        a table before all of its rows are there. docs/BACKUP.md describes the options.

        Raises BackupFailed, and says where a file is damaged; the hub is then as it was. Memory for some thousand rows,
        of a JSON file for all; time O(rows)."""
        return restore(self, path, options)

    def discard_restores(self) -> list[str]:
        """Removes the tables that restores have left which were killed; returns their names. None may be running."""
        return discard_restores(self)

    # --- sessions

    def create_session(
        self,
        id: str | None = None,
        *,
        table: TableLike | None = None,
        source: SourceLike | None = None,
        permanent_filter: FilterLike | None = None,
        idle_timeout: float | None = None,
        description: str = "",
        **parts: Unpack[QueryParts],
    ) -> Session:
        """Creates a live query. With an id, it lives until it is removed, and creating it again with the same query
        returns it; without one, it ends `idle_timeout` seconds after its last watcher.

        Its rows come from a `table` or a `source`. Then, in this order: joins, computed, filter, group_by and
        aggregates, having, window_columns, columns and sort; tree and sub_sessions. docs/API.md describes each of them.
        The `permanent_filter` holds beside the filter, whatever the session is edited to."""
        query = query_of(self._hub, {"table": table, "source": source, **parts})
        definition = session_service_pb2.Session(
            query=query,
            permanent_filter=filter_of(permanent_filter, "permanent_filter"),
            idle_timeout=duration_of(idle_timeout, "idle_timeout"),
            description=description,
        )
        request = session_service_pb2.CreateSessionRequest(
            parent=hub_name(self._hub), session_id=id or "", session=definition, request_id=new_request_id()
        )
        return Session(self._rpc, (self._rpc.call(self._rpc.sessions.CreateSession, request)).session)

    def query(
        self,
        *,
        table: TableLike | None = None,
        source: SourceLike | None = None,
        start: int = 0,
        limit: int | None = None,
        depth: int | None = None,
        expand: Nodes = None,
        collapse: Nodes = None,
        min_version: int = 0,
        **parts: Unpack[QueryParts],
    ) -> Rows:
        """The rows that a query has now, all of one version; its parts are as in `create_session`."""
        query = query_of(self._hub, {"table": table, "source": source, **parts})
        return run_query(self._rpc, query, window_of(start, limit, depth, expand, collapse), min_version)

    def explain(
        self, *, table: TableLike | None = None, source: SourceLike | None = None, **parts: Unpack[QueryParts]
    ) -> Plan:
        """How a session of this query would be evaluated and maintained. The query is evaluated to tell."""
        query = query_of(self._hub, {"table": table, "source": source, **parts})
        request = session_service_pb2.ExplainSessionRequest(query=query, parent=hub_name(self._hub))
        return plan_of(self._rpc.call(self._rpc.sessions.ExplainSession, request))

    def get_session(self, id: str) -> Session:
        """The session with this id."""
        request = session_service_pb2.GetSessionRequest(name=session_name(self._hub, id))
        return Session(self._rpc, (self._rpc.call(self._rpc.sessions.GetSession, request)).session)

    def list_sessions(self) -> list[Session]:
        """All sessions, by rising id."""

        def request(token: str) -> session_service_pb2.ListSessionsRequest:
            return session_service_pb2.ListSessionsRequest(parent=hub_name(self._hub), page_size=1000, page_token=token)

        pages = self._pages(self._rpc.sessions.ListSessions, request)
        return [Session(self._rpc, session) for page in pages for session in page.sessions]

    def remove_session(self, id: str | Session, *, allow_missing: bool = False) -> None:
        """Deletes a session; everybody who watches it is told so."""
        name = id if isinstance(id, str) else id.name
        request = session_service_pb2.DeleteSessionRequest(
            name=session_name(self._hub, name), allow_missing=allow_missing
        )
        self._rpc.call(self._rpc.sessions.DeleteSession, request)

    def watch_sessions(
        self,
        sessions: Sequence[Watched],
        *,
        progress: bool = False,
        min_version: int = 0,
        min_interval: float = 0.0,
        on_lag: OnLagLike = "conflate",
    ) -> Watch:
        """Iterates over what happens to several sessions together: a Cut for every consistent point, after which all
        of them are at one version. A session is its handle or id, or a pair of that and its window. The first Cut has a
        Snapshot of each."""
        return self._watch_sessions(sessions, progress, min_version, min_interval, on_lag, dicts=False)

    def mirror_sessions(
        self, sessions: Sequence[Watched], *, min_interval: float = 0.0, on_lag: OnLagLike = "conflate"
    ) -> MirrorGroup:
        """The rows of several sessions, kept current in the background and always all at one version: a consistent
        cut. The arguments are those of `watch_sessions`; its `with` block begins when the first cut is there."""
        watch = self._watch_sessions(sessions, True, 0, min_interval, on_lag, dicts=True)
        group = MirrorGroup(watch, self._rpc.connection.timeout, len(sessions))
        self._rpc.owns(group)
        return group

    def _watch_sessions(
        self,
        sessions: Sequence[Watched],
        progress: bool,
        min_version: int,
        min_interval: float,
        on_lag: OnLagLike,
        *,
        dicts: bool,
    ) -> Watch:
        parts = [watched_of(self._hub, session, at) for at, session in enumerate(sessions)]
        request = session_service_pb2.WatchSessionsRequest(
            sessions=parts, min_version=min_version, **watch_fields(min_interval, on_lag)
        )

        def start(bookmark: Bookmark) -> Any:
            request.resume_token = bookmark.token
            if bookmark.began:  # that version has been reached, and another incarnation may never reach it
                request.min_version = 0
            return self._rpc.start(self._rpc.sessions.WatchSessions, request)

        names = ", ".join(part.name for part in parts)
        feed = partial(JointFeed, [Bookmark() for _ in parts], dicts=dicts)
        return Watch(self._rpc, names, start, feed=feed, progress=progress, ends_on=ends_on(on_lag))

    # --- events and debug mode

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` with a HubEvent: table_created, table_removed, table_renamed, table_altered, tables_swapped,
        session_opened, session_edited, session_closed, hub_state, or each of them ("any"); or with what happens to the
        stream ("state", "interrupted"). What happened while there was no connection is found out and told, too. When
        it returns, nothing is missed any more. Returns the function to stop it."""
        return self._events.on(event, handler)

    def once(self, event: str, handler: Handler) -> Callable[[], None]:
        """The same, for the next time alone."""
        return self._events.on(event, handler, once=True)

    def off(self, event: str, handler: Handler | None = None) -> int:
        """Takes a handler of an event away, or all of them; returns how many there were."""
        return self._events.off(event, handler)

    def events(self, *, existing: bool = False) -> HubEvents:
        """Iterates over what happens to the hub, a HubEvent each, for ever; with `existing`, first over the tables and
        sessions that there are, as if they were created now."""
        return HubEvents(self._rpc, existing=existing)

    @property
    def debug(self) -> Debug:
        """The debug mode of the hub: what it does, as records."""
        return Debug(self._rpc)

    # --- the hub and its server

    def info(self) -> HubInfo:
        """The hub: its version, its size, the work that it did."""
        request = hub_service_pb2.GetHubRequest(name=hub_name(self._hub))
        return HubInfo.of((self._rpc.call(self._rpc.hubs.GetHub, request)).hub)

    def list_hubs(self) -> list[HubInfo]:
        """All hubs of the server, by rising id."""

        def request(token: str) -> hub_service_pb2.ListHubsRequest:
            return hub_service_pb2.ListHubsRequest(page_size=1000, page_token=token)

        pages = self._pages(self._rpc.hubs.ListHubs, request)
        return [HubInfo.of(found) for page in pages for found in page.hubs]

    def server_info(self) -> ServerInfo:
        """The server: its version, features and limits."""
        request = hub_service_pb2.GetServerInfoRequest()
        return ServerInfo.of(self._rpc.call(self._rpc.hubs.GetServerInfo, request))

    def check(self) -> list[str]:
        """Has the server verify all its structures; returns what it found, which should be nothing."""
        request = hub_service_pb2.CheckHubRequest(name=hub_name(self._hub))
        return list((self._rpc.call(self._rpc.hubs.CheckHub, request)).violations)

    def _pages(self, method: Callable[..., Any], request: Callable[[str], Any]) -> Iterator[Any]:
        """The pages of a list."""
        token = ""
        while True:
            page = self._rpc.call(method, request(token))
            yield page
            token = page.next_page_token
            if not token:
                return


def _name_of(table: TableLike) -> str:
    return table if isinstance(table, str) else table.name
