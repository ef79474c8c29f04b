# Generated from tesseract_grpc/client/aio/mirror.py by tools/generate_sync_client.py: edit that file and run it.
"""A mirror: the rows of a window, kept current in the background.

It changes only at consistent points, so whoever reads it sees the result as it was at one version. While the
connection is broken it keeps its rows and says `stale`; it heals by itself and says `live` again. A new snapshot takes
the place of the rows when it is complete, so nobody ever sees them gone in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, Self

from ..core.errors import Closed, DeadlineExceeded, TesseractError
from ..core.events import Event, Progress, Snapshot
from ..core.joint_replica import JointReplica
from ..core.mirror_bookmark import MirrorBookmark
from ..core.replica import Replica
from ..core.rows import Row
from ..core.watch_state import WatchState
from .handlers import Handler, Handlers
from .runtime import Background, Lock
from .watch import Watch

logger = logging.getLogger("tesseract_grpc.client")

ROWS = ("data", "change")
"""The events that a mirror has itself; the others are those of its watch."""


class Replicated(Protocol):
    """The rows that a mirror keeps, of one window or of several."""

    loaded: bool
    version: int
    epoch: str

    def apply(self, event: Any) -> Any: ...


class Follower:
    """What mirrors of one window and of several have in common: the background, and whoever waits for it."""

    def __init__(self, watch: Watch, timeout: float, replica: Replicated) -> None:
        self._watch, self._timeout = watch, timeout
        self._replica = replica
        self._lock = Lock()
        self._token = watch.token
        """Where to go on from the rows that are there."""
        self._gate = watch.gate
        self._handlers = Handlers(*ROWS)
        self._ended = False
        watch.sink = self._apply
        self._background = Background(self._run, "tesseract-mirror")

    @property
    def version(self) -> int:
        """The version up to which the rows are exact."""
        return self._replica.version

    @property
    def epoch(self) -> str:
        """The identity of the line of versions."""
        return self._replica.epoch

    @property
    def state(self) -> WatchState:
        """connecting, live, stale or ended."""
        return WatchState.ENDED if self._ended else self._watch.state

    @property
    def error(self) -> TesseractError | None:
        """Why it ended, when it was not closed on this side."""
        return self._watch.error

    def on(self, event: str, handler: Handler) -> Callable[[], None]:
        """Calls `handler` with the rows ("data") or with the Snapshot or Delta (of several windows: the Cut; "change")
        at every consistent point with changes; with the WatchState when it is another one ("state"); or with what
        happens to the stream ("interrupted", "resumed", "lagged", each with an object of that name). Returns the
        function to stop it."""
        return self._handlers.add(event, handler) if event in ROWS else self._watch.on(event, handler)

    @property
    def has_handlers(self) -> bool:
        """Whether anybody listens."""
        return self._handlers.any or self._watch.has_handlers

    def ready(self, timeout: float | None = None) -> Self:
        """Waits for the first snapshot."""
        seconds = self._timeout if timeout is None else timeout
        self._gate.wait_for(lambda: self._replica.loaded or self._ended, seconds)
        self._check(self._replica.loaded, seconds, "the first snapshot")
        return self

    def wait_for(self, version: int, timeout: float | None = None) -> Self:
        """Waits until the rows are exact up to `version`, for example that of a write. Where that commit does not touch
        the rows the server is asked to say so at once, instead of with its next Progress."""
        seconds = self._timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        while not self._ended and self._replica.version < version and (left := deadline - time.monotonic()) > 0:
            stream = self._watch.watch_id if self._watch.state is WatchState.LIVE else ""
            asked = self._watch.ask_progress(version, left) if stream else None
            try:
                self._gate.wait_for(partial(self._settled, version, stream), left)
            finally:
                if asked is not None:
                    asked.cancel()
        self._check(self._replica.version >= version, seconds, f"version {version}")
        return self

    def _settled(self, version: int, stream: str) -> bool:
        """Whether a wait is over, or its stream is another one, of which Progress has to be asked for anew."""
        present = self._watch.watch_id if self._watch.state is WatchState.LIVE else ""
        return self._replica.version >= version or self._ended or present not in ("", stream)

    def close(self) -> None:
        """Ends the stream; the rows stay readable."""
        self._watch.cancel()
        self._background.join()

    def cancel(self) -> None:
        """The same, without waiting for the end."""
        self._watch.cancel()

    def __enter__(self) -> Self:
        try:
            return self.ready()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, done: bool, seconds: float, what: str) -> None:
        """Says why something that was waited for did not come."""
        if done:
            return
        if self.error is not None:
            raise self.error
        if self._ended:
            raise Closed(f"the mirror was closed before {what}")
        why = f" ({self._watch.last_failure})" if self._watch.last_failure else ""
        raise DeadlineExceeded(f"{what} did not come within {seconds} s; the mirror is {self.state}{why}")

    def _run(self) -> None:
        """The background: reads what comes, and tells the handlers."""
        try:
            for event in self._watch:
                if not isinstance(event, Progress):
                    self._tell(event)
        except TesseractError as error:
            logger.warning("a mirror ends: %s", error)
        finally:
            self._ended = True
            self._gate.notify()

    def _apply(self, event: Event) -> None:
        """Applies one event; what does not fit is loud (StreamBroken), and the watch heals it by a new snapshot."""
        with self._lock:
            self._replica.apply(event)
            self._token = self._watch.token

    def _tell(self, event: Any) -> None:
        self._handlers.emit("change", event)
        if self._handlers.wants("data"):
            self._handlers.emit("data", self._data())

    def _data(self) -> Any:
        """What the handlers of "data" are given."""
        raise NotImplementedError


class Mirror(Follower):
    """The current rows of one window. It starts at once; `ready` waits for its first snapshot."""

    def __init__(self, watch: Watch, timeout: float, rows: Snapshot | None = None) -> None:
        """`rows` are those to go on from, until the first snapshot or change takes their place."""
        self._window = Replica()
        if rows is not None:
            self._window.apply(rows)
        super().__init__(watch, timeout, self._window)

    def rows(self, start: int = 0, limit: int | None = None) -> list[Row]:
        """The rows of the window, or a part of them, in order. The dicts are never changed afterwards."""
        with self._lock:
            return self._window.rows(start, limit)

    def __len__(self) -> int:
        return len(self._window)

    @property
    def total_count(self) -> int:
        """The number of rows of the whole result, of which the window is a part."""
        return self._window.total_count

    def bookmark(self) -> MirrorBookmark:
        """The rows as they are now, and where to go on from there: what `session.mirror(resume=...)` takes, also in
        another process, for as long as the server keeps that history. Raises Closed before the first snapshot."""
        with self._lock:
            window = self._window
            if not window.loaded:
                raise Closed("there is nothing to go on from before the first snapshot")
            token = self._token if self._watch.token else b""  # none while the rows are in doubt
            rows, types, key = window.rows(), dict(window.types), window.key
            return MirrorBookmark(window.version, window.epoch, token, rows, window.total_count, types, key)

    def _data(self) -> list[Row]:
        return self.rows()


class MirrorGroup(Follower):
    """The current rows of several windows, which are always at one version. Made by `hub.mirror_sessions`."""

    def __init__(self, watch: Watch, timeout: float, count: int) -> None:
        self._windows = JointReplica(count)
        super().__init__(watch, timeout, self._windows)

    def rows(self) -> list[list[Row]]:
        """The rows of every window, in the order in which the sessions were asked for; all of one version."""
        with self._lock:
            return [part.rows() for part in self._windows.parts]

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def total_counts(self) -> list[int]:
        """The number of rows of every whole result, of which the windows are parts."""
        with self._lock:
            return [part.total_count for part in self._windows.parts]

    def _data(self) -> list[list[Row]]:
        return self.rows()
