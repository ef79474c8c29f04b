"""Groups: one row of many, on one level or several, over the values of a column or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.oracle.aggregates import aggregate_of, field_of
from tests.oracle.asks import AllOf, Ask, Compare, Field, Moment, Row
from tests.oracle.expressions import as_text, evaluate
from tests.oracle.part import Part
from tests.oracle.question import Aggregate, Grouping
from tests.oracle.relation import Relation, derived, names_of, same_key


def grouped(relation: Relation, grouping: Grouping, now: int) -> Relation:
    """The groups of a relation, in the order of their key."""
    named = key_fields(relation, grouping)
    made = [*named, *aggregate_fields(relation, grouping)]
    leafs = [field for field in relation.fields if field.name not in grouping.by] if grouping.leafs else []
    fields = (*made, *leafs)
    key = [field.name for field in named]
    found: list[Row] = []
    for level in levels(grouping):
        for members in parts(relation.rows, grouping.by[:level]):
            row: Row = {name: members[0][name] for name in grouping.by[:level]}
            row.update({"level": level} if grouping.mode != "flat" else {} if grouping.by else {"group": True})
            row.update(aggregates(relation, grouping, members, row, now))
            found.append(row)
    if grouping.leafs:
        key += [name for name in relation.key if name not in grouping.by]
        found += [{**row, "level": len(grouping.by) + 1} for row in relation.rows]
    rows = [{field.name: row.get(field.name) for field in fields} for row in found]
    return derived(fields, set(key), rows)


def key_fields(relation: Relation, grouping: Grouping) -> list[Field]:
    by = [replace(relation.field(name), key=True) for name in grouping.by]
    if grouping.mode != "flat":
        return [Field("level", "int64", key=True), *by]
    return by or [Field("group", "bool", key=True)]


def levels(grouping: Grouping) -> Sequence[int]:
    last = len(grouping.by)
    return {"flat": [last], "total": [0, last] if last else [0], "rollup": range(last + 1)}[grouping.mode]


def parts(rows: Sequence[Row], by: Sequence[str]) -> list[list[Row]]:
    """The rows, in lists of those that are equal in some columns."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(same_key(row[name]) for name in by), []).append(row)
    return list(found.values())


def aggregates(relation: Relation, grouping: Grouping, rows: Sequence[Row], by: Row, now: int) -> Row:
    """The aggregates of a group, of each value of the pivot; expressions are over the group and those before."""
    found: Row = {}
    fields = [*relation.fields, *aggregate_fields(relation, replace(grouping, pivot=None))]
    for prefix, only in spread(relation, grouping):
        known = dict.fromkeys(grouping.by) | by
        for aggregate in grouping.aggregates:
            if aggregate.function == "expression":
                assert isinstance(aggregate.of, Part)
                known[aggregate.name] = evaluate(aggregate.of, known, names_of(fields), now)
            else:
                known[aggregate.name] = aggregate_of(relation, narrowed(aggregate, only), rows, now)
            found[prefix + aggregate.name] = known[aggregate.name]
    return found


def aggregate_fields(relation: Relation, grouping: Grouping) -> list[Field]:
    found = []
    for prefix, _ in spread(relation, grouping):
        for aggregate in grouping.aggregates:
            of = aggregate.of
            part = aggregate.function == "expression" and isinstance(of, Part)
            field = Field("", of.kind) if part and isinstance(of, Part) else field_of(relation, aggregate)
            found.append(replace(field, name=prefix + aggregate.name))
    return found


def spread(relation: Relation, grouping: Grouping) -> list[tuple[str, Ask | None]]:
    """What stands before the names of the aggregates, and which rows count; without a pivot nothing, and all."""
    if grouping.pivot is None:
        return [("", None)]
    column, values = grouping.pivot
    assert values is not None, "the values are known before"
    kind = relation.field(column).type
    return [(f"{as_text(kind, value)}|", Compare(column, "==", value)) for value in values]


def narrowed(aggregate: Aggregate, only: Ask | None) -> Aggregate:
    if only is None:
        return aggregate
    return replace(aggregate, filter=only if aggregate.filter is None else AllOf((only, aggregate.filter)))


def pivot_values(relation: Relation, grouping: Grouping) -> Grouping:
    """With the values that its pivot has when the query is made."""
    if grouping.pivot is None or grouping.pivot[1] is not None:
        return grouping
    field = relation.field(grouping.pivot[0])
    if field.type in ("enum", "bool"):
        values: tuple[Any, ...] = field.names if field.type == "enum" else (False, True)
    else:
        held = {same_key(row[field.name]): row for row in relation.rows if row[field.name] is not None}
        values = tuple(row[field.name] for row in Relation((field,), (field.name,), [*held.values()]).by_key().rows)
        values = tuple(map(Moment, values)) if field.type == "timestamp" else values
    return replace(grouping, pivot=(field.name, values))
