"""Runs workloads: each contestant in a fresh process, several times, the median counts.

The contestants of a workload take turns (run 1 of all, then run 2 of all), so that a slow minute of the machine falls
on all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure import median
from benchmarks.workload import Figure, Figures, Settings, Workload

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 1800.0  # seconds; far above what any run takes

Outcome = dict[str, Figures]  # by contestant


class RunFailed(Exception):
    """A contestant's process ended without figures."""


def run_workload(
    workload: Workload,
    contestants: Sequence[str],
    settings: Settings,
    runs: int,
    progress: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Return the median figures of each contestant."""
    collected: dict[str, list[Figures]] = {name: [] for name in contestants}
    for run in range(runs):
        for name in contestants:
            progress(f"{workload.name}: {name}, run {run + 1} of {runs}")
            collected[name].append(run_once(workload.name, name, settings))
    return {name: _medians(figures) for name, figures in collected.items()}


def run_once(workload: str, contestant: str, settings: Settings) -> Figures:
    """Run one workload by one contestant in a fresh process."""
    request = json.dumps({"workload": workload, "contestant": contestant, "settings": settings.to_json()})
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.child", request],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        raise RunFailed(f"{workload} by {contestant} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    answer = json.loads(lines[-1])
    return {name: Figure(figure["value"], figure["detail"]) for name, figure in answer.items()}


def _medians(runs: Sequence[Figures]) -> Figures:
    return {
        name: Figure(
            median([run[name].value for run in runs]),
            {key: median([run[name].detail[key] for run in runs]) for key in runs[0][name].detail},
        )
        for name in runs[0]
    }
