"""The columns of a table, as much as the command line needs to know of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from tesseract_grpc.cli.errors import BadArgument


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the name of its type in lower case ("int64"), and the names that an enum allows."""

    name: str
    type: str
    primary_key: bool = False
    enum_values: tuple[str, ...] = ()


class Columns:
    """The columns of one table, by name. Looking up one that is not there says what was probably meant."""

    def __init__(self, table: str, columns: Iterable[Column]) -> None:
        self.table = table
        self._columns = {column.name: column for column in columns}

    @classmethod
    def of(cls, table: str, described: Iterable[Mapping[str, Any]]) -> Self:
        """From the client's description of columns, as `Tesseract.columns` gives it."""
        return cls(
            table,
            (
                Column(each["name"], each["type"], each.get("primary_key", False), tuple(each.get("enum", ())))
                for each in described
            ),
        )

    def renamed(self, names: Iterable[str]) -> Columns:
        """The columns of a result: those of the table among `names`, and others of which no more is known."""
        return Columns(self.table, (self._columns.get(name, Column(name, "")) for name in names))

    def __iter__(self) -> Iterator[Column]:
        return iter(self._columns.values())

    def find(self, name: str, field: str) -> Column:
        """The column `name`; `field` is the part of the command line that named it."""
        column = self._columns.get(name)
        if column is None:
            raise BadArgument(
                f'table "{self.table}" has no column "{name}"',
                reason="UNKNOWN_COLUMN",
                field=field,
                hint=closest(name, self._columns) or f"its columns are {', '.join(self._columns)}",
            )
        return column


def closest(name: str, known: Iterable[str]) -> str:
    """A hint that names what `name` may have meant, or ""."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f'did you mean "{found[0]}"?' if found else ""
