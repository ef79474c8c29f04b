"""How fast the demo was: rates, and the time from making a commit to having it in a client's mirror.

A delta reaches a board because some commits wrote some of the board's rows. Those are the commits in the delta's range
of versions (above `from_version`, up to `to_version`) that wrote a key which the delta mentions; each of them gives
one latency: from just before its request was sent to the moment when the mirror that holds it was shown. Both clocks
are of one process. A delta that merges several commits counts for each of them, so waiting is not hidden, and
a row that only slides into a window, because another one left, does not count for the commit that once wrote it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

Key = int


@dataclass(frozen=True, slots=True)
class Commit:
    """One acknowledged commit: its version, when its request left, and the keys of the rows that it wrote."""

    version: int
    sent_at: float
    keys: Collection[Key]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delta that a client has applied: its range of versions, when that was done, and the keys that it mentions."""

    received_at: float
    from_version: int
    to_version: int
    keys: Collection[Key]


@dataclass(slots=True)
class Record:
    """What a run has seen so far, in seconds of one monotonic clock."""

    commits: list[Commit] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def latencies(self) -> list[float]:
        """Commit to client, in seconds, ascending. O(what was recorded, times log)."""
        by_key: dict[Key, list[Commit]] = {}
        for commit in sorted(self.commits, key=lambda commit: commit.version):
            for key in commit.keys:
                by_key.setdefault(key, []).append(commit)
        found = [
            delivery.received_at - commit.sent_at
            for delivery in self.deliveries
            for commit in _causes(delivery, by_key)
        ]
        return sorted(found)


def percentile(ascending: list[float], percent: float) -> float | None:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank); None without values."""
    if not ascending:
        return None
    rank = -(-len(ascending) * percent // 100)
    return ascending[max(int(rank) - 1, 0)]


def _causes(delivery: Delivery, by_key: dict[Key, list[Commit]]) -> Iterable[Commit]:
    """The commits that the delta brings, each once."""
    causes: dict[int, Commit] = {}
    for key in delivery.keys:
        commits = by_key.get(key, [])
        first = bisect_right(commits, delivery.from_version, key=lambda commit: commit.version)
        last = bisect_left(commits, delivery.to_version + 1, key=lambda commit: commit.version)
        causes.update((commit.version, commit) for commit in commits[first:last])
    return causes.values()
