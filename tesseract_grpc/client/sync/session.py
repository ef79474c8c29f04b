# Generated from tesseract_grpc/client/aio/session.py by tools/generate_sync_client.py: edit that file and run it.
"""A session, as its users handle it: reads, watches, mirrors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import session_service_pb2

from ..core.arguments import duration_of
from ..core.errors import TesseractError
from ..core.names import hub_name, id_of
from ..core.reads import PAGE_ROWS, Pages, watch_window_of, window_of
from ..core.rows import Rows
from ..core.schema import Schema
from .handlers import Handler
from .mirror import Mirror
from .rpc import Rpc
from .watch import Watch


class Session:
    """A live query of a hub. Made by `create_session` and `get_session`."""

    def __init__(self, rpc: Rpc, session: session_service_pb2.Session) -> None:
        self._rpc = rpc
        self._session = session
        self._data_mirror: Mirror | None = None

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
        """The id of the table that it reads."""
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

    def get_data(self, start: int = 0, limit: int | None = None, *, min_version: int = 0) -> Rows:
        """The rows of the result from `start` on, at most `limit`, all of one version."""
        window = window_of(start, limit)
        pages = Pages()
        if limit is not None and limit <= PAGE_ROWS:
            request = session_service_pb2.QuerySessionRequest(
                name=self._session.name, window=window, min_version=min_version
            )
            pages.take(self._rpc.call(self._rpc.sessions.QuerySession, request))
            return pages.rows()
        many = session_service_pb2.QuerySessionStreamRequest(
            name=self._session.name, window=window, min_version=min_version
        )
        for page in self._rpc.stream(self._rpc.sessions.QuerySessionStream, many):
            pages.take(page)
        return pages.rows()

    def total_count(self, *, min_version: int = 0) -> int:
        """The number of rows of the result."""
        return (self.get_data(limit=0, min_version=min_version)).total_count

    def watch(
        self,
        window: tuple[int, int | None] | None = None,
        *,
        progress: bool = False,
        min_interval: float = 0.0,
        min_version: int = 0,
    ) -> Watch:
        """Iterates over a Snapshot and then a Delta for every consistent point, for ever. `window` is (start, limit);
        without it, the whole result. With `progress`, also over the news that nothing happened. It reconnects by
        itself; what was missed in between comes as a new Snapshot."""
        return self._watch(window, progress=progress, dicts=False, min_interval=min_interval, min_version=min_version)

    def _watch(
        self,
        window: tuple[int, int | None] | None,
        *,
        progress: bool,
        dicts: bool,
        min_interval: float,
        min_version: int,
    ) -> Watch:
        request = session_service_pb2.WatchSessionRequest(
            name=self._session.name,
            window=watch_window_of(window),
            min_interval=duration_of(min_interval, "min_interval"),
            min_version=min_version,
        )
        call = self._rpc.sessions.WatchSession

        def start() -> Any:
            request.name = self._session.name  # another one, when an anonymous session had to be made again
            return self._rpc.start(call, request)

        return Watch(self._rpc, self._session.name, start, progress=progress, dicts=dicts, revive=self._revive)

    def mirror(self, window: tuple[int, int | None] | None = None, *, min_interval: float = 0.0) -> Mirror:
        """The rows of a window, kept current in the background. It starts at once; its `with` block begins when
        the first snapshot is there, and closes it."""
        watch = self._watch(window, progress=True, dicts=True, min_interval=min_interval, min_version=0)
        mirror = Mirror(watch, self._rpc.connection.timeout)
        self._rpc.owns(mirror)
        return mirror

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` from a mirror of the whole result that is kept in the background: with all rows ("data"),
        with the Snapshot or Delta ("change"), or with the state of the connection ("state"). Returns the function
        to stop it."""
        mirror = self._data_mirror
        if mirror is None or mirror.state == "closed":
            mirror = self._data_mirror = self.mirror()
        remove = mirror.on(event, handler)

        def unsubscribe() -> None:
            remove()
            if not mirror.has_handlers:
                mirror.cancel()

        try:
            mirror.ready()
        except BaseException:
            unsubscribe()
            raise
        return unsubscribe

    def remove(self) -> None:
        """Deletes the session; everybody who watches it is told so."""
        request = session_service_pb2.DeleteSessionRequest(name=self._session.name)
        self._rpc.call(self._rpc.sessions.DeleteSession, request)

    def _revive(self, error: TesseractError) -> bool:
        """Makes an anonymous session again that the server has let go while nobody could watch it."""
        if not self._session.anonymous or error.reason != "UNKNOWN_SESSION":
            return False
        definition = session_service_pb2.Session(query=self._session.query, description=self._session.description)
        if self._session.HasField("idle_timeout"):
            definition.idle_timeout.CopyFrom(self._session.idle_timeout)
        request = session_service_pb2.CreateSessionRequest(
            parent=hub_name(self._rpc.connection.hub), session=definition
        )
        try:
            self._session = (self._rpc.call(self._rpc.sessions.CreateSession, request)).session
        except TesseractError:
            return False
        return True
