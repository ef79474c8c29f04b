"""One stream of several sessions as a pure state machine: responses in, consistent cuts out.

Every session has a feed of its own, which is as strict as that of a single stream. What they say is held back until a
response says that all of them are at one version (`continued` is false); then it is one `Cut`. A cut is whole or it is
nothing: a stream that breaks inside one leaves every session where the last cut left it, and is resumed there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .events import Cut, Delta, Event, Interrupted, Lagged, Notice, Progress, Snapshot
from .feed import Bookmark, Feed, StreamBroken


class JointFeed:
    """One stream. `parts` are the places of the sessions at the last cut; they and `bookmark` outlive it."""

    def __init__(
        self, parts: list[Bookmark], bookmark: Bookmark, reason: str = "first", resuming: bool = False, **options: Any
    ) -> None:
        self._parts, self._bookmark, self.resuming = parts, bookmark, resuming
        self._feeds = [Feed(replace(part), reason, resuming=resuming, **options) for part in parts]
        self._events: list[Snapshot | Delta | None] = [None] * len(parts)
        self._version = bookmark.version
        self.state = "opening"
        """opening, loading (the first cut), live, or reset (until the cut ends in which a session begins anew)."""

    @property
    def reason(self) -> str:
        """Why it was opened."""
        return self._feeds[0].reason

    @property
    def progress_seconds(self) -> float:
        """How often Progress comes."""
        return self._feeds[0].progress_seconds

    def receive(self, response: Any) -> Event | Notice | None:
        """Takes one response; returns a cut when it ended one, or what is to be told of the stream itself."""
        if response.index >= len(self._feeds):
            raise StreamBroken("malformed", f"there is no session {response.index}")
        told, feed = response.response, self._feeds[response.index]
        found = feed.receive(told)
        begun = feed.bookmark
        self._bookmark.epoch, self._bookmark.began, self._bookmark.watch_id = begun.epoch, True, begun.watch_id
        if isinstance(found, Snapshot | Delta):
            self._events[response.index] = found
        if isinstance(found, Lagged):
            return found  # of the cut that follows, though it speaks of the version before
        if not told.continued:
            return self._end(told, found)
        if isinstance(found, Interrupted):
            self._bookmark.forget()
            first, self.state = self.state != "reset", "reset"
            return found if first else None  # that of one session is that of all
        self.state = "loading" if self.state == "opening" else self.state
        return None

    def _end(self, told: Any, found: Any) -> Event | Notice:
        """Ends a cut: every session is at its version, also those of which nothing was told."""
        before, version = self._version, told.to_version
        for index, feed in enumerate(self._feeds):
            if feed.state != "live":
                raise StreamBroken("disorder", f"a cut ends while session {index} is {feed.state}")
            change = feed.flush(before, version)
            if change is not None:
                self._events[index] = change
        wrong = [event.version for event in self._events if event is not None and event.version != version]
        if wrong:
            raise StreamBroken("disorder", f"a cut at version {version} holds a change to {wrong[0]}")
        events, self._events = tuple(self._events), [None] * len(self._feeds)
        self._parts[:] = [replace(feed.bookmark) for feed in self._feeds]
        self._version, self.state = version, "live"
        self._bookmark.move(version, told.resume_token)
        if any(event is not None for event in events):
            return Cut(version, events)
        return found if isinstance(found, Notice) else Progress(version)
