"""The debug mode of one hub: on or off, how it is set, and what it has recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.session import QueryResult, Session
from tesseract_grpc.server.debug.plan_text import Asked, plan_text
from tesseract_grpc.server.debug.record import Detail, Level
from tesseract_grpc.server.debug.recorder import Recorder
from tesseract_grpc.server.debug.ring import Ring
from tesseract_grpc.server.debug.settings import Settings
from tesseract_grpc.server.debug.slow_queries import SlowQueries
from tesseract_grpc.server.debug.subject import Subject
from tesseract_grpc.server.errors import Refusal, limit_exceeded

MOST_FOLLOWERS = 100
"""So many can follow the records of a hub at once."""


class DebugMode:
    """What others look at is `recorder`: None while the mode is off. Records outlive its being turned off."""

    def __init__(self, hub: Hub, clock: Callable[[], float], settings: Settings) -> None:
        self.settings = Settings()
        self.recorder: Recorder | None = None
        self.ring = Ring(settings.capacity)
        self.on_change: Callable[[], None] | None = None
        """Called when the mode was turned on or off."""
        self.ended: Refusal | None = None
        """Why nobody can follow any more."""
        self._followers = 0
        self._hub = hub
        self._clock = clock
        self._slow = SlowQueries(self.ring, self._explain)
        self.set(settings)

    def set(self, settings: Settings) -> None:
        """Puts settings in force, from the next record on."""
        self._slow.close()
        self._slow = SlowQueries(self.ring, self._explain)
        self.settings = settings
        self.ring.resize(settings.capacity)
        hub = self._hub
        self.recorder = Recorder(self.ring, settings, self._clock, lambda: hub.version) if settings.enabled else None
        if self.on_change is not None:
            self.on_change()

    def queried(self, asked: Asked, subject: Subject, seconds: float, result: QueryResult) -> None:
        """A query was answered, or a session read, in so many seconds. O(1): a plan is made aside."""
        recorder = self.recorder
        if recorder is None:
            return
        rows, total = result.rows.length, result.total_count
        recorder.queried(subject, seconds, rows, total, result.version)
        self._judge(asked, subject, seconds, "a query", result.version, rows=rows, total=total)

    def remembered(self, subject: Subject | None) -> None:
        """A query was answered with what had been answered before. O(1)."""
        if self.recorder is not None and subject is not None:
            self.recorder.add(Level.DEBUG, "query", "the answer was known", subject=subject, cached=True)

    def hydrated(self, session: Session, seconds: float) -> None:
        """A session was evaluated for the first time, or after an edit. O(1)."""
        if self.recorder is not None:
            subject = Subject(table=session.query.table, session=session.name)
            total = session.total_count
            self._judge(session.name, subject, seconds, "hydrating a session", self._hub.version, total=total)

    def _judge(
        self, asked: Asked, subject: Subject, seconds: float, what: str, version: int, **details: Detail
    ) -> None:
        """Records what was slow, with a plan that is made aside."""
        recorder = self.recorder
        if recorder is not None and seconds >= recorder.slow_query and recorder.wants(Level.WARNING):
            message = f"{what} took {seconds * 1_000:,.1f} ms"
            slow = recorder.make(
                Level.WARNING, "slow_query", message, subject=subject, seconds=seconds, version=version, more=details
            )
            self._slow.offer(asked, slow)

    @contextmanager
    def follower(self) -> Iterator[None]:
        """Counts one who follows the records. Raises Refusal when there are too many."""
        if self._followers >= MOST_FOLLOWERS:
            message = f"{self._followers} follow the debug records"
            raise limit_exceeded("debug_followers", MOST_FOLLOWERS, message)
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    def end(self, refusal: Refusal) -> None:
        """Those who follow end, once they have been told what there is."""
        self.ended = refusal
        self.ring.news.set()

    def close(self) -> None:
        """Nothing more is explained."""
        self._slow.close()

    def _explain(self, asked: Asked) -> str:
        with self._hub.at(round(self._clock() * 1e6)):
            return plan_text(self._hub, asked, values=self.settings.include_values)
