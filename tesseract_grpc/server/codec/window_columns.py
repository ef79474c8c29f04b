"""Window columns between the wire and the engine."""

from __future__ import annotations

from typing import cast

from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.column_names import check_new_name
from tesseract_grpc.server.codec.sorts import decode_sort, encode_sort
from tesseract_grpc.server.errors import invalid

MAX_PARTITION_COLUMNS = 64
"""The most columns that make a partition."""

_FUNCTIONS = {int(function): function for function in WindowFunction}
_AWAY = (WindowFunction.LAG, WindowFunction.LEAD)
_NUMBERING = (WindowFunction.ROW_NUMBER, WindowFunction.RANK, WindowFunction.DENSE_RANK)
_MOVING = (WindowFunction.SUM, WindowFunction.AVG, WindowFunction.COUNT, WindowFunction.MIN, WindowFunction.MAX)


def decode_window_column(message: twin.query.WindowColumn, field: str) -> WindowColumn:
    """The engine's window column. Refuses what its function does not take, and what it lacks."""
    check_new_name(message.name, "a window column", f"{field}.name")
    function = _FUNCTIONS.get(message.function)
    if function is None:
        known = ", ".join(each.name for each in WindowFunction)
        raise invalid(f"window column '{message.name[:140]}' needs a function: one of {known}", f"{field}.function")
    if function in _NUMBERING and message.column:
        raise invalid(f"{function.name} takes no column", f"{field}.column")
    if function not in (*_NUMBERING, WindowFunction.COUNT) and not message.column:
        raise invalid(f"{function.name} needs a column", f"{field}.column")
    if len(message.partition_by) > MAX_PARTITION_COLUMNS:
        raise invalid(f"at most {MAX_PARTITION_COLUMNS} columns make a partition", f"{field}.partition_by")
    return WindowColumn(
        name=message.name,
        function=function,
        column=message.column,
        partition_by=tuple(message.partition_by),
        order_by=decode_sort(message.order_by, f"{field}.order_by"),
        offset=_count(message, "offset", function in _AWAY, field) or 1,
        rows=_count(message, "rows", function in _MOVING, field),
    )


def _count(message: twin.query.WindowColumn, name: str, taken: bool, field: str) -> int | None:
    """A number of rows from 1 on; None where it is not set."""
    if name == "offset":
        value = message.offset if message.HasField("offset") else None
    else:
        value = message.rows if message.HasField("rows") else None
    if value is not None and not taken:
        raise invalid(f"this function takes no {name}", f"{field}.{name}")
    if value is not None and value < 1:
        raise invalid(f"{name} is {value}; it must be at least 1", f"{field}.{name}")
    return value


def encode_window_column(column: WindowColumn) -> twin.query.WindowColumn:
    """A window column as a message."""
    return twin.query.WindowColumn(
        name=column.name,
        function=cast("twin.query.WindowFunction.ValueType", int(column.function)),
        column=column.column,
        partition_by=column.partition_by,
        order_by=encode_sort(column.order_by),
        offset=column.offset if column.function in _AWAY else None,
        rows=column.rows,
    )
