"""results.json: one entry a metric, merged run by run.

An entry is {"ours", "unit", "best_peer", "peer", "ratio"} (a ratio above 1 means that we are better, also for times and
bytes; the last three are null where no peer can do the work), and beside these
`peers`, the figure of each; `same_run`, whether ours and the peers' were measured in one run; `detail`, what explains
ours. A run that measured only a part of the workloads, or only us, updates only that part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from benchmarks.registry import METRICS
from benchmarks.runner import Outcome
from benchmarks.workload import OURS, Metric


class Entry(TypedDict):
    ours: float
    unit: str
    best_peer: float | None
    peer: str | None
    ratio: float | None
    peers: dict[str, float]
    same_run: bool
    detail: dict[str, float]


Results = dict[str, Entry]


def read_results(path: Path) -> Results:
    """Return the stored entries; none when there is no file yet."""
    if not path.exists():
        return {}
    stored: Results = json.loads(path.read_text())
    return stored


def write_results(path: Path, results: Mapping[str, Entry]) -> None:
    path.write_text(json.dumps(dict(sorted(results.items())), indent=2) + "\n")


def merge(results: Mapping[str, Entry], outcome: Outcome) -> Results:
    """Return the entries with what a workload's outcome says about them.

    An outcome without us updates the peers' figures of an entry that exists and makes no new one.
    """
    merged = dict(results)
    for name in sorted({metric for figures in outcome.values() for metric in figures}):
        entry = _entry(METRICS[name], outcome, merged.get(name))
        if entry is not None:
            merged[name] = entry
    return merged


def _entry(metric: Metric, outcome: Outcome, old: Entry | None) -> Entry | None:
    fresh = {name: round_figure(figures[metric.name].value) for name, figures in outcome.items()}
    mine = outcome[OURS][metric.name] if OURS in outcome else None
    if mine is None and old is None:
        return None
    ours = round_figure(mine.value) if mine is not None else old["ours"] if old else 0.0
    detail = {key: round_figure(value) for key, value in mine.detail.items()} if mine else old["detail"] if old else {}
    measured = {name: value for name, value in fresh.items() if name != OURS}
    peers = {**(old["peers"] if old else {}), **measured}
    best = best_peer(metric, peers)
    return Entry(
        ours=ours,
        unit=metric.unit,
        best_peer=peers[best] if best else None,
        peer=best,
        ratio=round_figure(metric.better.ratio(ours, peers[best])) if best else None,
        peers=peers,
        same_run=mine is not None and set(measured) == set(peers),
        detail=detail,
    )


def best_peer(metric: Metric, peers: Mapping[str, float]) -> str | None:
    """Return the peer with the best figure."""
    if not peers:
        return None
    pick = max if metric.better == "higher" else min
    return pick(peers, key=lambda name: peers[name])


def round_figure(value: float) -> float:
    """Return the value with four significant digits: more is noise."""
    return float(f"{value:.4g}")
