"""One stream of a hub's events as a pure state machine: responses in, news out.

    opening --Begin--> loading --what there is--> loading --Progress--> live --events, Progress--> live

While it loads, what there is and what happens meanwhile are noted alike; at the end it is known what there is, and
compared with what was known from the stream before. So a stream that broke is mended by the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2

from .events import Progress
from .feed import DEFAULT_PROGRESS_SECONDS, Bookmark, StreamBroken
from .hub_events import HubNews, Known


@dataclass(slots=True)
class HubFeed:
    """One stream. `known` and `bookmark` outlive it."""

    known: Known
    existing: bool
    """Whether what there is at first is news, too."""
    bookmark: Bookmark
    reason: str = "first"
    resuming: bool = False
    state: str = "opening"
    progress_seconds: float = DEFAULT_PROGRESS_SECONDS
    version: int = 0
    _loading: Known = field(default_factory=Known)

    def receive(self, response: hub_service_pb2.WatchHubResponse) -> HubNews | Progress | None:
        """Takes one response; returns what there is to tell."""
        kind = response.WhichOneof("event")
        if (kind == "begin") != (self.state == "opening"):
            raise StreamBroken("disorder", f"{kind} is not allowed while the stream is {self.state}")
        if response.version < self.version:
            raise StreamBroken("disorder", f"{kind} goes back to version {response.version}")
        self.version = response.version
        if kind == "begin":
            self._begin(response.begin)
            return None
        if self.state == "live":
            self.bookmark.move(response.version, b"")
            if kind == "progress":
                return Progress(response.version)
            event = self.known.take(response)
            return None if event is None else HubNews(response.version, (event,))
        if kind != "progress":
            self._loading.take(response)
            return None
        return self._loaded(response.version)

    def _begin(self, begin: hub_service_pb2.HubBegin) -> None:
        if begin.progress_interval_ms:
            self.progress_seconds = begin.progress_interval_ms / 1000
        self.state = "loading"
        self.bookmark.epoch, self.bookmark.watch_id = begin.hub.epoch, begin.watch_id
        self._loading.turn(begin.hub, self.version)

    def _loaded(self, version: int) -> HubNews:
        """It is known what there is."""
        first, before, now = not self.bookmark.began, self.known, self._loading
        told = now.since(before, version) if not first else now.existing() if self.existing else ()
        events = tuple(told)
        before.tables, before.sessions, before.state, before.message = now.tables, now.sessions, now.state, now.message
        self.state, self.bookmark.began = "live", True
        self.bookmark.move(version, b"")
        return HubNews(version, events)
