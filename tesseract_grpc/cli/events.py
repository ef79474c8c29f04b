"""`tesseract-grpc events`: what happens to a hub, live."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict

import click

from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.debug_text import event_line, printable
from tesseract_grpc.client import HubEvent, Interrupted


@click.command()
@click.option("--existing", is_flag=True, help="Begin with the tables and sessions that there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an event and line.")
@with_target
def events(target: Target, existing: bool, as_json: bool) -> None:
    """Print what happens to the tables and sessions of the hub, until Ctrl-C.

    It goes on when the server starts again: what happened meanwhile is found out by comparing, and told as missed.
    """
    logging.getLogger("tesseract_grpc.client").addHandler(logging.NullHandler())
    with target.connect() as hub, hub.events(existing=existing) as found:
        found.on("interrupted", _interrupted)
        for event in found:
            click.echo(json_line(_object(event)) if as_json else event_line(event))
            sys.stdout.flush()


def _interrupted(notice: Interrupted) -> None:
    click.echo(printable(f"@{notice.version} stale: {notice.reason} ({notice.message})"), err=True)


def _object(event: HubEvent) -> dict[str, object]:
    """What an event has."""
    return {name: value for name, value in asdict(event).items() if value not in ("", (), False)}
