"""Groupings as users write them, to what the wire has.

`group_by` is a column name or a list of them; `aggregates` maps the names of result columns to what they hold:

    {"trades": "count", "volume": ("sum", "qty"), "worst": {"function": "min", "column": "price"}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .arguments import names
from .errors import invalid

AggregatesLike: TypeAlias = Mapping[str, str | tuple[str, str] | Mapping[str, str]]

_FUNCTIONS = {
    name.removeprefix("AGGREGATE_FUNCTION_").lower(): number
    for name, number in query_pb2.AggregateFunction.items()
    if number
}


def grouping_of(group_by: str | Sequence[str] | None, aggregates: AggregatesLike | None) -> query_pb2.Grouping | None:
    """The grouping on the wire; None when there is none. With aggregates alone all rows are one group."""
    if group_by is None and aggregates is None:
        return None
    by = [group_by] if isinstance(group_by, str) else names(group_by or (), "group_by")
    if not isinstance(aggregates or {}, Mapping):
        raise invalid(
            "MALFORMED_REQUEST", "aggregates is a dict of result columns, {name: (function, column)}", "aggregates"
        )
    return query_pb2.Grouping(by=by, aggregates=[_aggregate(name, what) for name, what in (aggregates or {}).items()])


def _aggregate(name: str, what: Any) -> query_pb2.Aggregate:
    field = f"aggregates[{name!r}]"
    if isinstance(what, str):
        function, column = what, ""
    elif isinstance(what, Mapping):
        function, column = what.get("function", ""), what.get("column", "")
    elif isinstance(what, tuple | list) and len(what) == 2:
        function, column = what
    else:
        raise invalid("MALFORMED_REQUEST", f"an aggregate is 'count' or (function, column), not {what!r}", field)
    number = _FUNCTIONS.get(str(function))
    if number is None:
        known = ", ".join(_FUNCTIONS)
        raise invalid("MALFORMED_REQUEST", f"there is no aggregate {function!r}; there are {known}", field)
    return query_pb2.Aggregate(name=name, function=number, column=column)
