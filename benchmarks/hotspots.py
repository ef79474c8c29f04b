"""Where the time goes: `python -m benchmarks.hotspots W6_100` runs a workload by us under the profiler.

Only the timed sections are profiled. The profiler slows Python code down and C code not at all, so read the figures as
shares and call counts, and take times from the benchmark itself.
"""

from __future__ import annotations

import cProfile
import pstats

import click

from benchmarks.child import pin
from benchmarks.measure import PROFILERS
from benchmarks.registry import WORKLOADS
from benchmarks.workload import OURS, Settings


@click.command()
@click.argument(
    "name", type=click.Choice([name for name, workload in WORKLOADS.items() if OURS in workload.contestants])
)
@click.option(
    "--part", type=click.Choice(["load", "query", "live"]), help="Default: the part that the workload is about."
)
@click.option("--scale", default=1.0, show_default=True)
@click.option("--rows", default=30, show_default=True, help="Lines of the table.")
@click.option("--sort", default="tottime", show_default=True, type=click.Choice(["tottime", "cumulative", "calls"]))
def main(name: str, part: str | None, scale: float, rows: int, sort: str) -> None:
    """Profile the timed sections of one workload of the engine."""
    chosen = part or {"W1": "load", "W2": "query"}.get(name, "live")
    profiler = PROFILERS[chosen] = cProfile.Profile()
    pin(1)
    figures = WORKLOADS[name].run(OURS, Settings(scale=scale, seconds=5.0))
    pstats.Stats(profiler).strip_dirs().sort_stats(sort).print_stats(rows)
    for metric, figure in figures.items():
        click.echo(f"{metric}: {figure.value:,.4g} under the profiler")


if __name__ == "__main__":
    main()
