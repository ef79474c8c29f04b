"""Sorts as users write them: names of columns, or `{"field", "direction", "nulls"}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .errors import invalid

SortLike: TypeAlias = "Sequence[Mapping[str, Any] | str] | Mapping[str, Any] | str"
"""A sort: a list of `{"field", "direction", "nulls"}`, or of names of columns."""

_DIRECTIONS = {
    "asc": query_pb2.SORT_DIRECTION_ASCENDING,
    "ascending": query_pb2.SORT_DIRECTION_ASCENDING,
    "desc": query_pb2.SORT_DIRECTION_DESCENDING,
    "descending": query_pb2.SORT_DIRECTION_DESCENDING,
}
_NULLS = {"first": query_pb2.NULLS_ORDER_FIRST, "last": query_pb2.NULLS_ORDER_LAST}


def sort_of(given: SortLike | None, field: str = "sort") -> list[query_pb2.SortKey]:
    """The sort keys that a user's sort means."""
    if given is None:
        return []
    keys = [given] if isinstance(given, str | Mapping) else list(given)
    return [_sort_key(key, f"{field}[{at}]") for at, key in enumerate(keys)]


def _sort_key(given: Any, field: str) -> query_pb2.SortKey:
    if isinstance(given, str):
        return query_pb2.SortKey(column=given)
    if not isinstance(given, Mapping) or not isinstance(given.get("field"), str):
        raise invalid("BAD_SORT", "a sort key needs the name of a column as field", f"{field}.field")
    unknown = sorted(set(given) - {"field", "direction", "nulls"}, key=str)
    if unknown:
        message = f"{unknown[0]!r} is not a word of a sort key; known are field, direction, nulls"
        raise invalid("BAD_SORT", message, f"{field}.{unknown[0]}")
    direction = str(given.get("direction", "asc")).lower()
    if direction not in _DIRECTIONS:
        raise invalid("BAD_SORT", f"a direction is asc or desc, not {given['direction']!r}", f"{field}.direction")
    nulls = str(given.get("nulls", "last")).lower()
    if nulls not in _NULLS:
        raise invalid("BAD_SORT", f"nulls is first or last, not {given['nulls']!r}", f"{field}.nulls")
    return query_pb2.SortKey(column=given["field"], direction=_DIRECTIONS[direction], nulls=_NULLS[nulls])
