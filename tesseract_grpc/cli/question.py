"""The options that say what is asked of a table: conditions, order, columns, and how many rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import click

from tesseract_grpc.cli.assignment import read_assignments
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
    click.option("--where", metavar="EXPRESSION", help="Keep the rows for which an expression is true."),
    click.option(
        "--compute",
        "computes",
        multiple=True,
        metavar="NAME=EXPRESSION",
        help="Add a column that is worked out for each row, for example 'worth=price * qty'.",
    ),
    click.option(
        "--group-by",
        "groups",
        multiple=True,
        metavar="NAMES",
        help="Make one row of all rows with equal values in these columns; commas join several.",
    ),
    click.option(
        "--aggregate",
        "aggregates",
        multiple=True,
        metavar="NAME=FUNCTION",
        help="Add to each group, for example 'n=count' or 'total=sum(price * qty)'.",
    ),
    click.option("--having", metavar="EXPRESSION", help="Keep the groups for which an expression is true."),
    click.option("--rollup", is_flag=True, help="With --group-by: the groups on every level, as a tree."),
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
    where: str | None
    computes: tuple[str, ...]
    groups: tuple[str, ...]
    aggregates: tuple[str, ...]
    having: str | None
    rollup: bool
    sorts: tuple[str, ...]
    names: tuple[str, ...]
    offset: int
    limit: int | None

    @property
    def asks(self) -> bool:
        """Whether it says more than which rows and columns of the order to show."""
        texts = (self.filters, self.where, self.computes, self.groups, self.aggregates, self.having, self.rollup)
        return any(texts) or bool(self.sorts)

    def chosen(self, columns: Columns) -> tuple[str, ...]:
        """The columns to show, in order; empty for all."""
        known = self._result(columns)
        return tuple(dict.fromkeys(known.find(name, "--columns").name for name in _split(self.names)))

    def query(self, columns: Columns) -> dict[str, Any]:
        """The arguments of the client's `query` and `create_session`."""
        filters: list[Any] = [*read_filters(self.filters, columns)]
        if self.where is not None:
            filters.append({"type": "custom", "value": self.where})
        asked: dict[str, Any] = {
            "filter": filters,
            "sort": read_sort(self.sorts, self._result(columns)),
            "columns": list(self.chosen(columns)),
            "computed": read_assignments(self.computes, "--compute"),
        }
        if self.groups or self.aggregates:
            asked["group_by"] = self._by(columns)
            asked["aggregates"] = read_assignments(self.aggregates, "--aggregate")
            asked["mode"] = "rollup" if self.rollup else "flat"
            asked["having"] = self.having
        elif self.rollup or self.having is not None:
            raise click.UsageError("--rollup and --having need --group-by or --aggregate")
        return asked

    def _by(self, columns: Columns) -> list[str]:
        """The columns that make groups."""
        known = columns.renamed([*(column.name for column in columns), *read_assignments(self.computes, "--compute")])
        return [known.find(name, "--group-by").name for name in _split(self.groups)]

    def _result(self, columns: Columns) -> Columns:
        """The columns that a sort and a choice may name: those of the groups, or of the rows."""
        if self.groups or self.aggregates:
            level = ["level"] if self.rollup else []
            aggregates = read_assignments(self.aggregates, "--aggregate")
            return columns.renamed([*level, *self._by(columns), *aggregates])
        computed = read_assignments(self.computes, "--compute")
        return columns.renamed([*(column.name for column in columns), *computed])


def _split(texts: tuple[str, ...]) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for part in texts for name in part.split(",")]


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
