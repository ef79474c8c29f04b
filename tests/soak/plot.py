"""The picture of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.soak.probe import Sample
from tests.soak.verdict import WARM_UP, Verdict


def draw(samples: Sequence[Sample], verdict: Verdict, path: Path) -> None:
    """Memory over time with the line that it is judged by, and beside it what comes and goes."""
    from matplotlib.figure import Figure  # only a soak needs it

    begun = samples[0].at
    minutes = [(sample.at - begun) / 60 for sample in samples]
    figure = Figure(figsize=(9, 6), layout="constrained")
    memory, counts = figure.subplots(2, 1, sharex=True)
    memory.plot(minutes, [sample.rss / 1e6 for sample in samples], linewidth=1, color="tab:blue")
    start = WARM_UP * minutes[-1]
    memory.axvspan(0, start, color="0.93", label="warm-up")
    settled = [sample.rss / 1e6 for sample, minute in zip(samples, minutes, strict=True) if minute >= start]
    middle, level = (start + minutes[-1]) / 2, sorted(settled)[len(settled) // 2]
    line = [level + verdict.slope_mb_per_hour / 60 * (minute - middle) for minute in (start, minutes[-1])]
    memory.plot([start, minutes[-1]], line, color="tab:red", label=f"{verdict.slope_mb_per_hour:+.1f} MB an hour")
    memory.set_ylabel("resident memory, MB")
    memory.set_ylim(bottom=0)
    memory.legend(loc="lower right")
    for name in ("watchers", "tasks", "fds"):
        counts.plot(minutes, [getattr(sample, name) for sample in samples], linewidth=1, label=name)
    counts.set_ylabel("count")
    counts.set_xlabel("minutes")
    counts.set_ylim(bottom=0)
    counts.legend(loc="lower right")
    memory.set_title(
        f"{verdict.watchers} watchers coming and going: {verdict.watches:,} watches, {verdict.stops} stops,"
        f" {verdict.kills} kills, {verdict.commits:,} commits"
    )
    figure.savefig(path, dpi=110)
