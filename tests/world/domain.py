"""The tables and the values. Tiny on purpose: with eight keys and a handful of values, ties, nulls, NaN and rows that
come back happen all the time."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from tests.oracle.asks import Definition, Field, Moment
from tests.oracle.part import Part

ITEMS = Definition(
    "items",
    (
        Field("id", "int64", key=True),
        Field("n", "int64"),
        Field("x", "float64"),
        Field("s", "string"),
        Field("b", "bool"),
        Field("t", "timestamp"),
        Field("e", "enum", names=("low", "mid", "high")),
        Field("j", "json"),
        Field("d", "int64", default=1),
        Field("r", "string", required=True),
    ),
)
"""One key column, every type, a default, a required column."""

PAIRS = Definition(
    "pairs",
    (
        Field("side", "enum", key=True, names=("sell", "buy")),
        Field("n", "int64"),
        Field("part", "string", key=True),
        Field("x", "float64", required=True, default=0.5),
        Field("s", "string", default="b"),
    ),
)
"""A composite key whose first column sorts as declared (sell before buy), with another column in between."""


def column(name: str, kind: str) -> Part:
    return Part("column", kind, value=name)


def number(value: int) -> Part:
    return Part("literal", "int64", value=value)


NOW = Part("now", "timestamp")
TWICE = Part("*", "int64", (column("a", "int64"), number(2)))
TOTAL = Part("+", "int64", (column("twice", "int64"), column("d", "int64")))
LATE = Part("<", "bool", (column("t", "timestamp"), Part("-", "timestamp", (NOW, number(1000)))))
LABEL = Part("+", "string", (column("s", "string"), column("total", "int64")))
HALF = Part("/", "float64", (column("a", "int64"), number(2)))

LINES = Definition(
    "lines",
    (
        Field("id", "int64", key=True),
        Field("a", "int64"),
        Field("total", "int64", computed=TOTAL),
        Field("twice", "int64", computed=TWICE),
        Field("s", "string"),
        Field("label", "string", computed=LABEL),
        Field("t", "timestamp", default_of=NOW),
        Field("late", "bool", computed=LATE),
        Field("half", "float64", default_of=HALF),
        Field("d", "int64", default=1),
    ),
)
"""Columns that are worked out of others, of some that stand behind them, and of the time; defaults that are, too."""

TABLES = (ITEMS, PAIRS, LINES)

KEYS: dict[str, list[dict[str, Any]]] = {
    "items": [{"id": key} for key in (3, 1, 0, 7, 5, 2, 6, 4)],
    "pairs": [{"side": side, "part": part} for part in ("b", "a", "", "é") for side in ("buy", "sell")],
    "lines": [{"id": key} for key in (2, 0, 1, 5, 3, 4)],
}

WIDE: dict[str, list[dict[str, Any]]] = {
    "items": [{"id": key * 7 % 300 - 100} for key in range(300)],
    "pairs": [{"side": side, "part": f"{key:03}"} for key in range(150) for side in ("buy", "sell")],
    "lines": [{"id": key} for key in range(200)],
}
"""Many keys, for what engines do differently when batches and results are large."""

VALUES: dict[str, tuple[Any, ...]] = {
    "int64": (-2, -1, 0, 1, 2),
    "float64": (-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, math.nan, math.inf),
    "string": ("", "a", "A", "b", "ab", "aB%", "é", "\U0001f600"),
    "bool": (True, False),
    "timestamp": (-1, 0, 1, 2, 1_000_000, 2_500_000, 5_000_000),
    "json": ("{}", "[1, 2]", '"a"', "null", '["a", null, 2.5, [1], "é"]'),
}

HUGE = 2**63 - 1


def value(rng: Random, field: Field, nulls: float = 0.25) -> Any:
    """A value of the column, null every so often."""
    if rng.random() < nulls:
        return None
    if field.type == "string" and rng.random() < 0.08:
        return "".join(rng.choices("abé", k=rng.randint(2, 6)))  # dictionaries grow, in mid-order
    return rng.choice(field.names if field.type == "enum" else VALUES[field.type])


def literal(rng: Random, field: Field) -> Any:
    """A value to compare the column with, which may be one that the column cannot hold."""
    if field.type == "int64" and rng.random() < 0.15:
        return rng.choice((0.5, -1.0, HUGE, -HUGE - 1))
    if field.type == "float64" and rng.random() < 0.15:
        return rng.choice((0, 1, 2))
    drawn = value(rng, field, 0.0)
    return Moment(drawn) if field.type == "timestamp" else drawn
