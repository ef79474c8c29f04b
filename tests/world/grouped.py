"""Random groupings and window columns over the columns of a relation."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.oracle.asks import Field
from tests.oracle.part import Part
from tests.oracle.question import Aggregate, By, Grouping, Mode, Windowed
from tests.oracle.relation import Relation
from tests.world.parts import LITERALS, part
from tests.world.questions import condition

NUMBERS = ("sum", "avg", "var", "stddev", "median", "percentile")
SORTED = ("min", "max")
ANY = ("count_values", "distinct_count", "first", "last", "unique")
MODES: tuple[Mode, ...] = ("flat", "flat", "flat", "rollup", "rollup", "total")


NAMES = 30
"""Names are drawn out of so many; what does not show may have the same one."""


def fresh(rng: Random, taken: Sequence[str], start: str) -> str:
    """A name that nothing has yet."""
    while (name := f"{start}{rng.randrange(NAMES)}") in taken:
        pass
    return name


def sortable(fields: Sequence[Field]) -> list[Field]:
    return [field for field in fields if field.type != "json"]


def grouping(rng: Random, relation: Relation) -> Grouping:
    fields = sortable(relation.fields)
    by = tuple(field.name for field in rng.sample(fields, min(len(fields), rng.choice((0, 1, 1, 1, 2, 2)))))
    mode = rng.choice(MODES) if by and "level" not in {field.name for field in relation.fields} else "flat"
    found: list[Aggregate] = []
    for _ in range(rng.choice((1, 2, 3))):
        name = fresh(rng, [*(field.name for field in relation.fields), *(each.name for each in found)], "a")
        found.append(aggregate(rng, relation, name, rng.choice(fields)))
    if rng.random() < 0.25:
        found.append(over_others(rng, relation, found, by))
    split = pivot(rng, relation, by) if rng.random() < 0.15 else None
    return Grouping(by, tuple(found), mode, mode == "rollup" and split is None and rng.random() < 0.4, split)


def pivot(rng: Random, relation: Relation, by: Sequence[str]) -> tuple[str, tuple[Any, ...] | None] | None:
    """A column and some of its values. All of them, where they are declared, are what is meant when none is named."""
    fields = [field for field in relation.fields if field.type in ("enum", "bool", "string", "int64")]
    fields = [field for field in fields if field.name not in by]
    if not fields:
        return None
    field = rng.choice(fields)
    values: tuple[Any, ...] = field.names if field.type == "enum" else LITERALS[field.type]
    if field.type in ("enum", "bool") and rng.random() < 0.4:
        return field.name, None
    return field.name, tuple(rng.sample(values, rng.randint(1, min(3, len(values)))))


def over_others(rng: Random, relation: Relation, aggregates: Sequence[Aggregate], by: Sequence[str]) -> Aggregate:
    """An expression over the counts among the aggregates, and the columns that name the group."""
    known = [field for field in relation.fields if field.name in by]
    counts = ("count", "count_values", "count_if", "distinct_count")
    known += [Field(each.name, "int64") for each in aggregates if each.function in counts]
    name = fresh(rng, [*(field.name for field in relation.fields), *(each.name for each in aggregates)], "a")
    return Aggregate(name, "expression", part(rng, known, rng.choice(("int64", "float64", "bool")), 2, now=False))


def aggregate(rng: Random, relation: Relation, name: str, field: Field) -> Aggregate:
    only = condition(rng, relation, 1) if rng.random() < 0.2 else None
    of: str | Part = field.name
    kind = field.type
    if rng.random() < 0.2:
        kind = rng.choice(("int64", "float64", "bool", "string"))
        of = part(rng, relation.fields, kind, 1, now=False)
    functions = [*ANY, *SORTED]
    if kind in ("int64", "float64"):
        functions += NUMBERS * 2
    if kind == "bool":
        functions += ("count_if", "any", "every")
    function = rng.choice(["count", *functions, "min_by", "max_by", "join", "array", "weighted_avg"])
    if function == "count":
        return Aggregate(name, "count", filter=only)
    others = sortable(relation.fields)
    if function in ("min_by", "max_by"):
        return Aggregate(name, function, of, only, order_by=rng.choice(others).name)
    if function == "weighted_avg":
        numbers = [each.name for each in relation.fields if each.type in ("int64", "float64")]
        if not numbers:
            return Aggregate(name, "count", filter=only)
        of = of if kind in ("int64", "float64") else rng.choice(numbers)
        return Aggregate(name, function, of, only, weight=rng.choice(numbers))
    order_by = ""
    if function in ("first", "last", "join", "array") and rng.random() < 0.5:
        order_by = rng.choice(others).name
    limit = rng.choice((None, 1, 2)) if function in ("join", "array") else None
    separator = rng.choice((",", "", "; ")) if function == "join" else ","
    share = rng.choice((0.0, 0.25, 0.5, 0.9, 1.0)) if function == "percentile" else 0.5
    return Aggregate(name, function, of, only, share, order_by, separator=separator, limit=limit)


def windowed(rng: Random, relation: Relation, name: str) -> Windowed:
    fields = sortable(relation.fields)
    partition = tuple(field.name for field in rng.sample(fields, rng.choice((0, 1, 1, 2)) if len(fields) > 1 else 0))
    order = tuple(By(field.name, rng.random() < 0.5, rng.random() < 0.3) for field in rng.sample(fields, 1))
    if rng.random() < 0.2:
        order = ()  # all are equal, in the order of insertion
    numbers = [field.name for field in relation.fields if field.type in ("int64", "float64")]
    functions = ["row_number", "lag", "lead", "count", "min", "max", *(["sum", "avg"] * 2 if numbers else [])]
    function = rng.choice([*functions, "rank", "dense_rank"])
    rows = rng.choice((None, 1, 2, 3)) if function in ("sum", "avg", "count", "min", "max") else None
    column = ""
    if function in ("sum", "avg"):
        column = rng.choice(numbers)
    elif function in ("lag", "lead", "min", "max") or (function == "count" and rng.random() < 0.5):
        column = rng.choice(fields).name
    offset = rng.choice((1, 1, 2, 3)) if function in ("lag", "lead") else 1
    return Windowed(name, function, column, partition, order, offset, rows)
