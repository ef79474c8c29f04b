"""Reports on stdout, or in a file."""

from __future__ import annotations

from pathlib import Path

import click

OUTPUT = click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write the report to a file.",
)


def write_out(text: str, output: Path | None) -> None:
    """Writes a report, with one newline at its end. Raises OSError."""
    if output is None:
        click.echo(text)
        return
    output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    click.echo(f"wrote {output}", err=True)
