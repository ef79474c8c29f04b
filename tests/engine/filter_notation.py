"""The notation of docs/SEMANTICS.md: literals and filters as text, read into what the engine takes.

filter  = or ;  or = and {"or" and} ;  and = unary {"and" unary}
unary   = "not" "(" filter ")" | "(" filter ")" | "all of nothing" | "any of nothing" | leaf
leaf    = "x" ("is" ["not"] "null" | op literal | ["not"] ("in" list | "like" text) | "between" literal "and" literal)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tesseract_grpc.engine.data.schema import ColumnSchema, DataType
from tesseract_grpc.engine.query import filter as f
from tesseract_grpc.engine.query.literal import Literal, Timestamp, parse_timestamp

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "SEMANTICS.md"

TOKEN = re.compile(
    r"\s*('[^']*'|-?\d+(?:\.\d+)?(?:e-?\d+)?|-?Infinity|[A-Za-z]+|==|!=|<=|>=|<|>|!~\*|!~|~\*|~|\(|\)|,)"
)
BAR = re.compile(r"(?<!\\)\|")
OPERATORS = dict(zip(("==", "!=", "<", "<=", ">", ">="), f.CompareOp, strict=True))
WORDS: dict[str, Literal] = {"null": None, "true": True, "false": False, "NaN": math.nan}


def column(type: DataType, name: str = "x") -> ColumnSchema:
    """A column as the document declares it."""
    return ColumnSchema(name, type, enum_values=("low", "mid", "high") if type is DataType.ENUM else ())


@dataclass(frozen=True)
class Line:
    """One row of a table of the document."""

    number: int
    cells: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.number}: {' | '.join(self.cells)}"


def lines(*header: str) -> list[Line]:
    """The rows of all tables of the document that have this header."""
    found: list[Line] = []
    inside = False
    for number, text in enumerate(DOCUMENT.read_text().splitlines(), 1):
        if not text.startswith("|"):
            inside = False
            continue
        # A bar inside of a cell is written with a backslash.
        cells = tuple(cell.strip().strip("`").replace("\\|", "|") for cell in BAR.split(text.strip("|")))
        if cells == header:
            inside = True
        elif inside and not text.startswith("|---"):
            found.append(Line(number, cells))
    return found


def tokens(text: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        assert match is not None, f"not in the notation: {text[place:]}"
        found.append(match[1])
        place = match.end()
    return found


def literal(token: str) -> Literal:
    if token in WORDS:
        return WORDS[token]
    if token.startswith("'"):
        return token[1:-1]
    return float(token) if re.search(r"[.eI]", token) else int(token)


def value(type: DataType, token: str) -> Literal:
    """What a column of the type holds for a literal."""
    found = literal(token)
    if type is DataType.TIMESTAMP and isinstance(found, str):
        return parse_timestamp(found)
    return float(found) if type is DataType.FLOAT64 and isinstance(found, int) else found


def values(type: DataType, text: str) -> list[Literal]:
    return [value(type, token) for token in tokens(text) if token != ","]


def parse(text: str) -> f.Filter:
    reader = _Reader(tokens(text))
    found = reader.either()
    assert not reader.left, f"left over in {text!r}: {reader.left}"
    return found


class _Reader:
    def __init__(self, left: list[str]) -> None:
        self.left = left

    def next(self, *wanted: str) -> str | None:
        """Takes the next token when it is one of these."""
        return self.left.pop(0) if self.left and self.left[0] in wanted else None

    def phrase(self, text: str) -> bool:
        words = text.split()
        if self.left[: len(words)] != words:
            return False
        del self.left[: len(words)]
        return True

    def either(self) -> f.Filter:
        parts = [self.both()]
        while self.next("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else f.AnyOf(tuple(parts))

    def both(self) -> f.Filter:
        parts = [self.unary()]
        while self.next("and"):
            parts.append(self.unary())
        return parts[0] if len(parts) == 1 else f.AllOf(tuple(parts))

    def unary(self) -> f.Filter:
        if self.next("not"):
            return f.Negate(self.unary())
        if self.next("("):
            inner = self.either()
            assert self.next(")")
            return inner
        if self.phrase("all of nothing"):
            return f.AllOf(())
        if self.phrase("any of nothing"):
            return f.AnyOf(())
        assert self.next("x")
        return self.leaf()

    def leaf(self) -> f.Filter:
        if self.next("is"):
            negated = self.next("not") is not None
            assert self.next("null")
            return f.NullTest("x", negated)
        if self.next("between"):
            lower = self.literal()
            assert self.next("and")
            return f.Between("x", lower, self.literal())
        if operator := self.next(*OPERATORS):
            return f.Compare("x", OPERATORS[operator], self.literal())
        if operator := self.next("~", "~*", "!~", "!~*"):
            return f.Regex("x", str(self.literal()), operator.endswith("*"), operator.startswith("!"))
        negated = self.next("not") is not None
        if self.next("like"):
            return f.Like("x", str(self.literal()), negated)
        assert self.next("in"), self.left
        return f.In("x", tuple(self.listed()), negated)

    def listed(self) -> Iterator[Literal]:
        assert self.next("(")
        while not self.next(")"):
            yield self.literal()
            self.next(",")

    def literal(self) -> Literal:
        if self.next("time"):
            return Timestamp(parse_timestamp(str(literal(self.left.pop(0)))))
        return literal(self.left.pop(0))
