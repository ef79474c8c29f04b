"""What an expression is for a row.

Nothing here reads text: a tree is drawn, written down for whom is judged, and evaluated here as the documents say, with
None for null. A part knows its kind, which is the type of its values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.oracle.documents import of_document
from tests.oracle.part import Part

Row = Mapping[str, Any]
Names = Mapping[str, Sequence[str]]
"""The values of each ENUM column, as declared."""

BOUND = 2**63
COMPARISONS: dict[str, Callable[[int], bool]] = {
    "==": lambda way: way == 0,
    "!=": lambda way: way != 0,
    "<": lambda way: way < 0,
    "<=": lambda way: way <= 0,
    ">": lambda way: way > 0,
    ">=": lambda way: way >= 0,
}


def evaluate(part: Part, row: Row, names: Names, now: int) -> Any:
    """The value of an expression for a row, at a time in microseconds."""
    if part.op == "column":
        return row[part.value]
    if part.op in ("literal", "now"):
        return now if part.op == "now" else part.value
    values = [evaluate(inner, row, names, now) for inner in part.parts]
    first = values[0]
    if part.parts[0].kind == "json":
        return of_document(part.op, None if first is None else json.loads(first), values[1:])
    match part.op:
        case "is null" | "is not null":
            return (first is None) == (part.op == "is null")
        case "?:":
            return of_kind(part.kind, values[1] if truthy(first) else values[2])
        case "??":
            return of_kind(part.kind, values[1] if first is None else first)
        case "!":
            known = tested(part.parts[0], first)
            return None if known is None else not known
        case "&&" | "||":
            return logical(part, values)
        case "in":
            tests = [None if None in (first, other) else order(first, other) == 0 for other in values[1:]]
            return True if True in tests else None if None in tests or first is None else False
    if None in values:
        return None
    if part.op in COMPARISONS:
        enums = [names.get(inner.value) for inner in part.parts if inner.kind == "enum" and inner.op == "column"]
        if enums and enums[0] is not None:
            values = [enums[0].index(value) for value in values]
        return COMPARISONS[part.op](order(values[0], values[1]))
    return of_kind(part.kind, strict(part, values))


def truthy(value: Any) -> bool:
    return value is not None and value == value and (not isinstance(value, (bool, int, float, str)) or bool(value))


def tested(part: Part, value: Any) -> bool | None:
    """A value as a condition: a time that is there is true, whatever it is."""
    if part.kind == "bool":
        return None if value is None else bool(value)
    return value is not None if part.kind == "timestamp" else truthy(value)


def logical(part: Part, values: list[Any]) -> Any:
    if part.kind != "bool" or {inner.kind for inner in part.parts} - {"bool", "int64", "string", "float64"}:
        raise AssertionError(f"{part} is not drawn")
    known = [tested(inner, value) for inner, value in zip(part.parts, values, strict=True)]
    decides = part.op == "||"
    return decides if decides in known else None if None in known else not decides


def order(left: Any, right: Any) -> int:
    """-1, 0 or 1; NaN above every number and equal to itself."""
    if left != left or right != right:
        return int(left != left) - int(right != right)
    return int(left > right) - int(left < right)


def of_kind(kind: str, value: Any) -> Any:
    """A value as a column of this type holds it: no whole number outside INT64, no negative zero."""
    if value is None:
        return None
    if kind == "float64":
        return float(value) + 0.0
    return None if kind in ("int64", "timestamp") and not -BOUND <= value < BOUND else value


def strict(part: Part, values: list[Any]) -> Any:
    """What is null where any part is null."""
    second: Any
    first, second = values[0], values[1] if len(values) > 1 else 0
    kinds = [inner.kind for inner in part.parts]
    match part.op:
        case "+" if part.kind == "string":
            return "".join(as_text(kind, value) for kind, value in zip(kinds, values, strict=True))
        case "+" | "-" if part.kind == "timestamp":  # numbers beside times are milliseconds
            return first + second * 1000 if part.op == "+" else first - second * 1000
        case "-" if kinds == ["timestamp", "timestamp"]:
            return (first - second) / 1000 if of_kind("int64", first - second) is not None else None
        case "/":
            return divided(float(first), float(second))
        case "%":
            return None if second == 0 else abs(first) % abs(second) * (-1 if first < 0 else 1)
        case "Math.max" | "Math.min":
            return max(values) if part.op == "Math.max" else min(values)
        case "~":
            return second.casefold() in first.casefold()
        case "bucket":
            return first // 1_000_000 * 1_000_000
    ways: dict[str, Callable[[], Any]] = {
        "+": lambda: first + second, "-": lambda: first - second, "*": lambda: first * second,
        "negate": lambda: -first, "length": lambda: len(first), "toUpperCase": lambda: first.upper(),
        "toLowerCase": lambda: first.lower(), "getTime": lambda: first // 1000,
        "String": lambda: as_text(kinds[0], first),
    }  # fmt: skip
    return ways[part.op]()


def divided(first: float, second: float) -> float:
    if second == 0:
        return math.nan if first == 0 or first != first else math.copysign(math.inf, first)
    return first / second


def as_text(kind: str, value: Any) -> str:
    """A value as JavaScript writes it."""
    if kind == "bool":
        return "true" if value else "false"
    if kind == "timestamp":
        when = datetime(1970, 1, 1) + timedelta(microseconds=value)
        return when.isoformat(timespec="microseconds" if when.microsecond % 1000 else "milliseconds") + "Z"
    if kind == "float64":
        if value != value or math.isinf(value):
            return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        return str(int(value)) if value == int(value) and abs(value) < 1e21 else fraction_text(value)
    return str(value)


def fraction_text(value: float) -> str:
    """The shortest digits that mean a double, written as JavaScript does: Python turns to exponents sooner, and fills
    them up with a zero."""
    digits, _, exponent = repr(value).partition("e")
    if exponent in ("-05", "-06"):
        whole, _, rest = digits.lstrip("-").partition(".")
        return f"{'-' if value < 0 else ''}0.{'0' * (-int(exponent) - 1)}{whole}{rest}"
    return f"{digits}e{int(exponent):+d}" if exponent else digits
