"""Groupings as users write them, to what the wire has.

`group_by` is a column name or a list of them, `aggregates` maps the names of result columns to what they hold. An item
of `group_by` may be a dict: `{"field": "country"}`, or with a name and an expression a column that is computed first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tesseract_grpc._proto.tesseract.v1 import query_pb2

from .aggregates import expression_text
from .literals import value_of
from .words import list_of, malformed, name_of, text_of, words_of

GroupByLike: TypeAlias = "str | Sequence[str | Mapping[str, Any]]"
PivotLike: TypeAlias = "str | Mapping[str, Any]"
"""The column whose values make columns, or {"column": .., "values": [..]}."""

MODES = {
    "flat": query_pb2.GROUP_MODE_FLAT,
    "rollup": query_pb2.GROUP_MODE_ROLLUP,
    "tree": query_pb2.GROUP_MODE_ROLLUP,
    "total": query_pb2.GROUP_MODE_TOTAL,
}


def by_of(given: GroupByLike, field: str) -> tuple[list[str], list[query_pb2.ComputedColumn]]:
    """The grouping columns, and those among them that have to be computed."""
    by: list[str] = []
    computed: list[query_pb2.ComputedColumn] = []
    items = [given] if isinstance(given, str | Mapping) else list_of(given, "group_by", field)
    for at, item in enumerate(items):
        where = f"{field}[{at}]"
        if isinstance(item, str):
            by.append(item)
            continue
        known = {"field": "field", "column": "field", "data_index": "field", "name": "name", "expression": "expression"}
        words = words_of(item, known, "an item of group_by", where)
        if "expression" in words:
            name = name_of(words, "a computed grouping column", where)
            text = expression_text(words["expression"], f"{where}.expression")
            computed.append(query_pb2.ComputedColumn(name=name, expression=text))
        else:
            name = text_of(words, "field", where) or text_of(words, "name", where)
            if not name:
                raise malformed("needs the name of a column", where)
        by.append(name)
    return by, computed


def mode_of(given: object, field: str) -> query_pb2.GroupMode.ValueType:
    """The levels of a grouping."""
    found = MODES.get(given.lower()) if isinstance(given, str) else None
    if found is None:
        raise malformed(f"a mode is one of {', '.join(MODES)}, not {given!r:.60}", field)
    return found


def pivot_of(given: PivotLike, field: str) -> query_pb2.Pivot:
    """The column that aggregates are spread over."""
    if isinstance(given, str):
        return query_pb2.Pivot(column=given)
    words = words_of(given, {"column": "column", "field": "column", "values": "values"}, "split_by", field)
    values = list_of(words.get("values", ()), "values", f"{field}.values")
    return query_pb2.Pivot(
        column=text_of(words, "column", field),
        values=[value_of(value, f"{field}.values[{at}]") for at, value in enumerate(values)],
    )
