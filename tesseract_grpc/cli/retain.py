"""`tesseract-grpc retain`: which rows leave a table by themselves, and how much memory it may take."""

from __future__ import annotations

from typing import Any

import click

from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.tables import limits_text


@click.command()
@click.argument("table")
@click.option("--max-age", help='Rows older than this leave: seconds, or as "24h".')
@click.option("--age-column", help="The timestamp column that says how old a row is.")
@click.option("--max-records", type=click.IntRange(1), help="The most rows.")
@click.option("--order-column", help="Of too many rows those with the least values in it leave first.")
@click.option("--interval", help='How often to look: seconds, or as "10m". Default: always.')
@click.option("--off", is_flag=True, help="All rows stay from now on.")
@click.option("--memory-limit", type=click.IntRange(0), help="The most bytes of the table; 0 for no limit.")
@click.option("--policy", type=click.Choice(["refuse", "evict"]), default="refuse", help="What happens at that limit.")
@with_target
def retain(target: Target, table: str, off: bool, memory_limit: int | None, policy: str, **given: Any) -> None:
    """Say which rows leave TABLE by themselves, or show it. What is not named stays as it is."""
    words = {name: _span(value) for name, value in given.items() if value is not None}
    if off and words:
        raise click.UsageError("--off says that all rows stay; leave the others out")
    with target.connect() as hub:
        found = hub.get_tesseract(table)
        if off:
            found.set_retention(None)
        elif words:
            found.set_retention({**(found.info().retention or {}), **words})
        if memory_limit is not None:
            found.set_memory_limit({"max_bytes": memory_limit, "policy": policy} if memory_limit else None)
        info = found.info()
    click.echo(limits_text(info.retention, info.memory_limit) or "all rows stay")


def _span(value: Any) -> Any:
    """A number of seconds where a text is one."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
