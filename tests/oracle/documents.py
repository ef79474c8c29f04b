"""What expressions ask of JSON: parts of documents, and functions of the items of arrays.

A function's body stands for many: it compares or adds its item and a value from outside, which is worked out for each
row.
"""

from __future__ import annotations

import json
import math
from typing import Any

FUNCTIONS = {
    "some": "(item => item > {0})",
    "every": "(item => item >= {0})",
    "find": "(item => item != {0})",
    "filter": "(item => item == {0})",
    "map": "(item => item * {0})",
    "reduce": "((sum, item) => sum + item, {0})",
}
"""The methods that take a function, as they are written with that value."""


def of_document(op: str, found: Any, others: list[Any]) -> Any:
    """What is asked of JSON, whose own null is null, too; texts and arrays have a length and a first part."""
    if op in ("is null", "is not null"):
        return (found is None) == (op == "is null")
    if not isinstance(found, (list, str)):
        return None
    if op == "length":
        return len(found)
    if op == "[0]":
        return text_of(found[0] if found else None)
    if op == "includes":
        if others[0] is None or isinstance(found, str):
            return None if others[0] is None else others[0] in found
        return any(same(item, others[0]) for item in found)
    if not isinstance(found, list):
        return None
    return of_function(op, found, others[0])


def of_function(op: str, items: list[Any], value: Any) -> Any:
    """The methods that take a function."""
    if op == "map":
        return text_of([None if value is None or not number(item) else plain(float(item) * value) for item in items])
    if op == "reduce":
        for item in items:
            value = added(value, item)
        return text_of(value)
    if op in ("some", "every"):
        tests = [
            number(item) and value is not None and (item > value or (op == "every" and item == value)) for item in items
        ]
        return any(tests) if op == "some" else all(tests)
    comparable = [(item, type_of(item) == type_of(value) and None not in (item, value)) for item in items]
    if op == "find":
        return text_of(next((item for item, known in comparable if known and not same(item, value)), None))
    return text_of([item for item, known in comparable if known and same(item, value)])


def added(left: Any, right: Any) -> Any:
    """`+` of two JSON values: texts and numbers are put together where one is a text, else numbers are added."""
    if left is None or right is None:
        return None
    if isinstance(left, str) or isinstance(right, str):
        return written(left) + written(right)
    return plain(left + right) if number(left) and number(right) else None


def written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def type_of(value: Any) -> str:
    return "number" if number(value) else type(value).__name__


def same(left: Any, right: Any) -> bool:
    return type_of(left) == type_of(right) and bool(left == right)


def plain(value: float) -> float | None:
    """A number as JSON shows it, which has no infinities and no NaN."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def text_of(value: Any) -> str | None:
    """A JSON value as a column holds it."""
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
