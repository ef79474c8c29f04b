"""`tesseract-grpc restore`: tables and sessions from a backup, or a table from a file of rows.

What it does is `restore` of the client; here are its options, a bar, and what was inferred, for people. A file can be
checked without a hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tesseract_grpc.cli.backup_bar import BackupBar
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.client import BackupInfo, InferredTable, RestoreOptions, check_backup


@click.command()
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table of it; may be repeated.")
@click.option("--as", "new_name", metavar="NAME", help="The name of the table, where it is one.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Another name for a table; may be repeated.")
@click.option("--rename-session", "rename_sessions", multiple=True, metavar="OLD=NEW", help="The same for a session.")
@click.option("--sessions/--no-sessions", default=None, help="With the sessions.  [default: unless --table is given]")
@click.option("--replace", is_flag=True, help="Exchange tables that exist, in one step each, when all rows are there.")
@click.option("--format", metavar="FORMAT", help="container, parquet, json, jsonl or csv.  [default: by the name]")
@click.option("--type", "types", multiple=True, metavar="COLUMN=TYPE", help="What an inferred column is instead.")
@click.option("--key", metavar="COLUMNS", default="", help="The key columns, where none is known; commas join several.")
@click.option("--verify", is_flag=True, help="Read everything back and compare, before anybody sees it.")
@click.option("--check", "check_only", is_flag=True, help="Only read FILE through, without a hub: is it whole?")
@click.option("--dry-run", is_flag=True, help="Check FILE and the names in the hub, and change nothing.")
@click.option("--discard", is_flag=True, help="Without FILE: remove what killed restores have left.")
@with_target
def restore(
    target: Target,
    path: Path | None,
    new_name: str | None,
    check_only: bool,
    discard: bool,
    **given: Any,
) -> None:
    """Restore FILE into a hub: a backup, or rows as .csv .jsonl .json .parquet, whose columns are inferred.

    FILE is read through first; one that was cut off or altered is refused, and nothing has changed. Nobody sees a table
    before all of its rows are there.
    """
    if (path is None) != discard:
        raise BadArgument("give FILE or --discard", field="FILE", hint="one of them says what to do")
    if path is None:
        with target.connect() as hub:
            for name in hub.discard_restores():
                click.echo(f"removed {name}", err=True)
        return
    if check_only:
        _say_what_it_is(check_backup(path, format=given["format"]))
        return
    bar = BackupBar()
    with target.connect() as hub, bar:
        options = _options(given, new_name)
        options["on_progress"] = bar.tell
        result = hub.restore(path, **options)
    if result.inferred is not None:
        _say_what_was_inferred(result.inferred)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    for name, rows in result.tables.items():
        click.echo(f"  {name}: {rows:,} rows", err=True)
    if given["dry_run"]:
        click.echo(f"would restore {result.rows:,} rows; nothing was changed", err=True)
        return
    compared = ", compared" if result.verified else ""
    rate = result.rows / max(result.seconds, 1e-9)
    click.echo(
        f"restored {result.rows:,} rows and {len(result.sessions)} sessions in {result.seconds:.1f} s,"
        f" {rate:,.0f} rows/s{compared}; version {result.version}",
        err=True,
    )


def _options(given: dict[str, Any], new_name: str | None) -> RestoreOptions:
    """The options in the form that they have in the client."""
    renamed = _pairs(given["rename"], "--rename", "OLD=NEW")
    if new_name is not None and renamed:
        raise BadArgument("--as and --rename exclude each other", field="--as", hint="--as is for one table")
    options: RestoreOptions = {
        "tables": list(given["tables"]) or None,
        "rename": new_name if new_name is not None else renamed or None,
        "rename_sessions": _pairs(given["rename_sessions"], "--rename-session", "OLD=NEW"),
        "sessions": given["sessions"],
        "replace": given["replace"],
        "format": given["format"],
        "columns": _pairs(given["types"], "--type", "COLUMN=TYPE") or None,
        "key": tuple(name.strip() for name in given["key"].split(",")) if given["key"] else None,
        "verify": given["verify"],
        "dry_run": given["dry_run"],
    }
    return options


def _pairs(texts: tuple[str, ...], option: str, form: str) -> dict[str, str]:
    found = {}
    for text in texts:
        left, _, right = text.rpartition("=")
        if not left or not right:
            raise BadArgument(f"cannot read {text!r}", field=option, hint=f"write {form}")
        found[left] = right
    return found


def _say_what_it_is(info: BackupInfo) -> None:
    """What a file holds, on stdout."""
    whole = "whole" if info.checked else "readable; it has no checksum"
    click.echo(f"{info.path.name}: {info.format}, {info.bytes:,} bytes, {whole}")
    if info.version:
        when = "" if info.time is None else f", {info.time.isoformat(timespec='seconds')}"
        click.echo(f"hub {info.hub}, version {info.version}, epoch {info.epoch}{when}")
    for name, rows in info.tables.items():
        click.echo(f"  {name}: {rows:,} rows")
    if info.sessions:
        click.echo(f"sessions: {', '.join(info.sessions)}")
    if info.inferred is not None:
        _say_what_was_inferred(info.inferred)


def _say_what_was_inferred(inferred: InferredTable) -> None:
    """On stderr."""
    width = max((len(column.name) for column in inferred.columns), default=0)
    for column in inferred.columns:
        mark = "  key" if column.name in inferred.key else ""
        click.echo(f"  {column.name:<{width}}  {column.type:<9}  ({column.why}){mark}", err=True)
        for doubt in column.doubts:
            click.echo(f"  {'':<{width}}  doubt: {doubt}", err=True)
    click.echo(f"  key: {', '.join(inferred.key)} ({inferred.key_why})", err=True)
