"""A table with every type and the values of each that files like to lose, and what two tables must have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from tesseract_grpc.client import EventHorizon, Tesseract

MOMENTS = (0, 1, -1, 1_700_000_000_123_456, 253_402_300_799_999_999, 320_000_000_000_000_000, -62_200_000_000_000_001)
"""Microseconds; the last two lie in the year 12110 and before the year 1."""

TEXTS = (
    "",
    "null",
    "NULL",
    "NA",
    " padded ",
    'say "hi", twice',
    "two\nlines",
    "cr\rlf\r\n",
    "😀 é ﷽",
    "NaN",
    "007",
    "'",
    "\\N",
)
DOUBLES = (0.1, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, -1e-7, 0.0, 1 / 3)
INTEGERS = (-(2**63), 2**63 - 1, 0, 2**53 + 1, -1)
DOCUMENTS: tuple[Any, ...] = (
    {"a": [1, 2.5, None], "b": {"c": "d"}},
    [],
    "text",
    12345678901234567890,
    {"é": "\n"},
    True,
    {},
)
ROWS = 60

COLUMNS: list[dict[str, Any]] = [
    {"name": "region", "type": "string", "primary_key": True},
    {"name": "number", "type": "int64", "primary_key": True},
    {"name": "whole", "type": "int64", "index": "sorted"},
    {"name": "double", "type": "float64", "default": 1.5},
    {"name": "text", "type": "string", "index": "hash", "required": True, "description": "what is said"},
    {"name": "at", "type": "timestamp"},
    {"name": "flag", "type": "bool"},
    {"name": "doc", "type": "json"},
    {"name": "kind", "type": "enum", "enum": ["low", "high, er", '"q"']},
    {"name": "twice", "expression": "whole == null ? null : number * 2"},
    {"name": "stamp", "type": "timestamp", "default_expression": "now()"},
    {"name": 'a,b "c"\n', "type": "string"},
    {"name": "=1+ü", "type": "bool"},
    {"name": "nothing", "type": "float64"},
]


def pick(values: Any, at: int) -> Any:
    """A value, or None now and then."""
    return None if at % 5 == 4 else values[at % len(values)]


def row(at: int) -> dict[str, Any]:
    moment = pick(MOMENTS, at)
    return {
        "region": "nesw"[at % 4],
        "number": at * 7 - 100,
        "whole": pick(INTEGERS, at),
        "double": pick(DOUBLES, at),
        "text": TEXTS[at % len(TEXTS)],
        "at": None if moment is None else np.datetime64(moment, "us"),
        "flag": pick((True, False), at),
        "doc": pick(DOCUMENTS, at),
        "kind": pick(("low", "high, er", '"q"'), at),
        'a,b "c"\n': pick(TEXTS, at + 3),
        "=1+ü": pick((False, True), at + 1),
        "nothing": None,
    }


def make(hub: EventHorizon, name: str = "everything", rows: int = ROWS) -> Tesseract:
    """The table."""
    table = hub.create_tesseract(name, COLUMNS, description="all of it")
    table.add([row(at) for at in range(rows)])
    table.remove([("n", -100)])
    table.add([row(0)])  # it came last now
    return table


def raw(table: Tesseract) -> list[dict[str, str]]:
    """The rows in their order, with values as the wire has them: null is not NaN, and 1 is not True."""
    rows = table.get_data()
    found = [row for block in rows.blocks for row in block.to_raw_dicts()]
    return [{name: repr(row[name]) for name in rows.types} for row in found]


def definition(table: Tesseract) -> Any:
    """What a table is, but for its name and the places on the line of versions."""
    table.info()
    message = table._table
    return (
        [column.SerializeToString(deterministic=True) for column in message.columns],
        sorted(index.SerializeToString(deterministic=True) for index in message.indexes),
        message.description,
        message.retention.SerializeToString(deterministic=True),
        message.memory_limit.SerializeToString(deterministic=True),
    )
