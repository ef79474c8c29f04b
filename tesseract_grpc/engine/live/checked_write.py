"""A write whose filters fit its table."""

from __future__ import annotations

from dataclasses import replace

from tesseract_grpc.engine.data.commit import Write
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.engine.query.filter import check_filter
from tesseract_grpc.engine.query.query import Limits


def checked_write(table: Table, write: Write, limits: Limits) -> Write:
    """The write with its filters checked and in normal form. Raises InvalidRequest, LimitExceeded."""
    depth, nodes = limits.max_filter_depth, limits.max_filter_nodes
    if write.filter is not None:
        checked = check_filter(
            write.filter,  # type: ignore[arg-type]  # writes carry filters opaquely
            table.schema,
            field="delete.filter",
            max_depth=depth,
            max_nodes=nodes,
        )
        write = replace(write, filter=checked)
    condition = write.condition
    if condition is not None and condition.if_filter is not None:
        checked = check_filter(
            condition.if_filter,  # type: ignore[arg-type]  # as above
            table.schema,
            field="condition.if_filter",
            max_depth=depth,
            max_nodes=nodes,
        )
        write = replace(write, condition=replace(condition, if_filter=checked))
    return write
