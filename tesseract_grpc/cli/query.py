"""`tesseract-grpc query`: the rows that a query has now."""

from __future__ import annotations

from typing import IO

import click

from tesseract_grpc.cli.columns import Columns
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.output import Format, print_rows
from tesseract_grpc.cli.query_file import read_query
from tesseract_grpc.cli.question import Question, with_question

DEFAULT_LIMIT = 100
"""What a person gets who does not say how much; programs get everything."""


@click.command()
@click.argument("table", required=False)
@with_question
@click.option("--json-query", "file", type=click.File(), help="Ask this query, JSON as the Python client takes it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row and line.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header.")
@with_target
def query(
    target: Target, question: Question, table: str | None, file: IO[str] | None, as_json: bool, as_csv: bool
) -> None:
    """Show the rows of TABLE that satisfy the conditions now, or groups of them.

    As a table, at most 100 rows are shown unless --limit says otherwise; --json and --csv write all of them.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if (table is None) == (file is None):
        raise click.UsageError("name a TABLE, or a file with --json-query")
    if file is not None and (question.asks or question.names):
        raise click.UsageError("--json-query says the whole query; of the options only --offset and --limit go with it")
    style = Format.JSON if as_json else Format.CSV if as_csv else Format.TABLE
    limit = DEFAULT_LIMIT if question.limit is None and style is Format.TABLE else question.limit
    with target.connect() as hub:
        if table is not None:
            columns = Columns.of(table, hub.get_tesseract(table).columns)
            asked, chosen = {"table": table, **question.query(columns)}, question.chosen(columns)
        elif file is not None:
            asked, chosen = read_query(file), ()
        rows = hub.query(**asked, start=question.offset, limit=limit)
    print_rows(chosen or rows.columns, rows, style)
    if style is Format.TABLE:
        click.echo(f"{len(rows):,} of {rows.total_count:,} rows at version {rows.version}", err=True)
