"""What a run has shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.soak.probe import Sample

WARM_UP = 0.4
"""The share of a run in which memory may still grow: pools and histories fill up."""

LEAST_WATCHES_A_SECOND = 0.05
"""Watches that end in a second, for each watcher: below, a run is void."""

FEW_FDS = 2
"""File descriptors that a server may hold more or less than before: a log that goes on in its next file."""


def slope(samples: Sequence[Sample]) -> float:
    """Bytes a second by which memory grows: the median of the slopes between all pairs (Theil and Sen)."""
    at = np.array([sample.at for sample in samples])
    rss = np.array([sample.rss for sample in samples], np.float64)
    first, second = np.triu_indices(len(samples), 1)
    return float(np.median((rss[second] - rss[first]) / (at[second] - at[first])))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Figures and what is wrong with them; nothing is when all is well."""

    seconds: float
    watchers: int
    commits: int
    watches: int
    stops: int
    kills: int
    rss_first_mb: float
    rss_last_mb: float
    slope_mb_per_hour: float
    bound_mb_per_hour: float
    leaked: dict[str, int]
    problems: list[str] = field(default_factory=list)


def judge(
    samples: Sequence[Sample],
    before: Sample,
    after: Sample,
    *,
    bound: float,
    least_commits: float = 10.0,
    watchers: int,
    commits: int,
    stops: int,
    kills: int,
) -> Verdict:
    """Judges a run; `bound` is in MB an hour; less than `least_commits` a second are void. O(n squared)."""
    seconds = samples[-1].at - samples[0].at
    settled = [sample for sample in samples if sample.at >= samples[0].at + WARM_UP * seconds]
    growth = slope(settled) * 3600 / 1e6
    watches = samples[-1].watches_ended - samples[0].watches_ended
    had, has = before.leftovers, after.leftovers
    room = {"fds": FEW_FDS}
    leaked = {name: has[name] - had[name] for name in had if has[name] > had[name] + room.get(name, 0)}
    problems = [f"{count} {name} are left when everybody has gone" for name, count in leaked.items()]
    if growth > bound:
        problems.append(f"memory grows by {growth:.0f} MB an hour, and {bound:.0f} are allowed")
    if watches < LEAST_WATCHES_A_SECOND * watchers * seconds:
        problems.append(f"void: {watches} watches came and went in {seconds:.0f} s")
    if commits < least_commits * seconds:
        problems.append(f"void: {commits} commits in {seconds:.0f} s")
    if max(sample.watchers for sample in samples) < watchers / 2:
        problems.append("void: half of the watchers were never there at once")
    return Verdict(
        seconds=round(seconds, 1),
        watchers=watchers,
        commits=commits,
        watches=watches,
        stops=stops,
        kills=kills,
        rss_first_mb=round(settled[0].rss / 1e6, 1),
        rss_last_mb=round(settled[-1].rss / 1e6, 1),
        slope_mb_per_hour=round(growth, 1),
        bound_mb_per_hour=bound,
        leaked=leaked,
        problems=problems,
    )
