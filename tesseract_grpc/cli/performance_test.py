"""`tesseract-grpc performance-test`: how fast a table is written and read."""

from __future__ import annotations

from pathlib import Path

import click

from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.written import OUTPUT, write_out


@click.command("performance-test")
@click.argument("table")
@click.option("--operations", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="Of each kind.")
@click.option(
    "--max-rows", type=click.IntRange(1, 1_000_000), default=100_000, show_default=True, help="Rows of the copy."
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@OUTPUT
@with_target
def performance_test(
    target: Target, table: str, operations: int, max_rows: int, as_json: bool, output: Path | None
) -> None:
    """Measure writes and queries on a private copy of TABLE, and reads of the real one over the wire.

    The table stays as it is. A kind of operation ends early when it has taken two seconds.
    """
    with target.connect() as hub:
        report = hub.performance_test(table, operations, max_rows=max_rows)
    write_out(report.to_json() if as_json else report.to_text(), output)
