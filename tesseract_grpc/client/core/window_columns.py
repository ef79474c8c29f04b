"""Window columns as users write them.

{"name": "place", "function": "rank", "partition_by": "country", "order_by": "total"}
{"name": "before", "function": "lag", "column": "price", "offset": 2, "order_by": "ts"}
"""

from __future__ import annotations

from typing import Any

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .sorts import sort_of
from .words import list_of, malformed, name_of, text_of, texts_of, words_of

FUNCTIONS = {
    name.removeprefix("WINDOW_FUNCTION_").lower(): number for name, number in query_pb2.WindowFunction.items() if number
}
"""The functions by the names that users write."""

_WORDS = {
    "name": "name",
    "function": "function",
    "column": "column",
    "field": "column",
    "partition_by": "partition_by",
    "order_by": "order_by",
    "offset": "offset",
    "rows": "rows",
}


def window_columns_of(given: object, field: str) -> list[query_pb2.WindowColumn]:
    """All window columns of a query."""
    if given is None:
        return []
    return [_column(each, f"{field}[{at}]") for at, each in enumerate(list_of(given, "window_columns", field))]


def _column(given: object, field: str) -> query_pb2.WindowColumn:
    words = words_of(given, _WORDS, "a window column", field)
    function = words.get("function")
    number = FUNCTIONS.get(function.lower()) if isinstance(function, str) else None
    if number is None:
        known = ", ".join(FUNCTIONS)
        raise malformed(f"there is no window function {function!r:.60}; there are {known}", f"{field}.function")
    return query_pb2.WindowColumn(
        name=name_of(words, "a window column", field),
        function=number,
        column=text_of(words, "column", field),
        partition_by=texts_of(words.get("partition_by", ()), "partition_by", f"{field}.partition_by"),
        order_by=sort_of(words.get("order_by"), f"{field}.order_by"),
        offset=_count(words, "offset", field),
        rows=_count(words, "rows", field),
    )


def _count(words: dict[str, Any], word: str, field: str) -> int | None:
    value = words.get(word)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63):
        raise malformed(f"{word} is a whole number, not {value!r:.60}", f"{field}.{word}")
    return value
