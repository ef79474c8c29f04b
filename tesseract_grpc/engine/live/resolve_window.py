"""The window columns of a query, as one node, or as several where one uses another that stands before it.

Window columns depend on which rows there are, so the condition on the rows is taken into the node. Sessions with the
same condition and the same window columns share one, whatever they sort and show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import LimitExceeded, Reason
from tesseract_grpc.engine.live.clearing import cleared
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.window import WindowOperator
from tesseract_grpc.engine.operators.window_schema import MAX_WINDOW_COLUMNS, window_schema
from tesseract_grpc.engine.query.window_column import WindowColumn

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner


def window_columns(planner: Planner, stage: Stage, columns: Sequence[WindowColumn], field: str) -> Stage:
    """The rows with these columns. Raises InvalidRequest, LimitExceeded."""
    if len(columns) > MAX_WINDOW_COLUMNS:
        raise LimitExceeded(
            Reason.LIMIT_EXCEEDED, f"{len(columns)} window columns; the limit is {MAX_WINDOW_COLUMNS}", field=field
        )
    stage = cleared(planner, stage, [column.name for column in columns])
    start = 0
    for index, column in enumerate(columns):
        made = {earlier.name for earlier in columns[start:index]}
        if not made.isdisjoint(_names(column)):
            stage = _step(planner, stage, columns[start:index], field, start)
            start = index
    return _step(planner, stage, columns[start:], field, start)


def _names(column: WindowColumn) -> list[str]:
    """The columns that a window column uses."""
    names = [column.column, *column.partition_by, *(key.column for key in column.order_by)]
    return [name for name in names if name]


def _step(planner: Planner, stage: Stage, columns: Sequence[WindowColumn], field: str, start: int) -> Stage:
    """The rows with columns that do not use each other, of which the first is the one at `start` of the query."""
    base = stage.source.table
    window_schema(columns, base.schema, planner.limits, field, start)  # what is wrong with them is said first
    for index, column in enumerate(columns, start):
        stage.see(_names(column), f"{field}[{index}]")
    asked = tuple(columns)

    def make() -> WindowOperator:
        # Rows that leave take the old values of all columns with them: somebody may filter by any.
        source = routed_filter(base, stage.where, frozenset(range(len(base.columns))))
        return WindowOperator(base.name, source, asked, planner.line.current, planner.history)

    names = tuple(column.name for column in columns)
    node = planner.node("window", ", ".join(names), ("window", stage.where, asked), [stage.source], make)
    return Stage(node.source, None, stage.shown + names)
