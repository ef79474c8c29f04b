"""JSON for the naive evaluator of `expression_world`: what operations on values do, as the documents say.

A JSON value is what `json.loads` makes of a text; None is null. Nothing here is shared with the engine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

DOCUMENTS: list[str | None] = [
    None, "null", "true", "0", "1", "-2.5", "9007199254740993", "18446744073709551616", '""', '"a"', '"12"', "[]",
    '"2024-02-29T12:00:00Z"', "[1, 2, 3]", '[0, null, "a", true, [1], {"a": 2}]', '["a", "b", "a"]', "{}",
    '{"a": 1, "b": "a"}', '{"a": [{"a": 3, "b": "x"}, {"a": null, "b": "y"}, {"b": 0.5}]}',
    '{"a": {"a": {"a": false}}}',
]  # fmt: skip
"""Documents at the edges."""

TIMES = {"2024-02-29T12:00:00Z": 1_709_208_000_000_000}
"""The texts in documents that are times."""


class NotKnown(Exception):
    """The naive evaluator has no answer of its own."""


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"


def as_kind(value: Any, wanted: str) -> Any:
    """A JSON value beside a value of another kind."""
    if value is None:
        return None
    found = kind(value)
    if wanted in ("int", "float"):
        if found != "number":
            return None
        return float(value) if abs(value) < 2**1000 else math.copysign(math.inf, value)
    if wanted in ("text", "enum"):
        return value if found == "text" else None
    if wanted == "time":
        return TIMES.get(value) if found == "text" else None
    return value if found == "bool" else None


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same in all their parts."""
    if left is None or right is None:
        return left is right
    if kind(left) != kind(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right) or (left != left and right != right)


def compare(op: str, left: Any, right: Any, order: Callable[[Any, Any], int]) -> bool | None:
    """A comparison with a JSON value; `order` compares values of one kind."""
    if left is None or right is None or kind(left) != kind(right):
        return None
    if kind(left) in ("list", "object"):
        return None if op not in ("==", "!=") else same(left, right) is (op == "==")
    way = order(left, right)
    tests = {"==": way == 0, "!=": way != 0, "<": way < 0, "<=": way <= 0, ">": way > 0, ">=": way >= 0}
    return tests[op]


def plain(value: Any) -> Any:
    """What remains of a JSON value when it is written: numbers that JSON has, NaN and the like as null."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return None if not math.isfinite(value) else int(value) if value == int(value) else value
    return value


def text_of(value: Any) -> str:
    """`String(x)`."""
    found = kind(value)
    if found == "text":
        return str(value)
    if found == "number":
        return number_text(value)
    if has_float(value):
        raise NotKnown(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def has_float(value: Any) -> bool:
    if isinstance(value, list | dict):
        return any(map(has_float, value if isinstance(value, list) else value.values()))
    return isinstance(value, float)


def number_text(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    if "e" in repr(value) or abs(value) >= 1e15:
        raise NotKnown(value)
    return repr(value)


def operation(op: str, values: list[Any], kinds: list[str]) -> Any:
    """A strict operation, none of whose arguments is null."""
    first = values[0]
    second: Any = values[1] if len(values) > 1 else None
    found = kind(first)
    holder = found in ("list", "text")
    match op:
        case "path":
            return first.get("a") if found == "object" else None
        case "at":
            return first[second] if holder and 0 <= second < len(first) else (
                first.get(str(second)) if found == "object" else None)  # fmt: skip
        case "length":
            return len(first) if holder else None
        case "slice":
            return first[second:] if holder else None
        case "includes" | "indexOf":
            if found == "text":
                place = first.find(second) if kind(second) == "text" else None
            else:
                places = [n for n, item in enumerate(first) if same(item, second)] if found == "list" else None
                place = None if places is None else places[0] if places else -1
            return place if op == "indexOf" or place is None else place >= 0
        case "join":
            return "-".join("" if item is None else text_of(item) for item in first) if found == "list" else None
        case "split":
            return list(first) if not second else first.split(second)
        case "String":
            return text_of(first)
        case "parseInt":
            if found != "number" or (isinstance(first, float) and not math.isfinite(first)):
                if found == "text" and first:
                    raise NotKnown(first)
                return None
            return int(first) if -(2**63) <= int(first) < 2**63 else None
        case "Number":
            if found == "text" and first not in ("", "12"):
                raise NotKnown(first)
            if found == "number":
                return as_kind(first, "float")
            return {"": 0.0, "12": 12.0}[first] if found == "text" else float(first) if found == "bool" else math.nan
        case "+" if "text" in kinds:
            return "".join(value if isinstance(value, str) else text_of(value) for value in values)
        case "+" if kinds == ["json", "json"]:
            return _sum(first, second)
    raise NotKnown(op)


def _sum(first: Any, second: Any) -> Any:
    kinds = {kind(first), kind(second)}
    if "text" in kinds:
        return text_of(first) + text_of(second)
    if kinds != {"number"}:
        return None
    if isinstance(first, int) and isinstance(second, int):
        return first + second
    return as_kind(first, "float") + as_kind(second, "float")
