"""`tesseract-grpc alter`, `rename`, `swap` and `remove`: the definitions of tables that are in use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import click

from tesseract_grpc.cli.alteration import FORMS, alterations_of
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.client import AlterResult, EndedSession

EPILOG = "\b\nAlterations:\n" + "\n".join(f"  {form}" for form in FORMS.values())
dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would happen; the server checks all rows.")
keep_sessions_option = click.option("--keep-sessions", is_flag=True, help="Refuse it where a session would end.")


@click.command(epilog=EPILOG)
@click.argument("table")
@click.argument("alterations", nargs=-1, metavar="ALTERATION...")
@click.option("--file", type=click.File(encoding="utf-8"), help="More of them as JSON: a list of dicts.  [- is stdin]")
@dry_run_option
@keep_sessions_option
@with_target
def alter(
    target: Target,
    table: str,
    alterations: tuple[str, ...],
    file: IO[str] | None,
    dry_run: bool,
    keep_sessions: bool,
) -> None:
    """Change the columns, the key or the indexes of TABLE: all of it in one version, or nothing.

    For example: tesseract-grpc alter users 'add email string = name.toLowerCase() + "@example.com"' 'drop mail'
    """  # fmt: skip
    asked = alterations_of(alterations)
    if file is not None:
        asked.extend(_read(file))
    if not asked:
        raise BadArgument("nothing to alter", field="ALTERATION", hint="; ".join(FORMS.values()))
    with target.connect() as hub:
        result = hub.get_tesseract(table).alter(asked, dry_run=dry_run, keep_sessions=keep_sessions)
    _tell(f"{'would alter' if dry_run else 'altered'} {table}", result)


def _read(file: IO[str]) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise BadArgument(f"{file.name} is not JSON: {error}", field="--file", hint="write a list of dicts") from error


@click.command()
@click.argument("table")
@click.argument("new_name")
@with_target
def rename(target: Target, table: str, new_name: str) -> None:
    """Rename TABLE. Its sessions follow."""
    with target.connect() as hub:
        hub.rename_tesseract(table, new_name)
    click.echo(f"renamed {table} to {new_name}", err=True)


@click.command()
@click.argument("one")
@click.argument("other")
@keep_sessions_option
@with_target
def swap(target: Target, one: str, other: str, keep_sessions: bool) -> None:
    """Exchange the names of two tables in one version. Sessions stay with the name that they ask for."""
    with target.connect() as hub:
        result = hub.swap_tesseracts(one, other, keep_sessions=keep_sessions)
    _tell(f"swapped {one} and {other}", result)


@click.command()
@click.argument("table")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_target
def remove(target: Target, table: str, yes: bool) -> None:
    """Delete TABLE with its rows and sessions."""
    with target.connect() as hub:
        rows = hub.get_tesseract(table).info().row_count
        if not yes and not click.confirm(f"delete {table} with its {rows:,} rows?", err=True):
            raise click.Abort
        hub.remove_tesseract(table)
    click.echo(f"removed {table} and {rows:,} rows", err=True)


def _tell(what: str, result: AlterResult) -> None:
    """Says what came of it."""
    version = f" at version {result.version:,}" if result.version else ""
    rows = f": {result.rewritten_rows:,} rows written anew" if result.rewritten_rows else ""
    click.echo(f"{what}{version}{rows}", err=True)
    tell_ended(result.ended_sessions, result.ended_session_count)


def tell_ended(sessions: Sequence[EndedSession], count: int) -> None:
    """Names the sessions that end."""
    for session in sessions:
        click.echo(f"  ends session {session.name}: {session.message}", err=True)
    if count > len(sessions):
        click.echo(f"  and {count - len(sessions):,} more", err=True)
