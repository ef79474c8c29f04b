"""A checked expression: every node has a type, every conversion is written out, and constants are folded.

A tree of five leaves (a constant, a column, an enum column's rank, the present, a parameter) and two inner nodes: the
`Call` of an operation by name, and the `Lambda` that some operations take. Where a node stands in the text does not
count when trees are compared, so two expressions that say the same are equal, and sessions that use them share one
plan.

Most operations are *strict*: null when an argument is null. `NOT_STRICT` lists the others, and `HIGHER` those that take
a function.

A value of type JSON is a document or a part of one, as Python has it after reading (`document.py`); only the column
itself, and what the operation `json_text` makes of a value, is the document's text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from tesseract_grpc.engine.data.schema import DataType

Value: TypeAlias = bool | int | float | str | None
"""A value as Python has it; a TIMESTAMP is whole microseconds since 1970 UTC, a constant of type JSON is its text."""


class Type(IntEnum):
    """The type of an expression: that of a column, or of the literal `null`. INVALID marks a part with a mistake."""

    INVALID = -1
    NULL = 0
    BOOL = 1
    INT64 = 2
    FLOAT64 = 3
    TIMESTAMP = 4
    STRING = 5
    JSON = 6
    ENUM = 7

    @property
    def is_number(self) -> bool:
        """Whether one can calculate with it."""
        return self in (Type.INT64, Type.FLOAT64)

    @property
    def is_text(self) -> bool:
        """Whether values are texts, as far as operators see."""
        return self in (Type.STRING, Type.ENUM)

    @property
    def data_type(self) -> DataType:
        """The type of a column that would hold it; the null literal takes STRING."""
        return DataType(self.value) if self > 0 else DataType.STRING


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that no row changes. There is one NaN and one zero, so that equal constants are equal."""

    type: Type
    value: Value
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.value, float):
            object.__setattr__(self, "value", math.nan if math.isnan(self.value) else self.value + 0.0)


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """The value of a column."""

    type: Type
    name: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of an ENUM column's value in the order of its declaration, counted from 0."""

    name: str
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    @property
    def type(self) -> Type:
        return Type.INT64


@dataclass(frozen=True, slots=True)
class Now:
    """The present, by the hub's clock."""

    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    @property
    def type(self) -> Type:
        return Type.TIMESTAMP


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a function is given. Numbers count from 0, from the outermost function inwards."""

    number: int
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    @property
    def type(self) -> Type:
        return Type.JSON


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function that an operation calls: the number of its first parameter, how many it has, and what it gives."""

    first: int
    count: int
    body: Typed
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)

    @property
    def type(self) -> Type:
        return self.body.type


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on arguments."""

    type: Type
    op: str
    arguments: tuple[Typed, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


Typed: TypeAlias = Constant | ColumnRef | Rank | Now | Parameter | Lambda | Call

TRUE = Constant(Type.BOOL, True)
FALSE = Constant(Type.BOOL, False)

NOT_STRICT = frozenset(
    ("and", "or", "truth", "is_null", "not_null", "coalesce", "choose", "first_true", "first_false", "array")
)
"""The operations that can have a value though an argument is null."""

HIGHER = frozenset(
    ("json_filter", "json_map", "json_find", "json_find_index", "json_some", "json_every", "json_reduce")
)
"""The operations that take a function. They are null when their first argument is no array; the others may be null."""


def walk(node: Typed) -> Iterator[Typed]:
    """The node and everything below it, parents first."""
    yield node
    if isinstance(node, Call):
        for argument in node.arguments:
            yield from walk(argument)
    elif isinstance(node, Lambda):
        yield from walk(node.body)


def columns_of(node: Typed) -> tuple[str, ...]:
    """The names of the columns that are read, in order of first appearance."""
    return tuple(dict.fromkeys(each.name for each in walk(node) if isinstance(each, (ColumnRef, Rank))))


def uses_now(node: Typed) -> bool:
    """Whether the value changes with time."""
    return any(isinstance(each, Now) for each in walk(node))


def spelling(node: Typed) -> str:
    """A text that is the same exactly for equal trees."""
    match node:
        case Constant():
            return f"{node.type.name}:{node.value!r}"
        case ColumnRef():
            return f"[{node.name!r}]"
        case Rank():
            return f"rank[{node.name!r}]"
        case Now():
            return "now"
        case Parameter():
            return f"${node.number}"
        case Lambda():
            return f"{node.first}+{node.count}=>{spelling(node.body)}"
    return f"{node.op}({','.join(map(spelling, node.arguments))}):{node.type.name}"
