"""`tesseract-grpc query`: the rows that a query has now."""

from __future__ import annotations

import click

from tesseract_grpc.cli.columns import Columns
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.output import Format, print_rows
from tesseract_grpc.cli.question import Question, with_question

DEFAULT_LIMIT = 100
"""What a person gets who does not say how much; programs get everything."""


@click.command()
@click.argument("table")
@with_question
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row and line.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header.")
@with_target
def query(target: Target, question: Question, table: str, as_json: bool, as_csv: bool) -> None:
    """Show the rows of TABLE that satisfy the conditions now.

    As a table, at most 100 rows are shown unless --limit says otherwise; --json and --csv write all of them.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    style = Format.JSON if as_json else Format.CSV if as_csv else Format.TABLE
    limit = DEFAULT_LIMIT if question.limit is None and style is Format.TABLE else question.limit
    with target.connect() as hub:
        found = hub.get_tesseract(table)
        columns = Columns.of(table, found.columns)
        rows = found.query(**question.query(columns), start=question.offset, limit=limit)
    print_rows(question.chosen(columns) or rows.columns, rows, style)
    if style is Format.TABLE:
        click.echo(f"{len(rows):,} of {rows.total_count:,} rows at version {rows.version}", err=True)
