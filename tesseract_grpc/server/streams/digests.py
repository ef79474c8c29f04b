"""Digests of what the readers of a window must hold, made once for all who stand at one version."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from tesseract_grpc.engine.live.session import Session
from tesseract_grpc.engine.query.query import Window
from tesseract_grpc.server.codec.digest import digest_of

MOST = 1_000
"""So many windows of one session are remembered."""


@dataclass(frozen=True, slots=True)
class _Known:
    generation: int
    version: int
    digest: bytes


class Digests:
    """The digests of one hub."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Session, dict[Window, _Known]] = WeakKeyDictionary()

    def of(self, session: Session, window: Window) -> bytes:
        """The digest of the rows that a window shows now. O(window) after a change of the session, else O(1)."""
        history, version = session.result.history, session.result.line.current
        windows = self._known.setdefault(session, {})
        known = windows.get(window)
        if known is not None and known.generation == session.generation and known.version >= history.last:
            return known.digest
        snapshot = session.snapshot(window)
        digest = digest_of(session.columns, snapshot.rows)
        if len(windows) >= MOST:
            windows.clear()
        windows[window] = _Known(session.generation, version, digest)
        return digest
