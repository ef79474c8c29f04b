"""Sessions as users name them for a watch of several: a handle, an id, or one of these with a window."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import session_service_pb2

from .errors import invalid
from .names import session_name
from .windows import WindowLike, watch_window_of


class SessionHandle(Protocol):
    """A session that is known by its id."""

    @property
    def name(self) -> str: ...


Watched: TypeAlias = "str | SessionHandle | tuple[str | SessionHandle, WindowLike | None]"
"""A session, and with a window the part of it to watch."""


def watched_of(hub: str, watched: Any, at: int) -> session_service_pb2.WatchSessionRequest:
    """What of which session to watch; `at` is its place among the others, for the error."""
    session, window = watched if isinstance(watched, tuple) and len(watched) == 2 else (watched, None)
    name = session if isinstance(session, str) else getattr(session, "name", None)
    if not isinstance(name, str) or not name:
        message = f"a session is its id or its handle, or a pair of that and a window, not {watched!r:.60}"
        raise invalid("MALFORMED_REQUEST", message, f"sessions[{at}]")
    return session_service_pb2.WatchSessionRequest(name=session_name(hub, name), window=watch_window_of(window))
