"""The command: `python -m benchmarks`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from benchmarks.field import missing
from benchmarks.registry import WORKLOADS
from benchmarks.report import print_details, print_report
from benchmarks.results import merge, read_results, write_results
from benchmarks.runner import Outcome, RunFailed, run_workload
from benchmarks.workload import OURS, Settings, Workload

RESULTS = Path(__file__).resolve().parent / "results.json"


@click.command()
@click.option(
    "--only", default="", metavar="NAMES", help="Workloads to run, separated by commas. Default: all of ours."
)
@click.option("--ours-only", is_flag=True, help="Leave the peers out; the stored figures of the peers stay.")
@click.option("--peers-only", is_flag=True, help="Run the peers alone, also on workloads that we cannot do yet.")
@click.option("--peers", default="", metavar="NAMES", help="The peers to run, separated by commas. Default: all.")
@click.option("--slow", is_flag=True, help="Run also the peers that take minutes.")
@click.option("--runs", default=3, show_default=True, type=click.IntRange(min=1), help="Processes a contestant.")
@click.option("--scale", default=1.0, show_default=True, help="Shrinks data and work; results are kept only at 1.")
@click.option("--seconds", default=10.0, show_default=True, help="The longest timed section.")
@click.option("--cores", default=1, show_default=True, type=click.IntRange(min=1), help="Cores of a contestant.")
@click.option("--seed", default=Settings().seed, show_default=True, help="Seed of the data.")
@click.option("--output", type=click.Path(path_type=Path), default=None, help=f"Default: {RESULTS.name} here.")
@click.option("--list", "listed", is_flag=True, help="List the workloads and end.")
def main(
    only: str,
    ours_only: bool,
    peers_only: bool,
    peers: str,
    slow: bool,
    runs: int,
    scale: float,
    seconds: float,
    cores: int,
    seed: int,
    output: Path | None,
    listed: bool,
) -> None:
    """Run workloads by us and by our peers in the same run, print the ratios, and merge them into results.json."""
    console = Console(width=None if Console().is_terminal else 160)
    if listed:
        _list(console)
        return
    if ours_only and peers_only:
        raise click.UsageError("--ours-only and --peers-only leave nobody to run")
    settings = Settings(scale=scale, seconds=seconds, cores=cores, seed=seed)
    path = output or (RESULTS if scale == 1.0 else None)
    outcomes: list[Outcome] = []
    failures: list[str] = []
    left_out: dict[str, str] = {}
    for workload in _chosen(only, peers_only):
        wanted = _contestants(workload, ours_only, peers_only, _peers(workload, peers, slow))
        left_out |= {name: why for name in wanted if (why := missing(name))}
        names = [name for name in wanted if name not in left_out]
        if names and (lacks := workload.prepare(settings)):
            left_out[workload.name] = lacks
        elif names:
            try:
                outcome = run_workload(workload, names, settings, runs, lambda line: console.print(line, style="dim"))
            except RunFailed as failure:
                failures.append(str(failure))
                continue
            outcomes.append(outcome)
            if path is not None:  # after each workload, so that a run that is broken off keeps what it measured
                write_results(path, merge(read_results(path), outcome))
    print_details(console, outcomes)
    print_report(console, outcomes)
    for name, why in left_out.items():
        console.print(f"{name} DID NOT RUN: {why}", style="bold red", highlight=False, markup=False)
    if failures:
        raise click.ClickException("\n".join(failures))


def _chosen(only: str, peers_only: bool) -> Sequence[Workload]:
    if not only:
        return [workload for workload in WORKLOADS.values() if peers_only or OURS in workload.contestants]
    names = [name.strip() for name in only.split(",")]
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise click.UsageError(f"no workload is called {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in names]


def _peers(workload: Workload, peers: str, slow: bool) -> set[str]:
    if peers:
        return {name.strip() for name in peers.split(",")}
    return set(workload.contestants) - (set() if slow else set(workload.slow))


def _contestants(workload: Workload, ours_only: bool, peers_only: bool, peers: set[str]) -> list[str]:
    return [
        name
        for name in workload.contestants
        if (name == OURS and not peers_only) or (name != OURS and not ours_only and name in peers)
    ]


def _list(console: Console) -> None:
    for workload in WORKLOADS.values():
        for metric in workload.metrics:
            console.print(f"{metric.name:12} {metric.about} ({', '.join(workload.contestants)})", highlight=False)
