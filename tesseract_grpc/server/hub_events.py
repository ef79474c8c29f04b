"""What happens to a hub, beside commits of rows: to its tables, to its sessions, to itself.

Whoever changes one of these says so here, right after the change. Those who watch the hub hear of it
(`services/hub_story.py`), and those who debug it. While the log is replayed nobody is told: nothing of it happens now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tesseract_grpc.server.debug.record import Level
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.logs import logger, trace_of

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.session import Session
    from tesseract_grpc.server.host import Host


@dataclass(slots=True)
class Happening:
    """One thing that happened. `kind` is its name among the events of WatchHubResponse; names are ids."""

    kind: str
    version: int
    name: str = ""
    """The table or session that it is about, by the name that it has now, or had last."""
    other: str = ""
    """The name before, or the other table."""
    why: Refusal | None = None
    """Why a session ended."""
    encoded: bytes | None = None
    """The response, shared by all who are told."""


class Listener(Protocol):
    """Somebody who watches a hub."""

    def hear(self, happening: Happening) -> None:
        """Something happened."""


class HubEvents:
    """Tells what happens to one hub. O(listeners); next to nothing where nobody listens."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listeners: dict[Listener, None] = {}

    def listen(self, listener: Listener) -> None:
        """Tells this one too, from now on."""
        self._listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        """Tells this one no more."""
        self._listeners.pop(listener, None)

    # Tables

    def table_created(self, name: str, request_id: str = "") -> None:
        """There is a new table."""
        self._table("created", "table_created", name, request_id)

    def table_deleted(self, name: str, request_id: str = "") -> None:
        """A table is no more."""
        self._table("deleted", "table_deleted", name, request_id)

    def table_altered(self, name: str, request_id: str = "") -> None:
        """A table has another definition: columns, key, indexes, retention or description."""
        self._table("altered", "table_altered", name, request_id)

    def table_renamed(self, old: str, name: str, request_id: str = "") -> None:
        """A table has another name."""
        self._table("renamed", "table_renamed", name, request_id, old_name=old)

    def tables_swapped(self, name: str, other: str, request_id: str = "") -> None:
        """Two tables have exchanged their names."""
        self._table("swapped", "tables_swapped", name, request_id, other=other)

    def _table(self, what: str, kind: str, name: str, request_id: str, **other: str) -> None:
        if self._host.replaying:
            return
        if (recorder := self._host.debug.recorder) is not None:
            recorder.table(what, name, request_id, **other)
        self._tell(Happening(kind, self._host.hub.version, name, next(iter(other.values()), "")))

    # Sessions

    def session_opened(self, session: Session, request_id: str = "") -> None:
        """There is a new session."""
        self._session("opened", "session_opened", session, request_id)

    def session_edited(self, session: Session, request_id: str = "") -> None:
        """A session has another definition or description."""
        self._session("edited", "session_edited", session, request_id)

    def session_closed(self, session: Session, why: Refusal) -> None:
        """A session is no more."""
        if self._host.replaying:
            return
        if (recorder := self._host.debug.recorder) is not None:
            recorder.session("closed", session.name, session.query.table, reason=str(why.reason))
        self._tell(Happening("session_closed", self._host.hub.version, session.name, why=why))

    def _session(self, what: str, kind: str, session: Session, request_id: str) -> None:
        if self._host.replaying:
            return
        if (recorder := self._host.debug.recorder) is not None:
            recorder.session(what, session.name, session.query.table, request_id, generation=session.generation)
        self._tell(Happening(kind, self._host.hub.version, session.name))

    # The hub

    def hub_turned(self, *, writable: bool) -> None:
        """The hub takes writes again, or none any more."""
        if (recorder := self._host.debug.recorder) is not None:
            if writable:
                recorder.hub("the hub takes writes again")
            else:
                recorder.hub("the hub is read-only: its log cannot be written", Level.ERROR)
        self._tell(Happening("hub_state", self._host.hub.version))

    def _tell(self, happening: Happening) -> None:
        if not self._listeners:
            return
        for listener in tuple(self._listeners):
            try:
                listener.hear(happening)
            except Exception as error:  # a bug; what has happened stands, and the others hear of it
                name, trace = type(error).__name__, trace_of(error)
                logger().error("hub.event_not_told", hub=self._host.name, error=name, trace=trace)
        self._host.audience.wake((self,))
