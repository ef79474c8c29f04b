"""Rows on stdout: a table for people, JSON lines or CSV for programs. Everything else belongs on stderr."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tesseract_grpc.cli.cell import as_csv, as_text, json_line

UNLIMITED_WIDTH = 10_000
"""The width of "paper": what is piped into a file is not cut to the width of a terminal that is not there."""


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def stdout_console() -> Console:
    """rich on the present stdout; as wide as needed when that is not a terminal."""
    if sys.stdout.isatty():
        return Console(file=sys.stdout)
    return Console(file=sys.stdout, width=UNLIMITED_WIDTH, color_system=None)


def print_rows(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], style: Format) -> None:
    """Writes the rows to stdout."""
    if style is Format.JSON:
        for row in rows:
            sys.stdout.write(json_line({name: row.get(name) for name in columns}) + "\n")
    elif style is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([as_csv(row.get(name)) for name in columns] for row in rows)
    else:
        stdout_console().print(make_table(columns, rows))
    sys.stdout.flush()


def make_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], title: str = "") -> Table:
    """The rows as a rich table; numbers to the right."""
    shown = list(rows)
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in columns:
        values = [row.get(name) for row in shown]
        numeric = any(is_number(value) for value in values)
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="ellipsis", no_wrap=True)
    for row in shown:
        table.add_row(*(Text(as_text(row.get(name))) for name in columns))
    return table


def is_number(value: Any) -> bool:
    """Whether a cell holds a number; bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
