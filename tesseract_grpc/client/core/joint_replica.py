"""The rows of several windows that move together: what `Replica` is to one session, this is to several."""

from __future__ import annotations

from .events import Cut, Event
from .feed import StreamBroken
from .replica import Replica


class JointReplica:
    """All windows at one `version`. A cut that does not fit one of them changes none."""

    def __init__(self, count: int) -> None:
        self.parts = [Replica() for _ in range(count)]
        self.loaded = False
        self.version = 0
        self.epoch = ""

    def __len__(self) -> int:
        return len(self.parts)

    def apply(self, cut: Event) -> None:
        """Takes a cut. O(windows) in C, O(changes) in Python."""
        if not isinstance(cut, Cut):
            self.version = cut.version
            return
        if not self.loaded and any(event is None for event in cut):
            raise StreamBroken("disorder", "a cut came before the snapshots")
        changes = [part.prepare(event) for part, event in zip(self.parts, cut, strict=True) if event is not None]
        for change in changes:
            change()
        for part in self.parts:
            part.version = cut.version
        self.version, self.epoch, self.loaded = cut.version, self.parts[0].epoch, True
