"""Rows beside the rows of other sources: joins, lookups, unions; and columns that are worked out for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.oracle.asks import Field, Row
from tests.oracle.expressions import as_text, evaluate
from tests.oracle.part import Part
from tests.oracle.question import Computed, Join, Lookup, Origin, Template
from tests.oracle.relation import Relation, Unlike, derived, names_of, same_key

Find = Callable[[Origin], Relation]


def matches(row: Row, other: Row, on: Sequence[tuple[str, str]]) -> bool:
    """Null equals nothing, NaN equals NaN."""
    return all(row[here] is not None and same_key(row[here]) == same_key(other[there]) for here, there in on)


def joined(rows: Relation, join: Join, find: Find) -> Relation:
    """Every row with every row that it matches. Where at most one can, rows keep their names and their order."""
    other = find(join.origin)
    there = {name for _, name in join.on}
    single = set(other.key) <= there
    named = [] if single else [name for name in other.key if name not in there]
    if join.columns:
        pairs = [(name, join.prefix + name) for name in named]
        pairs += [(name, new or join.prefix + name) for name, new in join.columns]
    else:  # all columns where they stand, which is the order of the key, too
        pairs = [(field.name, join.prefix + field.name) for field in other.fields if field.name not in there]
    found: list[Row] = []
    for row in rows.rows:
        hits = [hit for hit in other.rows if matches(row, hit, join.on)]
        hits = hits or ([dict.fromkeys(field.name for field in other.fields)] if join.left else [])
        found += [row | {new: hit[name] for name, new in pairs} for hit in hits]
    fields = [replace(other.field(name), name=new, key=name in named) for name, new in pairs]
    if single:
        return replace(rows, fields=(*rows.fields, *fields), rows=found)
    return derived((*rows.fields, *fields), {*rows.key, *(join.prefix + name for name in named)}, found)


def together(relations: Sequence[Relation], branch: str) -> Relation:
    """The rows of all sources, one source after the other. Raises Unlike unless all have the same columns and key."""
    mine, *others = ({f.name: (f.type, f.names, f.name in each.key) for f in each.fields} for each in relations)
    for theirs in others:
        if theirs != mine:
            raise Unlike(f"{sorted(mine.items() ^ theirs.items())}")
    first = relations[0]
    rows = [
        {branch: number} | {field.name: row[field.name] for field in first.fields}
        for number, relation in enumerate(relations)
        for row in relation.rows
    ]
    return derived((Field(branch, "int64", key=True), *first.fields), {branch, *first.key}, rows)


def with_computed(rows: Relation, column: Computed, find: Find, now: int) -> Relation:
    """One more column; the next may use it."""
    value = column.value
    if isinstance(value, Lookup):
        other = find(value.origin)
        field, values = looked_up(rows, value, other, now)
    else:
        field, values = worked_out(rows, value, rows.rows, now)
    made = [row | {column.name: each} for row, each in zip(rows.rows, values, strict=True)]
    return replace(rows, fields=(*rows.fields, replace(field, name=column.name, key=False)), rows=made)


def looked_up(rows: Relation, lookup: Lookup, other: Relation, now: int) -> tuple[Field, list[Any]]:
    field, values = worked_out(other, lookup.value, other.rows, now)
    found = []
    for row in rows.rows:
        hits = [value for hit, value in zip(other.rows, values, strict=True) if matches(row, hit, lookup.on)]
        found.append(hits[0] if hits else None)
    return field, found


def worked_out(
    relation: Relation, value: str | Part | Template, rows: Sequence[Row], now: int
) -> tuple[Field, list[Any]]:
    """A column, an expression or a template of each row."""
    if isinstance(value, str):
        return relation.field(value), [row[value] for row in rows]
    if isinstance(value, Part):
        names = names_of(relation.fields)
        return Field("", value.kind), [evaluate(value, row, names, now) for row in rows]
    return Field("", "string"), [filled_in(value, row, names_of(relation.fields), now) for row in rows]


def filled_in(template: Template, row: Row, names: dict[str, tuple[str, ...]], now: int) -> str:
    """A null part is the empty text."""
    texts = []
    for part in template:
        value = part if isinstance(part, str) else evaluate(part, row, names, now)
        texts.append(value if isinstance(part, str) else "" if value is None else as_text(part.kind, value))
    return "".join(texts)
