"""Aggregates that depend on the order of rows, over rows that were derived.

The rows of a table stand in the order of insertion. Rows that groups, joins and unions have made were not inserted in
an order that a fresh evaluation would repeat: they stand in the order of their keys. So an aggregate that takes the
first of them, or lists them, is given their numbers in that order, as a window column below the group, and goes by
these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tesseract_grpc.engine.live.resolve_window import window_columns
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.query.filter import AllOf, Filter, NullTest
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner

_IN_ORDER = frozenset(("first", "last", "join", "array"))
_BY_EXTREME = frozenset(("min_by", "max_by"))
_NUMBER = "\1"
"""What the name of such a window column begins with; no client writes it."""


def in_key_order(planner: Planner, stage: Stage, grouping: Grouping, field: str) -> tuple[Stage, Grouping]:
    """The rows with the numbers that aggregates need, and the grouping in terms of them."""
    if not stage.source.table.keyed_order:
        return stage, grouping
    keys = tuple(SortKey(column.name) for column in stage.schema.key_columns)
    numbers: dict[WindowColumn, None] = {}
    aggregates: list[Aggregate] = []
    for aggregate in grouping.aggregates:
        extreme = aggregate.function in _BY_EXTREME and bool(aggregate.order_by)
        if not extreme and aggregate.function not in _IN_ORDER:
            aggregates.append(aggregate)
            continue
        own = (SortKey(aggregate.order_by, aggregate.function == "max_by"),) if aggregate.order_by else ()
        order = own + tuple(key for key in keys if key.column != aggregate.order_by)
        name = _NUMBER + " ".join(f"{key.column}{'-' * key.descending}" for key in order)
        # In a rollup the rows of one group are in several partitions of the levels below.
        parts = grouping.by if grouping.mode is GroupMode.FLAT and grouping.split_by is None else ()
        numbers[WindowColumn(name[:128], WindowFunction.ROW_NUMBER, partition_by=parts, order_by=order)] = None
        changed = replace(aggregate, order_by=name[:128])
        if extreme:
            # The first row by number is that of the extreme; rows without a value to go by do not count.
            there: Filter = NullTest(aggregate.order_by, negated=True)
            where = there if aggregate.filter is None else AllOf((aggregate.filter, there))
            changed = replace(changed, function="min_by", filter=where)
        aggregates.append(changed)
    if not numbers:
        return stage, grouping
    numbered = window_columns(planner, stage, tuple(numbers), f"{field}.aggregates")
    return numbered, replace(grouping, aggregates=tuple(aggregates))
