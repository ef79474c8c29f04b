"""Random expressions over the columns of a relation, as trees of known kinds."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.oracle.asks import Field
from tests.oracle.part import Part

LITERALS: dict[str, tuple[Any, ...]] = {
    "int64": (-2, -1, 0, 1, 2, 3),
    "float64": (-0.5, 0.5, 1.0, 2.0),
    "string": ("", "a", "A", "ab", "é"),
    "bool": (True, False),
}
KINDS = ("int64", "float64", "string", "bool", "timestamp")
SAME = tuple((op, kind, kind) for op in ("==", "!=", "<", "<=", ">", ">=") for kind in ("int64", "float64", "string"))
CALLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "int64": (
        ("+", "int64", "int64"), ("-", "int64", "int64"), ("*", "int64", "int64"), ("negate", "int64"),
        ("?:", "bool", "int64", "int64"), ("??", "int64", "int64"), ("length", "string"),
        ("Math.max", "int64", "int64"), ("Math.min", "int64", "int64"), ("getTime", "timestamp"), ("length", "json"),
    ),
    "float64": (
        ("/", "int64", "int64"), ("+", "float64", "int64"), ("-", "float64", "float64"), ("*", "float64", "float64"),
        ("?:", "bool", "float64", "float64"), ("??", "float64", "int64"), ("-", "timestamp", "timestamp"),
    ),
    "string": (
        ("+", "string", "string"), ("+", "string", "int64"), ("+", "bool", "string"), ("+", "float64", "string"),
        ("toUpperCase", "string"), ("toLowerCase", "string"), ("?:", "int64", "string", "string"),
        ("??", "string", "string"), ("String", "int64"),
    ),
    "bool": (
        *SAME, ("<", "int64", "float64"), ("==", "bool", "bool"), ("<", "timestamp", "timestamp"),
        (">=", "timestamp", "timestamp"), ("is null", "int64"), ("is not null", "string"), ("is null", "timestamp"),
        ("&&", "bool", "bool"), ("||", "bool", "bool"), ("&&", "bool", "string"), ("||", "int64", "string"),
        ("!", "bool"), ("!", "string"), ("!", "float64"), ("in", "int64", "int64", "int64"),
        ("~", "string", "string"), ("is null", "json"), ("is not null", "json"),
        ("some", "json", "int64"), ("every", "json", "int64"), ("includes", "json", "string"),
    ),
    "timestamp": (
        ("bucket", "timestamp"), ("??", "timestamp", "timestamp"), ("+", "timestamp", "int64"),
        ("-", "timestamp", "int64"), ("?:", "bool", "timestamp", "timestamp"),
    ),
    "json": (
        ("[0]", "json"), ("find", "json", "int64"), ("filter", "json", "string"), ("map", "json", "int64"),
        ("reduce", "json", "int64"), ("reduce", "json", "string"),
    ),
}  # fmt: skip


def part(rng: Random, fields: Sequence[Field], kind: str, depth: int = 2, now: bool = True) -> Part:
    """An expression of a kind; over a column wherever there is one."""
    if depth == 0 or rng.random() < 0.2:
        return leaf(rng, fields, kind, now)
    if kind == "bool" and rng.random() < 0.15:
        enums = [field for field in fields if field.type == "enum"]
        if enums:
            return of_enum(rng, rng.choice(enums))
    documents = any(field.type == "json" for field in fields)
    op, *kinds = rng.choice([call for call in CALLS[kind] if documents or "json" not in call])
    if op == "~":
        return Part(op, kind, (part(rng, fields, "string", depth - 1, now), literal(rng, "string")))
    return Part(op, kind, tuple(part(rng, fields, each, depth - 1, now) for each in kinds))


def leaf(rng: Random, fields: Sequence[Field], kind: str, now: bool) -> Part:
    columns = [field for field in fields if field.type == kind]
    if kind == "timestamp" and now and (not columns or rng.random() < 0.4):
        return Part("now", kind)
    if columns and (kind == "json" or rng.random() < 0.75):
        return Part("column", kind, value=rng.choice(columns).name)
    if kind == "timestamp":
        return Part("column", kind, value=rng.choice(columns).name) if columns else NOWHERE
    return literal(rng, kind)


def kinds_over(fields: Sequence[Field]) -> list[str]:
    """The kinds of expressions that can be drawn over some columns."""
    return [*KINDS, *(["json"] if any(field.type == "json" for field in fields) else [])]


NOWHERE = Part("+", "timestamp", (Part("now", "timestamp"), Part("literal", "int64", value=0)))
"""A time where no column has one."""


def literal(rng: Random, kind: str) -> Part:
    return Part("literal", kind, value=rng.choice(LITERALS[kind]))


def of_enum(rng: Random, field: Field) -> Part:
    column = Part("column", "enum", value=field.name)
    op = rng.choice(("==", "!=", "<", ">="))
    return Part(op, "bool", (column, Part("literal", "enum", value=rng.choice(field.names))))


def recent(rng: Random, field: Field) -> Part:
    """A time window: what leaves it by itself."""
    back = Part("-", "timestamp", (Part("now", "timestamp"), Part("literal", "int64", value=rng.choice((0, 1, 1000)))))
    column = Part("column", "timestamp", value=field.name)
    return Part(rng.choice((">", ">=", "<")), "bool", (column, back))


def template(rng: Random, fields: Sequence[Field]) -> tuple[str | Part, ...]:
    kinds = [rng.choice(("string", "int64", "bool")) for _ in range(rng.randint(1, 2))]
    return ("<", *(each for kind in kinds for each in (part(rng, fields, kind, 1), "|")))
