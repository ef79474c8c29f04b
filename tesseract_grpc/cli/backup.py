"""`tesseract-grpc backup`: the tables of a hub, at one version, into a file.

What it does is `backup` of the client; here are its options and a bar.
"""

from __future__ import annotations

from pathlib import Path

import click

from tesseract_grpc.cli.backup_bar import BackupBar
from tesseract_grpc.cli.connection import Target, with_target


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; may be given several times.")
@click.option(
    "--format",
    "format_name",
    metavar="FORMAT",
    help="container, parquet, json, jsonl or csv.  [default: what the end of the file's name says]",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE when it is there.")
@click.option("--sessions/--no-sessions", default=None, help="With the sessions.  [default: of a whole hub]")
@with_target
def backup(
    target: Target,
    path: Path,
    tables: tuple[str, ...],
    format_name: str | None,
    overwrite: bool,
    sessions: bool | None,
) -> None:
    """Write the tables of a hub into FILE, all at one version, while writes go on.

    The end of the name says the format: .tesseract holds a whole hub; .parquet .json .jsonl .csv one table (also .gz).
    FILE is there when it is whole, and not before.
    """
    bar = BackupBar()
    with target.connect() as hub, bar:
        result = hub.backup(
            path,
            list(tables) or None,
            format=format_name,
            overwrite=overwrite,
            sessions=sessions,
            on_progress=bar.tell,
        )
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    what = f"{len(result.tables)} tables and {len(result.sessions)} sessions" if not tables else ", ".join(tables)
    rate = result.rows / max(result.seconds, 1e-9)
    click.echo(
        f"backed up {what} at version {result.version}: {result.rows:,} rows, {result.bytes:,} bytes in"
        f" {result.seconds:.1f} s, {rate:,.0f} rows/s",
        err=True,
    )
