"""What a run did, for its report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.crash.follower import HISTORY
from tests.crash.life import Life
from tests.crash.points import POINTS

FLOOR = 200
"""Commits a second below which a run says nothing: there was too little to lose."""


@dataclass
class Tally:
    """Counts over all rounds."""

    kills: int = 0
    commits: int = 0
    up: float = 0.0
    starts: list[float] = field(default_factory=list)
    points: Counter[str] = field(default_factory=Counter)
    random: int = 0
    resumes: int = 0
    unknown: int = 0
    repeated: int = 0
    found: int = 0
    too_late: int = 0
    compared: int = 0

    def lived(self, life: Life, commits: int) -> None:
        """A server is dead."""
        self.commits += commits
        self.up += life.up
        if life.ready_at:
            self.starts.append(life.ready_at - life.forked_at)
        if life.died_at_point:
            self.points[life.died_at_point] += 1
        else:
            self.random += 1

    @property
    def rate(self) -> float:
        """Commits a second, while a server was up."""
        return self.commits / self.up if self.up else 0.0

    @property
    def missed(self) -> list[str]:
        """The points at which no server died."""
        return [name for name in POINTS if not self.points[name]]

    def lines(self) -> list[str]:
        """The report."""
        starts = sorted(self.starts) or [0.0]
        return [
            f"{self.kills} kills: {self.random} at random moments, {self.points.total()} at {len(self.points)} points",
            f"{self.commits} commits in {self.up:.0f} s that a server was up: {self.rate:.0f} a second",
            f"starts: {starts[len(starts) // 2]:.2f} s in the median, {starts[-1]:.2f} s at most",
            f"{self.unknown} writes had an unknown outcome: {self.repeated} were sent again, {self.found} looked up",
            f"{self.resumes} watches were resumed by their token; everything was compared {self.compared} times",
            f"{self.too_late} watches came back after more than {HISTORY} commits and began anew",
        ]
