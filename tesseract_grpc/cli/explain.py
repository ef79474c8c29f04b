"""`tesseract-grpc explain`: how a session or a query is evaluated and maintained."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import IO

import click

from tesseract_grpc.cli.columns import Columns
from tesseract_grpc.cli.connection import Target, with_target
from tesseract_grpc.cli.errors import CommandFailed
from tesseract_grpc.cli.query_file import read_query
from tesseract_grpc.cli.question import Question, with_question
from tesseract_grpc.client import EventHorizon, NotFound, Plan


@click.command()
@click.argument("name", metavar="SESSION-OR-TABLE", required=False)
@with_question
@click.option("--table", "insist", is_flag=True, help="The name is a table's, even if a session has it too.")
@click.option("--json-query", "file", type=click.File(), help="Explain this query, JSON as the Python client takes it.")
@click.option("--json", "as_json", is_flag=True, help="The plan as one JSON object.")
@with_target
def explain(
    target: Target, question: Question, name: str | None, insist: bool, file: IO[str] | None, as_json: bool
) -> None:
    """Show how a session is maintained, or how a query over a table would be.

    A line a step: what it does, its rows, the index that it used, the condition by which commits find it, the time that
    it took, and how many sessions share it. A step reads those below it that stand further in. A query is evaluated to
    tell.
    """
    if (name is None) == (file is None):
        raise click.UsageError("name a SESSION-OR-TABLE, or a file with --json-query")
    with target.connect() as hub:
        plan = hub.explain(**read_query(file)) if file is not None else _explained(hub, name or "", question, insist)
    if as_json:
        click.echo(json.dumps({"version": plan.version, "plan": asdict(plan.step)}))
    else:
        click.echo(plan.text)
        click.echo(f"at version {plan.version}", err=True)


def _explained(hub: EventHorizon, name: str, question: Question, insist: bool) -> Plan:
    """The plan of a session; else that of a query over a table."""
    if not insist and not question.asks:
        try:
            return hub.get_session(name).explain()
        except NotFound:
            pass
    try:
        columns = Columns.of(name, hub.get_tesseract(name).columns)
    except NotFound as error:
        what = "table" if insist or question.asks else "session or table"
        raise CommandFailed(
            f'there is no {what} "{name}"', reason=error.reason, hint="`tesseract-grpc tables` lists the tables"
        ) from error
    return hub.explain(table=name, **question.query(columns))
