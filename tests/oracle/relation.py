"""Rows in their own order, what names them, and how they sort."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Any

from tests.oracle.asks import Ask, Field, Moment, Row
from tests.oracle.expressions import evaluate
from tests.oracle.part import Part
from tests.oracle.question import By
from tests.oracle.truth import holds, rank


class Overflow(Exception):
    """A sum of integers has left INT64: whoever asked is refused, and a session ends."""


class Unlike(Exception):
    """The sources of a union have not the same columns: it means nothing, and a session that asks for it ends."""


@dataclass(frozen=True)
class Relation:
    """What a table, or a step of a query, holds. `key` names the columns that name a row, in their order. Rows stand in
    the order of insertion, or if they are `derived` in that of their key."""

    fields: tuple[Field, ...]
    key: tuple[str, ...]
    rows: list[Row]
    derived: bool = False

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def kept(self, ask: Ask | None, now: int) -> Relation:
        if ask is None:
            return self
        return replace(self, rows=[row for row in self.rows if holds(ask, row, self.fields, now) is True])

    def shown(self, columns: Sequence[str]) -> Relation:
        """Only these columns, and those of the key."""
        if not columns:
            return self
        names = [*(name for name in self.key if name not in columns), *columns]
        rows = [{name: row[name] for name in names} for row in self.rows]
        return replace(self, fields=tuple(self.field(name) for name in names), rows=rows)

    def sorted(self, sort: Iterable[By]) -> list[Row]:
        """In the order that was asked for, ties by key; in their own order when none was."""
        keys = [*sort]
        if not keys:
            return self.rows
        return self.by(self.rows, [*keys, *map(By, self.key)])

    def by_key(self) -> Relation:
        """What is derived and not inserted stands in the order of its key."""
        return replace(self, rows=self.by(self.rows, [By(name) for name in self.key]))

    def by(self, rows: Sequence[Row], keys: Sequence[By]) -> list[Row]:
        fields = {key.column: self.field(key.column) for key in keys}

        def compare(a: Row, b: Row) -> int:
            return next(filter(None, (order(key, fields[key.column], a, b) for key in keys)), 0)

        return sorted(rows, key=cmp_to_key(compare))

    def value(self, of: str | Part, row: Row, now: int) -> Any:
        """A column or an expression of a row."""
        return row[of] if isinstance(of, str) else evaluate(of, row, names_of(self.fields), now)


def derived(fields: tuple[Field, ...], key: set[str], rows: list[Row]) -> Relation:
    """Rows that have a key of their own: its columns stand in the order of all columns."""
    return Relation(fields, tuple(field.name for field in fields if field.name in key), rows, True).by_key()


def names_of(fields: Iterable[Field]) -> dict[str, tuple[str, ...]]:
    return {field.name: field.names for field in fields if field.type == "enum"}


def field_of(name: str, part: Part) -> Field:
    return Field(name, part.kind)


def same_key(value: Any) -> Any:
    """Equal for equal values: null is itself, NaN is itself, true is not 1."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return ("int" if isinstance(value, Moment) else type(value).__name__, value)


def order(by: By, field: Field, a: Row, b: Row) -> int:
    """-1, 0 or 1: nulls last in both directions unless they are to be first."""
    x, y = a[by.column], b[by.column]
    if x is None or y is None:
        return ((x is None) - (y is None)) * (-1 if by.nulls_first else 1)
    x, y = rank(field, x), rank(field, y)
    return ((x > y) - (x < y)) * (-1 if by.descending else 1)
