"""Window columns worked out row by row, as the contract says what they are. It shares nothing with the engine."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One sort key."""

    column: str
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True)
class Ask:
    """One window column."""

    name: str
    function: str
    column: str = ""
    partition_by: tuple[str, ...] = ()
    order_by: tuple[Order, ...] = ()
    offset: int = 1
    rows: int | None = None


class Overflow(Exception):
    """A sum of whole numbers does not fit."""


def level(value: Any, ranks: dict[str, int] | None) -> tuple[int, Any]:
    """A value as something that compares: NaN above every number, names of an enum by declaration."""
    if isinstance(value, float) and math.isnan(value):
        return 1, 0
    return 0, ranks[value] if ranks else value


class Windows:
    """The window columns of rows that stand in the order of insertion."""

    def __init__(self, rows: Sequence[Row], key: tuple[str, ...], enums: dict[str, dict[str, int]]) -> None:
        self.rows = rows
        self.key = key
        self.enums = enums

    def answer(self, ask: Ask) -> dict[tuple[Any, ...], Any]:
        """The values of a window column by key."""
        parts: dict[str, list[Row]] = {}
        for row in self.rows:
            parts.setdefault(repr([row[name] for name in ask.partition_by]), []).append(row)
        found: dict[tuple[Any, ...], Any] = {}
        for part in parts.values():
            ordered = self.ordered(part, ask.order_by)
            for place, row in enumerate(ordered):
                found[tuple(row[name] for name in self.key)] = self.value(ask, ordered, place)
        return found

    def ordered(self, part: list[Row], order: tuple[Order, ...]) -> list[Row]:
        if not order:
            return part
        names = [*order, *(Order(name) for name in self.key)]

        def compare(a: Row, b: Row) -> int:
            return self.compare(a, b, names)

        return sorted(part, key=functools.cmp_to_key(compare))

    def compare(self, a: Row, b: Row, order: Sequence[Order]) -> int:
        for by in order:
            one, other = a[by.column], b[by.column]
            if one is None or other is None:
                if (one is None) != (other is None):
                    return -1 if (one is None) == by.nulls_first else 1
                continue
            mine, theirs = (level(value, self.enums.get(by.column)) for value in (one, other))
            if mine != theirs:
                return -1 if (mine < theirs) != by.descending else 1
        return 0

    def value(self, ask: Ask, part: list[Row], place: int) -> Any:
        if ask.function == "ROW_NUMBER":
            return place + 1
        if ask.function in ("RANK", "DENSE_RANK"):
            before = [row for row in part[:place] if self.compare(row, part[place], ask.order_by) != 0]
            if ask.function == "RANK":
                return len(before) + 1
            return len({repr([row[by.column] for by in ask.order_by]) for row in before}) + 1
        if ask.function in ("LAG", "LEAD"):
            other = place - ask.offset if ask.function == "LAG" else place + ask.offset
            return part[other][ask.column] if 0 <= other < len(part) else None
        rows = part[0 if ask.rows is None else max(0, place + 1 - ask.rows) : place + 1]
        if not ask.column:
            return len(rows)
        return self.aggregate(ask, [row[ask.column] for row in rows if row[ask.column] is not None])

    def aggregate(self, ask: Ask, values: list[Any]) -> Any:
        if ask.function == "COUNT":
            return len(values)
        if not values:
            return None
        if ask.function in ("MIN", "MAX"):
            pick = min if ask.function == "MIN" else max
            return pick(values, key=lambda value: level(value, self.enums.get(ask.column)))
        return total(values) if ask.function == "SUM" else mean(values)


def total(values: list[Any]) -> Any:
    if isinstance(values[0], int):
        found = sum(values)
        if not -(2**63) <= found < 2**63:
            raise Overflow
        return found
    odd = [value for value in values if not math.isfinite(value)]
    if odd:
        return sum(odd)
    return rounded(sum(map(Fraction, values), Fraction()))


def mean(values: list[Any]) -> float:
    if isinstance(values[0], float) and not all(map(math.isfinite, values)):
        return float(total(values))
    exact = sum(map(Fraction, values), Fraction())
    head = rounded(exact)
    return rounded(exact / len(values)) if math.isinf(head) else head / len(values) + 0.0


def rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
