"""The printed table: ours, every peer, and the ratio to the best of them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.field import PEERS
from benchmarks.registry import METRICS
from benchmarks.results import best_peer
from benchmarks.runner import Outcome
from benchmarks.workload import OURS, Figure, Metric


def print_report(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print one row for each metric that was measured."""
    table = Table(caption="medians; a ratio above 1 means that we are better than the best peer")
    for heading in ("name", "workload"):
        table.add_column(heading)
    for heading in (OURS, *PEERS, "unit", "ratio"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        for name in dict.fromkeys(metric for figures in outcome.values() for metric in figures):
            table.add_row(*_row(METRICS[name], {who: figures[name] for who, figures in outcome.items()}))
    console.print(table)


def print_details(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print what explains each figure: CPU time, percentiles."""
    for outcome in outcomes:
        for who, figures in outcome.items():
            for name, figure in figures.items():
                if figure.detail:
                    detail = ", ".join(f"{key} {show(value)}" for key, value in figure.detail.items())
                    console.print(f"{name} {who}: {detail}", style="dim", highlight=False)


def show(value: float) -> str:
    """Return a figure as people read it: three or four digits that matter."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _row(metric: Metric, figures: dict[str, Figure]) -> list[str]:
    peers = {name: figure.value for name, figure in figures.items() if name != OURS}
    best = best_peer(metric, peers)
    ratio = ""
    if best and OURS in figures:
        ratio = f"{show(metric.better.ratio(figures[OURS].value, peers[best]))} × {best}"
    cells = [show(figures[who].value) if who in figures else "" for who in (OURS, *PEERS)]
    return [metric.name, metric.about, *cells, metric.unit, ratio]
