"""What an aggregate of a list of rows is: len(), sorted(), fractions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.asks import Field, Row
from tests.oracle.expressions import as_text
from tests.oracle.numbers import mean, percentile, total, variance, weighted
from tests.oracle.question import Aggregate, By
from tests.oracle.relation import Relation, same_key
from tests.oracle.truth import holds, rank

WHOLE = ("count", "count_values", "count_if", "distinct_count")
DOUBLE = ("avg", "weighted_avg", "median", "percentile", "var", "stddev")


def field_of(relation: Relation, aggregate: Aggregate) -> Field:
    """The column that an aggregate makes."""
    function, name = aggregate.function, aggregate.name
    if function in WHOLE:
        return Field(name, "int64")
    if function in DOUBLE:
        return Field(name, "float64")
    if function in ("any", "every"):
        return Field(name, "bool")
    if function in ("join", "array"):
        return Field(name, "string" if function == "join" else "json")
    of = input_field(relation, aggregate)
    return Field(name, of.type, names=of.names)


def input_field(relation: Relation, aggregate: Aggregate) -> Field:
    of = aggregate.of
    return relation.field(of) if isinstance(of, str) else Field("", of.kind)


@dataclass(frozen=True)
class Taken:
    """A value, and the row that it is of."""

    value: Any
    row: Row


def aggregate_of(relation: Relation, aggregate: Aggregate, rows: Sequence[Row], now: int) -> Any:
    """The aggregate of some rows of a relation, in its order."""
    kept = [r for r in rows if aggregate.filter is None or holds(aggregate.filter, r, relation.fields, now) is True]
    if aggregate.function == "count":
        return len(kept)
    field = input_field(relation, aggregate)
    ordered = kept
    if aggregate.order_by and aggregate.function in ("first", "last", "join", "array"):
        ordered = relation.by(kept, [By(aggregate.order_by)])
    taken = [Taken(relation.value(aggregate.of, row, now), row) for row in ordered]
    taken = [each for each in taken if each.value is not None]
    values = [each.value for each in taken]
    match aggregate.function:
        case "count_values":
            return len(values)
        case "count_if":
            return values.count(True)
        case "distinct_count":
            return len({same_key(value) for value in values})
    if not values:
        return None
    match aggregate.function:
        case "weighted_avg":
            pairs = [(each.value, each.row[aggregate.weight]) for each in taken]
            return weighted([(value, weight) for value, weight in pairs if weight is not None])
        case "min_by" | "max_by":
            return by_extreme(relation, aggregate, taken)
        case "join":
            return aggregate.separator.join(as_text(field.type, value) for value in values[: aggregate.limit])
        case "array":
            return f"[{','.join(as_json(field.type, value) for value in values[: aggregate.limit])}]"
        case "percentile" | "median":
            return percentile(values, 0.5 if aggregate.function == "median" else aggregate.percentile)
    return plain(aggregate.function, field, values)


def plain(function: str, field: Field, values: list[Any]) -> Any:
    """The aggregates that need nothing but the values, of which there are some."""
    ways: dict[str, Callable[[], Any]] = {
        "sum": lambda: total(field.type, values),
        "avg": lambda: mean(values),
        "min": lambda: min(values, key=lambda value: rank(field, value)),
        "max": lambda: max(values, key=lambda value: rank(field, value)),
        "var": lambda: variance(values),
        "stddev": lambda: None if (var := variance(values)) is None else math.sqrt(var),
        "first": lambda: values[0],
        "last": lambda: values[-1],
        "unique": lambda: values[0] if len({same_key(value) for value in values}) == 1 else None,
        "any": lambda: any(values),
        "every": lambda: all(values),
    }
    return ways[function]()


def by_extreme(relation: Relation, aggregate: Aggregate, taken: Sequence[Taken]) -> Any:
    """The value of the first row with the smallest, or largest, value of another column."""
    column = relation.field(aggregate.order_by)
    known = [each for each in taken if each.row[column.name] is not None]
    if not known:
        return None
    pick = min if aggregate.function == "min_by" else max
    return pick(known, key=lambda each: rank(column, each.row[column.name])).value


def as_json(kind: str, value: Any) -> str:
    """A value in JSON, which knows no whole doubles and nothing that is not a number."""
    if kind == "float64":
        return as_text(kind, value) if math.isfinite(value) else "null"
    if kind == "json":
        value = json.loads(value)
    return json.dumps(as_text(kind, value) if kind == "timestamp" else value, ensure_ascii=False, separators=(",", ":"))
