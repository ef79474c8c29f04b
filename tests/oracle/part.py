"""Expressions as trees, and how one is written as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.oracle.documents import FUNCTIONS


@dataclass(frozen=True, repr=False)
class Part:
    """An operation and what it works on; of a column `value` is the name, of a literal the value."""

    op: str
    kind: str
    parts: tuple[Part, ...] = ()
    value: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} {written(self)}>"


def written(part: Part) -> str:
    """The text of an expression, every part of it in parentheses."""
    texts = [f"({written(inner)})" for inner in part.parts]
    match part.op:
        case "column":
            name = str(part.value)
            return name if name.isidentifier() else f'row["{name}"]'
        case "literal" if isinstance(part.value, str):
            return "'" + part.value + "'"
        case "literal" if part.value is None or isinstance(part.value, bool):
            return {None: "null", True: "true", False: "false"}[part.value]
        case "literal":
            return f"({part.value!r})"
        case "now":
            return "now()"
        case "negate":
            return f"-{texts[0]}"
        case "!":
            return f"!{texts[0]}"
        case "?:":
            return f"{texts[0]} ? {texts[1]} : {texts[2]}"
        case "is null" | "is not null":
            return f"{texts[0]} {'==' if part.op == 'is null' else '!='} null"
        case "in":
            return f"{texts[0]} in [{', '.join(texts[1:])}]"
        case "[0]":
            return f"{texts[0]}[0]"
        case "length":
            return f"{texts[0]}.length"
        case "toUpperCase" | "toLowerCase" | "getTime":
            return f"{texts[0]}.{part.op}()"
        case "Math.max" | "Math.min":
            return f"{part.op}({', '.join(texts)})"
        case "String":
            return f"String({texts[0]})"
        case "includes":
            return f"{texts[0]}.includes({texts[1]})"
        case "some" | "every" | "find" | "filter" | "map" | "reduce":
            return f"{texts[0]}.{part.op}{FUNCTIONS[part.op].format(texts[1])}"
        case "bucket":
            return f"bucket({texts[0]}, '1s')"
        case _:
            return f" {part.op} ".join(texts)
