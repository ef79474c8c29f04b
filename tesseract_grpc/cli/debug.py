"""`tesseract-grpc debug`: the debug mode of a hub, while it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from tesseract_grpc.cli.cell import json_line
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.debug_text import record_lines
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.client import DebugRecord, DebugSettings
from tesseract_grpc.client.core.debug import LEVELS, record_object

Command = Callable[..., Any]

_AGO = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0}


@click.group()
def debug() -> None:
    """Record what a hub does, and look at it.

    The settings are those of the server's process: a restart begins with those of its configuration (serve --debug).
    """


@debug.command()
@click.option("--level", type=click.Choice(LEVELS), help="The least that is recorded. [default: as it is, first info]")
@click.option("--slow", "slow_query", type=float, help="Record queries of so many seconds with their plan; 0: all.")
@click.option(
    "--values/--no-values", "include_values", default=None, help="Let records hold values of rows and filters."
)
@click.option("--capacity", type=int, help="The most records that are kept.")
@with_target
def on(
    target: Target, level: str | None, slow_query: float | None, include_values: bool | None, capacity: int | None
) -> None:
    """Turn debug mode on, or set it otherwise."""
    with target.connect() as hub:
        settings = hub.debug.enable(
            level=level, slow_query=slow_query, include_values=include_values, capacity=capacity
        )
    click.echo(_settings_line(settings))


@debug.command()
@with_target
def off(target: Target) -> None:
    """Turn debug mode off. What was recorded stays until it is cleared."""
    with target.connect() as hub:
        click.echo(_settings_line(hub.debug.disable()))


@debug.command()
@with_target
def status(target: Target) -> None:
    """Show how debug mode is set, and how many records there are."""
    with target.connect() as hub:
        settings = hub.debug.settings()
    click.echo(_settings_line(settings))
    click.echo(f"{settings.record_count:,} records; {settings.dropped_count:,} left because there were too many")


def _with_filter(command: Command) -> Command:
    """Adds the options that say which records."""
    for option in (
        click.option("--session", help="Only of this session."),
        click.option("--table", help="Only of this table."),
        click.option(
            "--kind", multiple=True, help="Only of this kind: call, commit, query, slow_query, ...; repeatable."
        ),
        click.option("--level", type=click.Choice(LEVELS), help="The least level.", default=None),
    ):
        command = option(command)
    return command


@debug.command()
@_with_filter
@click.option("--since", help="Only from this time on: ISO 8601, or so long ago: 30s, 5m, 2h.")
@click.option("--limit", type=click.IntRange(min=0), help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record and line.")
@with_target
def logs(
    target: Target,
    level: str | None,
    kind: tuple[str, ...],
    table: str | None,
    session: str | None,
    since: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print the records, oldest first."""
    with target.connect() as hub:
        found = hub.debug.logs(level=level, kind=kind, table=table, session=session, since=_moment(since), limit=limit)
    for record in found:
        _print(record, as_json)


@debug.command()
@_with_filter
@click.option("--existing", is_flag=True, help="Begin with those that there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record and line.")
@with_target
def follow(
    target: Target,
    level: str | None,
    kind: tuple[str, ...],
    table: str | None,
    session: str | None,
    existing: bool,
    as_json: bool,
) -> None:
    """Print records as they are made, until Ctrl-C."""
    with target.connect() as hub:
        for record in hub.debug.follow(level=level, kind=kind, table=table, session=session, existing=existing):
            _print(record, as_json)
            sys.stdout.flush()


@debug.command()
@with_target
def clear(target: Target) -> None:
    """Forget all records."""
    with target.connect() as hub:
        click.echo(f"{hub.debug.clear():,} records are gone")


@debug.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@_with_filter
@click.option("--since", help="Only from this time on: ISO 8601, or so long ago: 30s, 5m, 2h.")
@with_target
def export(
    target: Target,
    path: Path,
    level: str | None,
    kind: tuple[str, ...],
    table: str | None,
    session: str | None,
    since: str | None,
) -> None:
    """Write the records to PATH as JSON: exportDate, logCount and logs."""
    with target.connect() as hub:
        count = hub.debug.export(path, level=level, kind=kind, table=table, session=session, since=_moment(since))
    click.echo(f"{count:,} records in {path}")


def _print(record: DebugRecord, as_json: bool) -> None:
    if as_json:
        click.echo(json_line(record_object(record)))
        return
    for line in record_lines(record):
        click.echo(line)


def _settings_line(settings: DebugSettings) -> str:
    values = "with values" if settings.include_values else "without values"
    return (
        f"debug mode is {'on' if settings.enabled else 'off'}: {settings.level} and above, {values},"
        f" slow from {settings.slow_query:g} s, at most {settings.capacity:,} records"
    )


def _moment(text: str | None) -> datetime | None:
    """A time, or how long ago. Raises BadArgument."""
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        hint = "for example 5m, or 2026-11-23T10:00:00Z"
        raise BadArgument(f"{text!r} is no time", field="--since", hint=hint) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
