"""Pivots: over which values of a column aggregates are spread, and the node that spreads them.

Without values in the query, they are those of the rows as they are when the query is made. That is looked up once, so a
session keeps its columns, and new values are left out until it is edited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import stored_at
from tesseract_grpc.engine.data.errors import InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.data.order import order_words
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, check_scalar
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.operators.pivot import PivotOperator, Spread
from tesseract_grpc.engine.operators.predicate import compile_predicate
from tesseract_grpc.engine.operators.routing_keys import routing_keys
from tesseract_grpc.engine.operators.scan import scan
from tesseract_grpc.engine.query.expression.scalar_text import number_text
from tesseract_grpc.engine.query.expression.scalar_time import iso_text
from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Lambda, Rank, Typed
from tesseract_grpc.engine.query.grouping import Grouping
from tesseract_grpc.engine.query.literal import Literal, bind_literal

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner

MOST_VALUES = 1_000
MOST_COLUMNS = 5_000
"""The most columns that a pivot makes: each is kept for every group, and looked at by every reader."""
_FIELD = "query.group.split_by"
_COUNTS = frozenset(("count", "count_values", "count_if", "distinct_count"))


@dataclass(frozen=True, slots=True)
class Pivoted:
    """The values of a column over which aggregates are spread."""

    column: str
    values: tuple[Scalar, ...]
    prefixes: tuple[str, ...]
    """What stands before the names of the aggregates, value by value."""


@dataclass(frozen=True, slots=True)
class PivotValues:
    """The values of a column that were looked up in the rows when a query was made."""

    column: str
    type: DataType
    values: tuple[Scalar, ...]


def pivoted(planner: Planner, stage: Stage, grouping: Grouping) -> Pivoted | None:
    """The values of a grouping's pivot; None where it has none. Raises InvalidRequest, LimitExceeded."""
    pivot = grouping.split_by
    if pivot is None:
        return None
    stage.see([pivot.column], f"{_FIELD}.column")
    column = stage.schema.column(pivot.column, field=f"{_FIELD}.column")
    if column.type is DataType.JSON:
        raise InvalidRequest(
            Reason.WRONG_TYPE, f"column '{column.name}' is JSON and cannot be spread", field=f"{_FIELD}.column"
        )
    if pivot.values:
        values = tuple(_bound(column, value, f"{_FIELD}.values[{i}]") for i, value in enumerate(pivot.values))
    elif column.type is DataType.ENUM:
        values = column.enum_values
    elif column.type is DataType.BOOL:
        values = (False, True)
    else:
        values = _looked_up(planner, stage, column)
    if len(values) > MOST_VALUES:
        metadata = {"limit": "max_pivot_values", "maximum": str(MOST_VALUES)}
        raise LimitExceeded(
            Reason.LIMIT_EXCEEDED,
            f"column '{column.name}' has {len(values)} values; a pivot spreads over at most {MOST_VALUES}",
            field=_FIELD,
            metadata=metadata,
        )
    if (made := len(values) * len(grouping.aggregates)) > MOST_COLUMNS:
        raise LimitExceeded(
            Reason.LIMIT_EXCEEDED,
            f"{len(values)} values times {len(grouping.aggregates)} aggregates are {made:,} columns; "
            f"a pivot makes at most {MOST_COLUMNS:,}",
            field=_FIELD,
            metadata={"limit": "max_pivot_columns", "maximum": str(MOST_COLUMNS)},
        )
    prefixes = tuple(f"{_text(column.type, value)}|" for value in values)
    if len(set(prefixes)) < len(prefixes):
        raise InvalidRequest(Reason.DUPLICATE_COLUMN, "the pivot has a value twice", field=f"{_FIELD}.values")
    return Pivoted(column.name, values, prefixes)


def _bound(column: ColumnSchema, value: Literal, field: str) -> Scalar:
    bound = bind_literal(column, value, field)
    if bound is not None:
        check_scalar(column, bound, field)
    return bound


def _text(kind: DataType, value: Scalar) -> str:
    """A value in the name of a column: as an expression makes it a text."""
    if value is None:
        return "null"
    if kind is DataType.BOOL:
        return "true" if value else "false"
    if kind is DataType.TIMESTAMP:
        return iso_text(int(value)) or str(value)
    return number_text(value) if isinstance(value, (int, float)) else value


def _looked_up(planner: Planner, stage: Stage, column: ColumnSchema) -> tuple[Scalar, ...]:
    """The values that the rows have, or had when the query was made that is made again now."""
    known = planner.known_pivots.pop() if planner.known_pivots else None
    if known is None or (known.column, known.type) != (column.name, column.type):
        known = PivotValues(column.name, column.type, _present(planner, stage, column.name))
    planner.pivots.append(known)
    return known.values


def _present(planner: Planner, stage: Stage, name: str) -> tuple[Scalar, ...]:
    """The values that the rows have now, sorted; nulls are left out. O(rows)."""
    source = stage.source
    if source.owner is not None:
        source.owner.hydrate(planner.line.current)
    table = source.table
    predicate = compile_predicate(stage.where, table.schema, table.columns, intern=False, now_us=planner.line.now)
    slots = scan(table, predicate, routing_keys(stage.where, table.schema, table.columns, intern=False)).slots
    column: Column = table.columns[table.schema.position(name)]
    stored, valid = stored_at(column, slots)
    distinct = np.unique(stored if valid is None else stored[valid])
    distinct = distinct[np.argsort(order_words(column, distinct))]
    return tuple(column.vector(distinct, None).to_list())


def spread(planner: Planner, below: Stage, flat: Grouping, pivot: Pivoted) -> Stage:
    """The groups of rows with their aggregates spread over the values of a pivot."""
    groups = planner.group(below, Grouping(flat.by))
    by = flat.by if pivot.column in flat.by else (*flat.by, pivot.column)
    cells = planner.group(below, Grouping(by, flat.aggregates))
    what = Spread(
        flat.by,
        pivot.column,
        pivot.values,
        tuple(aggregate.name for aggregate in flat.aggregates),
        tuple(aggregate.function in _COUNTS for aggregate in flat.aggregates),
        tuple(
            replace(cells.schema.column(aggregate.name), name=prefix + aggregate.name)
            for prefix in pivot.prefixes
            for aggregate in flat.aggregates
        ),
    )
    base, split = groups.source.table, cells.source.table

    def make() -> PivotOperator:
        return PivotOperator(base.name, base, split, what, planner.line.current, planner.history)

    node = planner.node(
        "pivot", f"over {pivot.column}", ("pivot", what, cells.source), [groups.source, cells.source], make
    )
    return Stage.of(node.source)


def renamed(node: Typed, names: Mapping[str, str]) -> Typed:
    """The same expression over columns of other names."""
    match node:
        case ColumnRef() | Rank():
            return replace(node, name=names.get(node.name, node.name))
        case Call():
            return replace(node, arguments=tuple(renamed(each, names) for each in node.arguments))
        case Lambda():
            return replace(node, body=renamed(node.body, names))
    return node
