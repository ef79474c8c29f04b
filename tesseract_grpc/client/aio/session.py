"""A session, as its users handle it: reads, watches, mirrors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Unpack, overload

from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import query_pb2, session_service_pb2

from ..core.aggregates import AggregatesLike
from ..core.errors import TesseractError
from ..core.events import Snapshot
from ..core.feed import Bookmark, Feed
from ..core.filters import FilterLike
from ..core.groupings import GroupByLike
from ..core.mirror_bookmark import MirrorBookmark
from ..core.names import hub_name, id_of
from ..core.plans import Plan, plan_of
from ..core.queries import GroupParts, QueryParts, SourceLike, edit_of, query_of
from ..core.reads import PAGE_ROWS, Pages
from ..core.request_id import new_request_id
from ..core.rows import Row, Rows
from ..core.schema import Schema
from ..core.sorts import SortLike
from ..core.trees import by_level, tree_of
from ..core.watch_options import WatchOptions, ends_on, watch_fields
from ..core.windows import Nodes, WindowLike, watch_window_of, window_of
from ..core.writes import TableLike
from .data_events import AsyncSessionEvents
from .handlers import Handler
from .mirror import AsyncMirror
from .query import run_query
from .rpc import AsyncRpc
from .watch import AsyncWatch


class AsyncSession:
    """A live query of a hub. Made by `create_session` and `get_session`."""

    source_kind: Literal["session"] = "session"
    """What it is where a query asks for a source."""

    def __init__(self, rpc: AsyncRpc, session: session_service_pb2.Session) -> None:
        self._rpc = rpc
        self._session = session
        self._events = AsyncSessionEvents(rpc, lambda: self._session.name, self.mirror)

    @property
    def name(self) -> str:
        """The id of the session; for an anonymous one, the id that the server chose."""
        return id_of(self._session.name)

    @property
    def anonymous(self) -> bool:
        """Whether it was created without an id. It then ends some time after its last watcher."""
        return self._session.anonymous

    @property
    def table(self) -> str:
        """The id of the table that it reads; empty when it reads another source."""
        return id_of(self._session.query.table)

    @property
    def columns(self) -> list[dict[str, Any]]:
        """The columns of its rows, in order."""
        return Schema.of(self._session.columns).to_dicts()

    @property
    def key(self) -> tuple[str, ...]:
        """The names of its key columns."""
        return Schema.of(self._session.columns).key

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, table={self.table!r})"

    @overload
    async def get_data(
        self,
        start: int = ...,
        limit: int | None = ...,
        *,
        depth: int | None = ...,
        expand: Nodes = ...,
        collapse: Nodes = ...,
        return_tree: Literal[False] = ...,
        min_version: int = ...,
    ) -> Rows: ...

    @overload
    async def get_data(
        self,
        start: int = ...,
        limit: int | None = ...,
        *,
        depth: int | None = ...,
        expand: Nodes = ...,
        collapse: Nodes = ...,
        return_tree: Literal[True],
        min_version: int = ...,
    ) -> list[Row]: ...

    async def get_data(
        self,
        start: int = 0,
        limit: int | None = None,
        *,
        depth: int | None = None,
        expand: Nodes = None,
        collapse: Nodes = None,
        return_tree: bool = False,
        min_version: int = 0,
    ) -> Rows | list[Row]:
        """The rows of the result from `start` on, at most `limit`, all of one version.

        Of a rollup or a tree, nodes down to `depth` are open (None: all) and those of `expand`, but not those of
        `collapse`; a node is the values of its grouping columns, or its key. With `return_tree` the rows are nested
        dicts: each has those below it under "children"."""
        window = window_of(start, limit, depth, expand, collapse)
        rows = await self._read(window, min_version)
        return tree_of(rows, self._session.query, self.key) if return_tree else rows

    async def _read(self, window: query_pb2.Window, min_version: int) -> Rows:
        pages = Pages()
        if window.HasField("limit") and window.limit <= PAGE_ROWS:
            request = session_service_pb2.QuerySessionRequest(
                name=self._session.name, window=window, min_version=min_version
            )
            pages.take(await self._rpc.call(self._rpc.sessions.QuerySession, request))
            return pages.rows()
        many = session_service_pb2.QuerySessionStreamRequest(
            name=self._session.name, window=window, min_version=min_version
        )
        async for page in self._rpc.stream(self._rpc.sessions.QuerySessionStream, many):
            pages.take(page)
        return pages.rows()

    async def group_data(
        self,
        group_by: GroupByLike | None = None,
        aggregates: AggregatesLike | None = None,
        *,
        include_leafs: bool = False,
    ) -> list[Row]:
        """The rows of the session as a tree of groups, nested under "children"; without `group_by` those of the
        session's own grouping. It is a read: for groups that follow, create a session with `group_by`."""
        if group_by is None:
            grouped = self._session.query.group.mode == query_pb2.GROUP_MODE_ROLLUP
            return await self.get_data(return_tree=True) if grouped else (await self.get_data()).to_list()
        words = {"source": self, "group_by": group_by, "aggregates": aggregates, "mode": "rollup"}
        query = query_of(self._rpc.connection.hub, {**words, "include_leafs": include_leafs})
        return by_level(await run_query(self._rpc, query, window_of()))

    # --- edits

    async def update(
        self,
        *,
        table: TableLike | None = None,
        source: SourceLike | None = None,
        description: str | None = None,
        **parts: Unpack[QueryParts],
    ) -> int:
        """Edits the session in place: what is given takes the place of what was there, and None clears it. Everybody
        who watches is told the difference. Returns the version at which it takes effect."""
        said = {word: value for word, value in (("table", table), ("source", source)) if value is not None}
        query, paths = edit_of(self._rpc.connection.hub, self._session.query, {**said, **parts})
        session = session_service_pb2.Session(name=self._session.name, query=query)
        if description is not None:
            session.description = description
            paths.append("description")
        request = session_service_pb2.UpdateSessionRequest(
            session=session, update_mask=FieldMask(paths=paths), request_id=new_request_id()
        )
        response = await self._rpc.call(self._rpc.sessions.UpdateSession, request)
        self._session = response.session
        return response.version

    async def update_filter(self, filter: FilterLike | None) -> int:
        """Gives the session another filter; a permanent filter holds beside it. Returns the version."""
        return await self.update(filter=filter)

    async def update_sort(self, sort: SortLike | None) -> int:
        """Gives the session another order. Returns the version."""
        return await self.update(sort=sort)

    async def update_columns(self, columns: Sequence[str | Mapping[str, Any]] | None) -> int:
        """Shows other columns; those that the list computes come to those that there are. Returns the version."""
        return await self.update(columns=columns)

    async def update_group(self, group_by: GroupByLike | None, **parts: Unpack[GroupParts]) -> int:
        """Groups the rows differently, or not any more (None). What `columns`, `sort` and `having` say must hold of the
        new groups; `update` changes all of them at once. Returns the version."""
        return await self.update(group_by=group_by, **parts)

    async def explain(self) -> Plan:
        """How the session is evaluated and maintained; print it."""
        request = session_service_pb2.ExplainSessionRequest(name=self._session.name)
        return plan_of(await self._rpc.call(self._rpc.sessions.ExplainSession, request))

    # --- watching

    async def total_count(self, *, min_version: int = 0) -> int:
        """The number of rows of the result."""
        return (await self.get_data(limit=0, min_version=min_version)).total_count

    def watch(
        self,
        window: WindowLike | None = None,
        *,
        progress: bool = False,
        min_version: int = 0,
        verify: bool = False,
        **options: Unpack[WatchOptions],
    ) -> AsyncWatch:
        """Iterates over a Snapshot and then a Delta for every consistent point, for ever. `window` is (start, limit),
        or a dict of start, limit, depth, expand and collapse; without it, the whole result. With `progress`, also over
        the news that nothing happened. It reconnects by itself and goes on where it was; where the server cannot,
        what was missed comes as a new Snapshot. With `verify`, every Progress is compared with a digest of the rows,
        and a difference is an Interrupted (reason digest) and a new Snapshot. The options: `WatchOptions`."""
        return self._watch(window, options, progress=progress, min_version=min_version, verify=verify)

    def _watch(
        self,
        window: WindowLike | None,
        options: WatchOptions,
        *,
        progress: bool,
        dicts: bool = False,
        min_version: int = 0,
        verify: bool = False,
        resume: tuple[Bookmark, Snapshot] | None = None,
    ) -> AsyncWatch:
        request = session_service_pb2.WatchSessionRequest(
            name=self._session.name,
            window=watch_window_of(window),
            min_version=min_version,
            include_digest=verify,
            **watch_fields(**options),
        )

        def start(bookmark: Bookmark) -> Any:
            request.name = self._session.name  # another one, when an anonymous session had to be made again
            request.resume_token = bookmark.token
            if bookmark.began:  # that version has been reached, and another incarnation may never reach it
                request.min_version = 0
            return self._rpc.start(self._rpc.sessions.WatchSession, request)

        return AsyncWatch(
            self._rpc,
            self._session.name,
            start,
            feed=partial(Feed, dicts=dicts),
            progress=progress,
            revive=self._revive,
            ends_on=ends_on(**options),
            verify=verify,
            resume=resume,
        )

    def mirror(
        self,
        window: WindowLike | None = None,
        *,
        resume: MirrorBookmark | None = None,
        verify: bool = False,
        **options: Unpack[WatchOptions],
    ) -> AsyncMirror:
        """The rows of a window, kept current in the background. It starts at once; its `with` block begins when
        the first snapshot is there, and closes it. With `resume`, what `mirror.bookmark()` of the same session and
        window gave, it has those rows at once and is stale until the server has told what was missed, or sent a new
        snapshot where it cannot tell. `verify` and the options are those of `watch`."""
        restored = resume.restore() if resume is not None else None
        watch = self._watch(window, options, progress=True, dicts=True, verify=verify, resume=restored)
        mirror = AsyncMirror(watch, self._rpc.connection.timeout, restored[1] if restored else None)
        self._rpc.owns(mirror)
        return mirror

    async def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` from a mirror of the whole result that is kept in the background: with all rows ("data"),
        with the Snapshot or Delta ("change"), with all rows and a FilterInfo when the session has another filter
        ("filter_change"), or with what happens to the stream ("state", "interrupted", "resumed", "lagged"; see
        `AsyncMirror.on`). Returns the function to stop it."""
        return await self._events.on(event, handler)

    async def once(self, event: str, handler: Handler) -> Callable[[], None]:
        """The same, for the next time alone."""
        return await self._events.on(event, handler, once=True)

    def off(self, event: str, handler: Handler | None = None) -> int:
        """Takes a handler of an event away, or all of them; returns how many there were."""
        return self._events.off(event, handler)

    async def remove(self) -> None:
        """Deletes the session; everybody who watches it is told so."""
        request = session_service_pb2.DeleteSessionRequest(name=self._session.name)
        await self._rpc.call(self._rpc.sessions.DeleteSession, request)

    async def _revive(self, error: TesseractError) -> bool:
        """Makes an anonymous session again that the server has let go while nobody could watch it. True also where that
        is to be tried once more."""
        if not self._session.anonymous or error.reason != "UNKNOWN_SESSION":
            return False
        definition = session_service_pb2.Session(query=self._session.query, description=self._session.description)
        if self._session.HasField("permanent_filter"):
            definition.permanent_filter.CopyFrom(self._session.permanent_filter)
        if self._session.HasField("idle_timeout"):
            definition.idle_timeout.CopyFrom(self._session.idle_timeout)
        request = session_service_pb2.CreateSessionRequest(
            parent=hub_name(self._rpc.connection.hub), session=definition, request_id=new_request_id()
        )
        try:
            self._session = (await self._rpc.call(self._rpc.sessions.CreateSession, request)).session
        except TesseractError as failure:
            return failure.passes
        return True
