"""`tesseract-grpc import`: a file of rows into a table.

The file is looked at first, all of it, and what was found is shown before anything is sent: every column with the type
that it gets, and the key. Then the rows go over one stream in batches. Each batch is a commit of its own, and the next
is sent when it has been made. So a batch that is refused ends the load, the ones before it are in, none after it is,
and the last line says how many rows that are. (With more batches under way it would be a third faster and less clear.)
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import click

from tesseract_grpc.cli.columns import Column
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.data_file import DataFile
from tesseract_grpc.cli.errors import BadArgument, CommandFailed
from tesseract_grpc.cli.inference import TYPES, FileColumn, convert, infer_columns
from tesseract_grpc.cli.key_choice import KeyChoice, choose_key, numbered
from tesseract_grpc.cli.load_progress import LoadProgress
from tesseract_grpc.client import EventHorizon, NotFound, Tesseract, TesseractError
from tesseract_grpc.client.backup.table_names import table_id

Mode = Literal["insert", "upsert"]

DEFAULT_BATCH_ROWS = 10_000


@click.command(name="import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--table", "table_name", help="The table.  [default: the file's name]")
@click.option("--key", "keys", multiple=True, metavar="COLUMNS", help="The key columns; commas join several.")
@click.option("--type", "types", multiple=True, metavar="COLUMN=TYPE", help=f"A column's type: {', '.join(TYPES)}.")
@click.option("--exclude", multiple=True, metavar="COLUMNS", help="Columns to leave out; commas join several.")
@click.option(
    "--mode",
    type=click.Choice(["insert", "upsert"]),
    default="insert",
    show_default=True,
    help="What a key that exists does: refuse the batch, or have its row replaced.",
)
@click.option("--batch-rows", type=click.IntRange(1, 100_000), default=DEFAULT_BATCH_ROWS, show_default=True)
@click.option("--dry-run", is_flag=True, help="Only show what was found in the file.")
@with_target
def import_file(
    target: Target,
    path: Path,
    table_name: str | None,
    keys: tuple[str, ...],
    types: tuple[str, ...],
    exclude: tuple[str, ...],
    mode: Mode,
    batch_rows: int,
    dry_run: bool,
) -> None:
    """Load FILE into a table, which is created when it does not exist.

    The end of the file's name says what it is: .csv .tsv .jsonl .ndjson .json (JSON lines) .parquet .pq
    """
    if importlib.util.find_spec("pyarrow") is None:
        hint = "pip install 'tesseract-grpc[arrow]'"
        raise CommandFailed("reading files needs pyarrow", reason="PACKAGE_MISSING", hint=hint)
    name = table_name or table_id(path)
    file = DataFile.open(path, _types(types))
    file.look()
    left_out = set(_split(exclude))
    columns = infer_columns(_without(file.schema, left_out), file.overrides)
    key = choose_key(file, columns, name, tuple(_split(keys)))
    _announce(file, name, columns, key)
    if dry_run:
        return
    with target.connect() as hub:
        _load(hub, file, name, columns, key, mode, batch_rows)


def _types(texts: tuple[str, ...]) -> dict[str, str]:
    """`COLUMN=TYPE` as a dict."""
    found = {}
    for text in texts:
        column, _, kind = text.rpartition("=")
        if not column or kind not in TYPES:
            raise BadArgument(
                f"cannot read {text!r}", field="--type", hint=f"write COLUMN=TYPE; types: {', '.join(TYPES)}"
            )
        found[column] = kind
    return found


def _split(texts: tuple[str, ...]) -> list[str]:
    return [name.strip() for text in texts for name in text.split(",")]


def _without(schema: Any, names: set[str]) -> Any:
    """The schema without some columns. Raises BadArgument for one that is not there."""
    import pyarrow as pa

    unknown = names - set(schema.names)
    if unknown:
        hint = f"its columns are {', '.join(schema.names)}"
        raise BadArgument(
            f'the file has no column "{min(unknown)}"', reason="UNKNOWN_COLUMN", field="--exclude", hint=hint
        )
    return pa.schema([field for field in schema if field.name not in names])


def _announce(file: DataFile, table: str, columns: list[FileColumn], key: KeyChoice) -> None:
    """What was found, on stderr."""
    click.echo(f"{file.path.name}: {file.format}, {file.row_count:,} rows, into table {table}", err=True)
    width = max(len(column.name) for column in columns) if columns else 0
    for column in columns:
        mark = "  key" if column.name in key.columns else ""
        click.echo(f"  {column.name:<{width}}  {column.type:<9}  (in the file: {column.file_type}){mark}", err=True)
    click.echo(f"  key: {', '.join(key.columns)} ({key.why})", err=True)


def _load(
    hub: EventHorizon, file: DataFile, name: str, columns: list[FileColumn], key: KeyChoice, mode: Mode, batch_rows: int
) -> None:
    table = _table(hub, name, columns, key)
    before = table.info().row_count
    with LoadProgress(name, file.row_count) as progress:
        batches = _batches(file, table, columns, key, batch_rows)
        try:
            result = table.ingest(_told(batches, progress), kind=mode, batch_rows=batch_rows, in_flight=1)
        except Exception:
            with suppress(TesseractError):  # If the server is gone, the first error says so.
                progress.done = table.info().row_count - before
            raise
        progress.done = result.total.inserted + result.total.updated


def _table(hub: EventHorizon, name: str, columns: list[FileColumn], key: KeyChoice) -> Tesseract:
    """The table, made now if need be. One that exists must have the file's columns."""
    try:
        table = hub.get_tesseract(name)
    except NotFound:
        number = [{"name": key.columns[0], "type": "int64", "primary_key": True}] if key.numbered else []
        described = [
            {"name": column.name, "type": column.type, "primary_key": column.name in key.columns} for column in columns
        ]
        order = {each: at for at, each in enumerate(key.columns)}  # The key's order is that of its columns.
        described.sort(key=lambda column: order.get(str(column["name"]), len(order)))
        return hub.create_tesseract(name, number + described)
    known = {column["name"] for column in table.columns}
    missing = [column.name for column in columns if column.name not in known]
    if missing:
        raise CommandFailed(
            f'table "{name}" exists and has no column "{missing[0]}"',
            reason="UNKNOWN_COLUMN",
            hint="leave the column out with --exclude, or load into another table with --table",
        )
    return table


def _batches(file: DataFile, table: Tesseract, columns: list[FileColumn], key: KeyChoice, rows: int) -> Iterator[Any]:
    """The file's batches with the types of the table."""
    types = {column["name"]: column["type"] for column in table.columns}
    wanted = [Column(column.name, types[column.name]) for column in columns]
    batches = (convert(batch, wanted) for batch in file.batches(rows, [column.name for column in columns]))
    return numbered(batches, key.columns[0]) if key.numbered else batches


def _told(batches: Iterator[Any], progress: LoadProgress) -> Iterator[Any]:
    """The batches; when the next one is asked for, the one before is on its way."""
    for batch in batches:
        yield batch
        progress.advance(batch.num_rows)
