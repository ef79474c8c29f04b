"""`tesseract-grpc diagnose`: what is in a table, what it takes, how it is used, and what could be better."""

from __future__ import annotations

from pathlib import Path

import click

from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.written import OUTPUT, write_out
from tesseract_grpc.client import Diagnosis, HubDiagnosis


@click.command()
@click.argument("table", required=False)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="Lines for people, JSON for programs, or one page with plots.",
)
@OUTPUT
@click.option("--top", type=click.IntRange(0, 100), default=5, show_default=True, help="Most frequent values a column.")
@click.option("--samples", type=click.IntRange(0, 100), default=5, show_default=True, help="Examples a column.")
@with_target
def diagnose(target: Target, table: str | None, style: str, output: Path | None, top: int, samples: int) -> None:
    """Profile TABLE, or all tables of the hub, and say what could be better.

    Commits go on meanwhile. Uses of filters and indexes are counted since the server started.
    """
    with target.connect() as hub:
        report: Diagnosis | HubDiagnosis
        if table is None:
            report = hub.diagnose_all(top_values=top, samples=samples)
        else:
            report = hub.diagnose(table, top_values=top, samples=samples)
    write_out({"text": report.to_text, "json": report.to_json, "html": report.to_html}[style](), output)
