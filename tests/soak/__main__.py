"""The command: `python -m tests.soak --minutes 20`. Writes docs/soak.json and docs/soak.png."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import click

from tests.soak.plot import draw
from tests.soak.run import ROOT, Plan, soak

EVERY = 5  # seconds between two samples of the stored series


@click.command()
@click.option("--minutes", default=20.0, show_default=True, help="How long the churn goes on.")
@click.option("--watchers", default=200, show_default=True, help="How many come and go.")
@click.option("--seed", default=1, show_default=True, help="Seed of the trouble.")
@click.option("--output", default=ROOT / "docs", show_default="docs/", type=click.Path(path_type=Path), help="Folder.")
def main(minutes: float, watchers: int, seed: int, output: Path) -> None:
    """Soaks a server, writes the figures and the plot, and fails when anything leaks."""
    plan = Plan(seconds=minutes * 60, watchers=watchers, seed=seed)
    verdict, samples = asyncio.run(soak(plan, click.echo))
    begun = samples[0].at
    series = [
        {"second": round(s.at - begun), "rss_mb": round(s.rss / 1e6, 1), "watchers": s.watchers, "tasks": s.tasks}
        | {"fds": s.fds, "threads": s.threads}
        for s in samples[::EVERY]
    ]
    figures = {**asdict(verdict), "series": series}
    (output / "soak.json").write_text(json.dumps(figures, indent=1) + "\n")
    draw(samples, verdict, output / "soak.png")
    click.echo(json.dumps(asdict(verdict), indent=2))
    if verdict.problems:
        raise click.ClickException("; ".join(verdict.problems))


if __name__ == "__main__":
    main()
