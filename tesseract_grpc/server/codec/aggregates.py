"""Aggregates between the wire and the engine.

What each function takes beside its column is one table; anything else that a client sets is refused, for an argument
that nobody reads is a mistake that nobody notices.
"""

from __future__ import annotations

from typing import cast

from tesseract_grpc.engine.query.filter_tree import Filter
from tesseract_grpc.engine.query.grouping import Aggregate
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.column_names import check_new_name
from tesseract_grpc.server.codec.filters import FilterLimits, decode_filter, encode_filter
from tesseract_grpc.server.errors import invalid

MAX_VALUES = 10_000
"""The most values that one JOIN or ARRAY takes."""

_NAMES: dict[int, str] = {
    number: name.removeprefix("AGGREGATE_FUNCTION_").lower()
    for name, number in twin.query.AggregateFunction.items()
    if number
}
"""The engine's names of the functions, by their numbers on the wire."""

_NUMBERS = {name: number for number, name in _NAMES.items()}

_TAKES: dict[str, frozenset[str]] = {
    "percentile": frozenset({"percentile"}),
    "weighted_avg": frozenset({"weight"}),
    "first": frozenset({"order_by"}),
    "last": frozenset({"order_by"}),
    "min_by": frozenset({"order_by"}),
    "max_by": frozenset({"order_by"}),
    "join": frozenset({"order_by", "separator", "limit"}),
    "array": frozenset({"order_by", "limit"}),
}
_NEEDS = {"weighted_avg": "weight", "min_by": "order_by", "max_by": "order_by"}


def decode_aggregate(message: twin.query.Aggregate, limits: FilterLimits, field: str) -> Aggregate:
    """The engine's aggregate. Refuses functions that there are not, and arguments that the function does not take."""
    function = _NAMES.get(message.function)
    if function is None:
        raise invalid(f"there is no aggregate function {message.function}", f"{field}.function")
    check_new_name(message.name, "an aggregate", f"{field}.name")
    _check_operand(message, function, field)
    _check_arguments(message, function, field)
    return Aggregate(
        name=message.name,
        function=function,
        column=message.column,
        expression=message.expression,
        filter=_filter(message, limits, field),
        percentile=message.percentile if function == "percentile" else 0.5,
        order_by=message.order_by,
        weight=message.weight,
        separator=message.separator if message.HasField("separator") else ",",
        limit=message.limit or None,
    )


def _check_operand(message: twin.query.Aggregate, function: str, field: str) -> None:
    """Refuses an operand that the function does not take, two of them, and none where one is needed."""
    what = f"aggregate '{message.name[:140]}': {function}"
    if function == "count":
        for name, value in (("column", message.column), ("expression", message.expression)):
            if value:
                raise invalid(f"{what} counts rows and takes no {name}; count_values counts values", f"{field}.{name}")
    elif function == "expression":
        if message.column:
            raise invalid(f"{what} takes an expression and no column", f"{field}.column")
        if not message.expression:
            raise invalid(f"{what} needs an expression", f"{field}.expression")
        if message.HasField("filter"):
            raise invalid(f"{what} speaks of the group's columns and takes no filter", f"{field}.filter")
    elif message.column and message.expression:
        raise invalid(f"{what} has both a column and an expression; give one", f"{field}.expression")
    elif not message.column and not message.expression:
        raise invalid(f"{what} needs a column or an expression", f"{field}.column")


def _check_arguments(message: twin.query.Aggregate, function: str, field: str) -> None:
    """Refuses arguments that the function does not take, and values that no function takes."""
    taken = _TAKES.get(function, frozenset())
    given = {
        "percentile": message.percentile != 0,
        "order_by": bool(message.order_by),
        "weight": bool(message.weight),
        "separator": message.HasField("separator"),
        "limit": message.limit != 0,
    }
    for name, is_given in given.items():
        if is_given and name not in taken:
            raise invalid(f"aggregate '{message.name[:140]}': {function} takes no {name}", f"{field}.{name}")
    needed = _NEEDS.get(function)
    if needed is not None and not given[needed]:
        raise invalid(f"aggregate '{message.name[:140]}': {function} needs {needed}", f"{field}.{needed}")
    if not 0 <= message.percentile <= 1:
        raise invalid(f"percentile is {message.percentile:g}; it must be from 0 to 1", f"{field}.percentile")
    if not 0 <= message.limit <= MAX_VALUES:
        raise invalid(f"limit is {message.limit}; it must be from 1 to {MAX_VALUES}", f"{field}.limit")


def _filter(message: twin.query.Aggregate, limits: FilterLimits, field: str) -> Filter | None:
    return decode_filter(message.filter, limits, f"{field}.filter") if message.HasField("filter") else None


def encode_aggregate(aggregate: Aggregate) -> twin.query.Aggregate:
    """An aggregate as a message."""
    function = aggregate.function
    message = twin.query.Aggregate(
        name=aggregate.name,
        function=cast("twin.query.AggregateFunction.ValueType", _NUMBERS[function]),
        column=aggregate.column,
        expression=aggregate.expression,
        percentile=aggregate.percentile if function == "percentile" else 0.0,
        order_by=aggregate.order_by,
        weight=aggregate.weight,
        separator=aggregate.separator if function == "join" else None,
        limit=aggregate.limit or 0,
    )
    if aggregate.filter is not None:
        encode_filter(aggregate.filter, message.filter)
    return message
