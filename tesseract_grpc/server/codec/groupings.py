"""Groupings between the wire and the engine."""

from __future__ import annotations

from typing import cast

from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import invalid

_NAMES = ("", "count", "count_values", "sum", "avg", "min", "max", "var", "stddev")
"""The engine's names of the functions, by their numbers on the wire."""


def decode_grouping(message: twin.query.Grouping, field: str) -> Grouping:
    """The engine's grouping. Refuses functions that there are not."""
    aggregates = []
    for index, aggregate in enumerate(message.aggregates):
        if not 0 < aggregate.function < len(_NAMES):
            raise invalid(
                f"there is no aggregate function {aggregate.function}", f"{field}.aggregates[{index}].function"
            )
        aggregates.append(Aggregate(aggregate.name, _NAMES[aggregate.function], aggregate.column))
    return Grouping(tuple(message.by), tuple(aggregates))


def encode_grouping(grouping: Grouping, message: twin.query.Grouping) -> None:
    """Writes a grouping into a message."""
    message.SetInParent()
    message.by.extend(grouping.by)
    for aggregate in grouping.aggregates:
        function = cast("twin.query.AggregateFunction.ValueType", _NAMES.index(aggregate.function))
        message.aggregates.add(name=aggregate.name, function=function, column=aggregate.column)
