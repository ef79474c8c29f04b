"""`tesseract-grpc cache`: what the caches of a hub have done, and making them forget."""

from __future__ import annotations

from dataclasses import asdict

import click

from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.output import Format, print_rows

COLUMNS = ("cache", "hits", "misses", "hit_rate", "entries", "bytes", "evictions", "invalidations")


@click.command()
@click.option("--clear", is_flag=True, help="Forget what they hold, and count from zero.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a cache and line.")
@with_target
def cache(target: Target, clear: bool, as_json: bool) -> None:
    """Show what the caches of the hub have done since they were cleared: hits, misses, entries and size.

    queries are answers of one-shot queries, plans what sessions share, expressions parsed texts of the whole server.
    """
    with target.connect() as hub:
        if clear:
            click.echo(f"forgot {hub.clear_cache():,} entries", err=True)
        rows = [{"cache": name, **asdict(stats)} for name, stats in hub.cache_stats().items()]
    if as_json:
        for row in rows:
            click.echo(json_line(row))
    else:
        print_rows(COLUMNS, [row | {"hit_rate": f"{row['hit_rate']:.1%}"} for row in rows], Format.TABLE)
