"""`tesseract-grpc schema`: migrations of the schema in a directory of files, applied, taken back and looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from tesseract_grpc.cli.alter import tell_ended
from tesseract_grpc.cli.connection import Command, Target, with_target
from tesseract_grpc.cli.errors import CommandFailed
from tesseract_grpc.cli.output import Format, print_rows
from tesseract_grpc.client import AppliedMigration, EventHorizon, PlannedMigration, SchemaMigrator
from tesseract_grpc.client.evolve.files import FORMATS, new_file

COLUMNS = ("version", "name", "state", "applied_at", "seconds", "reversible", "error")
directory_argument = click.argument("directory", type=click.Path(file_okay=False, path_type=Path))


@click.group()
def schema() -> None:
    """Numbered migrations of the schema: a directory of 0001_add_email.py, .json or .toml."""


def _with_migrator(command: Command) -> Command:
    """Adds what says which migrations, and where their history is."""
    history = click.option("--history", default="schema_history", show_default=True, help="The table of the history.")
    wait = click.option(
        "--lock-timeout",
        type=click.FloatRange(0),
        default=30.0,
        show_default=True,
        help="Longest wait for another migrator, in seconds.",
    )
    decorated: Command = directory_argument(history(wait(with_target(command))))
    return decorated


def _migrator(hub: EventHorizon, directory: Path, history: str, lock_timeout: float) -> SchemaMigrator:
    return SchemaMigrator(hub, directory, history=history, lock_timeout=lock_timeout, on_progress=_tell)


def _tell(done: AppliedMigration) -> None:
    word = "applied" if done.direction == "up" else "took back"
    click.echo(f"{word} {done.version} {done.name} in {done.seconds:.2f} s", err=True)


def _finish(done: Sequence[AppliedMigration]) -> None:
    if not done:
        click.echo("nothing to do", err=True)


to_option = click.option(
    "--to", "target_version", type=click.IntRange(0), metavar="VERSION", help="The version to come to."
)
retry_option = click.option("--retry", is_flag=True, help="Call a function again that stopped in the middle.")


@schema.command()
@to_option
@retry_option
@_with_migrator
def up(target: Target, target_version: int | None, retry: bool, **where: Any) -> None:
    """Apply what is not applied: all of it, or up to a version."""
    with target.connect() as hub:
        _finish(_migrator(hub, **where).up(target_version, retry=retry))


@schema.command()
@to_option
@retry_option
@_with_migrator
def down(target: Target, target_version: int | None, retry: bool, **where: Any) -> None:
    """Take the newest back, or all above a version."""
    with target.connect() as hub:
        _finish(_migrator(hub, **where).down(target_version, retry=retry))


@schema.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a migration and line.")
@_with_migrator
def status(target: Target, as_json: bool, **where: Any) -> None:
    """Show how all migrations stand. Ends with 1 when one is neither applied nor pending."""
    with target.connect() as hub:
        found = _migrator(hub, **where).status()
    rows = [{name: getattr(each, name) for name in COLUMNS} for each in found]
    if not as_json:
        rows = [
            {**row, "reversible": "yes" if row["reversible"] else "no", "error": row["error"] or None} for row in rows
        ]
    print_rows(COLUMNS, rows, Format.JSON if as_json else Format.TABLE)
    if any(each.state not in ("applied", "pending") for each in found):
        raise click.exceptions.Exit(1)


@schema.command("dry-run")
@to_option
@_with_migrator
def dry_run(target: Target, target_version: int | None, **where: Any) -> None:
    """Show what would be done, up or down to a version, and have the server check what it can. Changes nothing."""
    with target.connect() as hub:
        planned = _migrator(hub, **where).dry_run(target_version)
    for each in planned:
        _show(each)
    problems = [problem for each in planned for problem in each.problems]
    if problems:
        raise CommandFailed(problems[0], reason="STEP_FAILED", hint="nothing was changed")
    if not planned:
        click.echo("nothing to do", err=True)


def _show(planned: PlannedMigration) -> None:
    click.echo(f"{planned.direction} {planned.version} {planned.name}")
    for step in planned.steps:
        verdict = "not checked" if not step.checked else f"refused: {step.problem}" if step.problem else "fits"
        rows = f", {step.rewritten_rows:,} rows written anew" if step.rewritten_rows else ""
        click.echo(f"  {step.text}  [{verdict}{rows}]")
        tell_ended(step.ended_sessions, len(step.ended_sessions))


@schema.command()
@_with_migrator
@click.argument("version", type=click.IntRange(1))
@click.argument("state", type=click.Choice(["applied", "pending"]))
def mark(target: Target, version: int, state: str, **where: Any) -> None:
    """Note that VERSION of DIRECTORY is applied or pending, without running it: after you have seen to it by hand."""
    with target.connect() as hub:
        _migrator(hub, **where).mark(version, state)
    click.echo(f"{version} is {state}", err=True)


@schema.command()
@directory_argument
@click.argument("name")
@click.option("--table", default="TABLE", help="The table that its steps are about.")
@click.option("--format", type=click.Choice(FORMATS), default="py", show_default=True, help="The form of the file.")
def new(directory: Path, name: str, table: str, format: str) -> None:
    """Make the next migration of DIRECTORY, to be filled in."""
    click.echo(str(new_file(directory, name, table=table, format=format)))
