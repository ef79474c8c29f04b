"""Groupings between the wire and the engine."""

from __future__ import annotations

from typing import cast

from tesseract_grpc.engine.query.grouping import Grouping, GroupMode, Pivot
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.aggregates import decode_aggregate, encode_aggregate
from tesseract_grpc.server.codec.filters import FilterLimits
from tesseract_grpc.server.codec.values import decode_literal, encode_literal
from tesseract_grpc.server.errors import invalid, limit_exceeded

MAX_PIVOT_VALUES = 1_000
"""The most values that a pivot spreads aggregates over."""

_MODES = {0: GroupMode.FLAT, **{int(mode): mode for mode in GroupMode}}


def decode_grouping(message: twin.query.Grouping, limits: FilterLimits, field: str) -> Grouping:
    """The engine's grouping."""
    mode = _MODES.get(message.mode)
    if mode is None:
        raise invalid(f"there is no group mode {message.mode}", f"{field}.mode")
    if message.include_leafs and mode is not GroupMode.ROLLUP:
        raise invalid("include_leafs needs the mode ROLLUP, which makes a tree", f"{field}.include_leafs")
    return Grouping(
        by=tuple(message.by),
        aggregates=tuple(
            decode_aggregate(aggregate, limits, f"{field}.aggregates[{index}]")
            for index, aggregate in enumerate(message.aggregates)
        ),
        mode=mode,
        include_leafs=message.include_leafs,
        split_by=_pivot(message.split_by, f"{field}.split_by") if message.HasField("split_by") else None,
    )


def _pivot(message: twin.query.Pivot, field: str) -> Pivot:
    if not message.column:
        raise invalid("which column to spread is missing", f"{field}.column")
    if len(message.values) > MAX_PIVOT_VALUES:
        raise limit_exceeded(
            "max_pivot_values", MAX_PIVOT_VALUES, f"there are {len(message.values)} values", field=f"{field}.values"
        )
    return Pivot(message.column, tuple(decode_literal(value) for value in message.values))


def encode_grouping(grouping: Grouping, message: twin.query.Grouping) -> None:
    """Writes a grouping into a message."""
    message.SetInParent()
    message.by.extend(grouping.by)
    message.aggregates.extend([encode_aggregate(aggregate) for aggregate in grouping.aggregates])
    message.mode = cast("twin.query.GroupMode.ValueType", int(grouping.mode))
    message.include_leafs = grouping.include_leafs
    if grouping.split_by is not None:
        message.split_by.column = grouping.split_by.column
        message.split_by.values.extend([encode_literal(value) for value in grouping.split_by.values])
