"""Window columns: what a row is among the rows of its partition, by going through all of them for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.oracle.aggregates import plain
from tests.oracle.asks import Field, Row
from tests.oracle.grouping import parts
from tests.oracle.question import By, Windowed
from tests.oracle.relation import Relation, order

WHOLE = ("row_number", "rank", "dense_rank", "count")


def with_windowed(rows: Relation, column: Windowed) -> Relation:
    """One more column; the rows stay in their order."""
    field = Field(column.name, "int64")
    if column.function == "avg":
        field = Field(column.name, "float64")
    elif column.function not in WHOLE:
        of = rows.field(column.column)
        field = Field(column.name, of.type, names=of.names)
    values: dict[int, Any] = {}
    for members in parts(rows.rows, column.partition_by):
        ordered = rows.by(members, [*column.order_by, *map(By, rows.key)]) if column.order_by else members
        for place in range(len(ordered)):
            values[id(ordered[place])] = value_at(rows, column, ordered, place)
    made = [row | {column.name: values[id(row)]} for row in rows.rows]
    return replace(rows, fields=(*rows.fields, field), rows=made)


def value_at(rows: Relation, column: Windowed, ordered: Sequence[Row], place: int) -> Any:
    function = column.function
    if function == "row_number":
        return place + 1
    if function in ("rank", "dense_rank"):
        before = [row for row in ordered[:place] if not equal(rows, column.order_by, row, ordered[place])]
        return 1 + (len(before) if function == "rank" else distinct(rows, column.order_by, before))
    if function in ("lag", "lead"):
        other = place - column.offset if function == "lag" else place + column.offset
        return ordered[other][column.column] if 0 <= other < len(ordered) else None
    seen = ordered[: place + 1] if column.rows is None else ordered[max(0, place + 1 - column.rows) : place + 1]
    if function == "count" and not column.column:
        return len(seen)
    values = [row[column.column] for row in seen if row[column.column] is not None]
    if function == "count":
        return len(values)
    return plain(function, rows.field(column.column), values) if values else None


def equal(rows: Relation, keys: Sequence[By], a: Row, b: Row) -> bool:
    """Whether two rows stand at one place in the order."""
    return all(order(key, rows.field(key.column), a, b) == 0 for key in keys)


def distinct(rows: Relation, keys: Sequence[By], ordered: Sequence[Row]) -> int:
    """The number of places that rows in order stand at."""
    return sum(at == 0 or not equal(rows, keys, ordered[at - 1], row) for at, row in enumerate(ordered))
