"""`tesseract-grpc migrate`: a table of a database, or what a query finds there, into a table of the hub.

What it does is `migrate_from` of the client; here are its options, a bar, and a file that makes the same command go on
where it was interrupted. The URL may hold a password, and a command line can be seen by everybody on the machine: in
the environment (TESSERACT_MIGRATE_FROM) it cannot.
"""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.cli.load_progress import LoadProgress
from tesseract_grpc.client import MigrationOptions, MigrationProgress, MigrationResult

BATCH = 5_000


@click.command()
@click.option(
    "--from",
    "url",
    required=True,
    envvar="TESSERACT_MIGRATE_FROM",
    show_envvar=True,
    metavar="URL",
    help="The database, as SQLAlchemy writes it: postgresql://user:password@host/db, sqlite:///file.db.",
)
@click.option("--table", help="The table or view, with its schema where that is not the usual one.")
@click.option("--query", metavar="SQL", help="Instead of a table: the rows of a SELECT. Needs --key and --to.")
@click.option("--to", metavar="NAME", help="The table in the hub.  [default: the table's name]")
@click.option("--key", metavar="COLUMNS", default="", help="The key columns.  [default: the primary key]")
@click.option("--batch", type=click.IntRange(1, 100_000), default=BATCH, show_default=True, help="Rows a commit.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Another name for a column.")
@click.option("--exclude", multiple=True, metavar="COLUMNS", help="Columns to leave out; commas join several.")
@click.option("--type", "types", multiple=True, metavar="COLUMN=TYPE", help="What a column becomes.")
@click.option(
    "--decimals",
    type=click.Choice(["exact", "string", "float"]),
    default="exact",
    show_default=True,
    help="Decimals of more than 15 digits: refuse, or make texts or doubles of them.",
)
@click.option(
    "--binary",
    type=click.Choice(["refuse", "base64"]),
    default="refuse",
    show_default=True,
    help="Bytes: refuse, or make base64 texts of them.",
)
@click.option(
    "--zero-dates",
    type=click.Choice(["refuse", "null"]),
    default="refuse",
    show_default=True,
    help="Zero dates of MySQL: refuse, or make null.",
)
@click.option("--timezone", default="UTC", show_default=True, help="The zone of times that have none.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where progress is kept until all is done.  [default: NAME.migration.json]",
)
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare both sides at the end.")
@click.option("--watch", is_flag=True, help="Then follow what changes, until Ctrl-C. Needs --updated-at.")
@click.option("--updated-at", metavar="COLUMN", help="The column that says when a row was written last.")
@click.option(
    "--every",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="While following: seconds between looks.",
)
@click.option(
    "--overlap",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="While following: how far looks go back, for transactions that commit late.",
)
@click.option(
    "--deletions-every",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="While following: compare all keys so often, and delete what is gone.  [default: never]",
)
@with_target
def migrate(
    target: Target,
    url: str,
    table: str | None,
    query: str | None,
    to: str | None,
    watch: bool,
    updated_at: str | None,
    state: Path | None,
    **given: Any,
) -> None:
    """Copy a table of a database into the hub, and compare both sides.

    Interrupted, the same command goes on where it was. With --watch it follows the database afterwards.
    """  # fmt: skip
    if (table is None) == (query is None):
        raise BadArgument("give --table or --query", field="--table", hint="one of them says what to migrate")
    if watch != (updated_at is not None):
        raise BadArgument("--watch and --updated-at belong together", field="--watch", hint="give both or none")
    name = to or (table or "").rpartition(".")[2]
    if not name:
        raise BadArgument("a query has no name for the table", field="--to", hint="name the table with --to")
    stopped = threading.Event()
    options: MigrationOptions = {
        **_options(given),
        "watch": updated_at,
        "state": state or Path(f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.migration.json"),
        "stop": stopped.is_set,
    }
    if query is not None:
        options["query"] = query
    bar = _Bar(name, stopped)
    with target.connect() as hub, bar:
        options["on_progress"] = bar.tell
        result = hub.migrate_from(url, table, to=name, **options)
        bar.close()
    for line in _lines(result, watch):
        click.echo(line, err=True)


def _options(given: dict[str, Any]) -> MigrationOptions:
    """The options that mean the same there, in the form that they have there."""
    made: Any = dict(given)
    made["key"] = _names((given["key"],)) if given["key"] else ()
    made["exclude"] = _names(given["exclude"])
    made["rename"] = _pairs(given["rename"], "--rename", "OLD=NEW")
    made["types"] = _pairs(given["types"], "--type", "COLUMN=TYPE")
    options: MigrationOptions = made
    return options


def _names(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for text in texts for name in text.split(","))


def _pairs(texts: tuple[str, ...], option: str, form: str) -> dict[str, str]:
    found = {}
    for text in texts:
        left, _, right = text.partition("=")
        if not left or not right:
            raise BadArgument(f"cannot read {text!r}", field=option, hint=f"write {form}")
        found[left] = right
    return found


class _Bar:
    """The bar while rows are copied, and lines while they are followed. Ctrl-C ends following in good order."""

    def __init__(self, name: str, stopped: threading.Event) -> None:
        self._name, self._stopped = name, stopped
        self._progress: LoadProgress | None = None
        self._shown = (0, 0)
        self._before: Any = None

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if self._progress is not None:
            self._progress.__exit__(kind, error, trace)
            self._progress = None

    def close(self) -> None:
        """The copy is through."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None

    def tell(self, progress: MigrationProgress) -> None:
        """What the migration says."""
        if progress.phase == "copying":
            if self._progress is None:
                self._progress = LoadProgress(self._name, progress.total)
                self._progress.begin_at(progress.rows)
                self._progress.__enter__()
            self._progress.reached(progress.rows)
        elif progress.phase == "following":
            self._follow(progress)

    def _follow(self, progress: MigrationProgress) -> None:
        self.close()
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, lambda *_: self._stopped.set())
            click.echo(f"following into {self._name}; Ctrl-C ends it", err=True)
        now = (progress.rows, progress.deleted)
        if now != self._shown:
            click.echo(f"followed: {now[0]:,} rows written, {now[1]:,} deleted", err=True)
            self._shown = now


def _lines(result: MigrationResult, watched: bool) -> list[str]:
    """What it came to."""
    lines = [f"warning: {warning}" for warning in result.warnings]
    resumed = f", {result.resumed_at:,} of them before it was interrupted" if result.resumed_at else ""
    equal = f"; both sides are equal at version {result.version}" if result.verified and not watched else ""
    lines.append(f"migrated {result.rows:,} rows into {result.table}{resumed}{equal}")
    if watched:
        lines.append(f"followed: {result.followed:,} rows written, {result.deleted:,} deleted")
    return lines
