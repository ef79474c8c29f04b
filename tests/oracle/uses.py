"""Whether a question asks for a column by name, at any depth. What it shows because it names nothing is no use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from tests.oracle.asks import Between, Compare, In, IsNull, Like, Regex
from tests.oracle.part import Part
from tests.oracle.question import Grouping


def uses(ask: Any, column: str) -> bool:
    """Whether a name in a question is the column's, or what a join makes of it."""
    pattern = re.compile(rf"(j\d+_)*{re.escape(column)}(_too)?")
    return any(pattern.fullmatch(name) for name in _texts(ask))


def _texts(said: Any) -> Iterator[str]:
    """All texts that may be names: everything but literals."""
    match said:
        case str():
            yield said
        case Compare() | In() | Between() | Like() | Regex() | IsNull():
            yield said.column
        case Part():
            yield from [str(said.value)] if said.op == "column" else []
            yield from _texts(said.parts)
        case Grouping():
            yield from _texts((said.by, said.aggregates, "" if said.pivot is None else said.pivot[0]))
        case tuple():
            for each in said:
                yield from _texts(each)
        case _ if is_dataclass(said):
            for each in fields(said):
                yield from _texts(getattr(said, each.name))
