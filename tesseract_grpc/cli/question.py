"""The options that say what is asked of a table: conditions, order, columns, and how many rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from tesseract_grpc.cli.columns import Columns
from tesseract_grpc.cli.condition import OPERATORS, read_filters
from tesseract_grpc.cli.sort_key import read_sort

Command = Callable[..., Any]

OPTIONS = (
    click.option(
        "--filter",
        "filters",
        multiple=True,
        metavar="CONDITION",
        help="Keep the rows with COLUMN OPERATOR VALUE; several are joined by 'and'. "
        f"Operators: {' '.join(OPERATORS)}. Or a tree as JSON.",
    ),
    click.option(
        "--sort",
        "sorts",
        multiple=True,
        metavar="KEY",
        help="COLUMN, -COLUMN or COLUMN:desc, with :nulls_first where nulls shall lead; commas join several.",
    ),
    click.option(
        "--columns", "names", multiple=True, metavar="NAMES", help="The columns to show; commas join several."
    ),
    click.option("--offset", type=click.IntRange(min=0), default=0, help="Leave this many rows out at the start."),
    click.option("--limit", type=click.IntRange(min=0), help="At most this many rows."),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What the command line asks for, before it is known what the table's columns are."""

    filters: tuple[str, ...]
    sorts: tuple[str, ...]
    names: tuple[str, ...]
    offset: int
    limit: int | None

    @property
    def asks(self) -> bool:
        """Whether it says more than which rows of the order to show."""
        return bool(self.filters or self.sorts or self.names)

    def chosen(self, columns: Columns) -> tuple[str, ...]:
        """The columns to show, in order; empty for all."""
        names = [name.strip() for part in self.names for name in part.split(",")]
        return tuple(dict.fromkeys(columns.find(name, "--columns").name for name in names))

    def query(self, columns: Columns) -> dict[str, Any]:
        """The arguments of the client's `query` and `create_session`."""
        return {
            "filter": read_filters(self.filters, columns),
            "sort": read_sort(self.sorts, columns),
            "columns": list(self.chosen(columns)),
        }


def with_question(command: Command) -> Command:
    """Adds the options to a command, which gets them as one `question: Question`."""

    @functools.wraps(command)
    def run(**given: Any) -> Any:
        question = Question(**{field.name: given.pop(field.name) for field in fields(Question)})
        return command(question=question, **given)

    decorated: Command = run
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated
