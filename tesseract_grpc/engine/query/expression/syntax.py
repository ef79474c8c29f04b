"""What an expression says, as a tree of frozen values: what the parser makes and the checker reads.

Nothing here has a type yet: `Math.floor(x)` is an `Invoke` on the `Name` Math until the checker looks it up. Every node
knows where it stands in the text; an operator's place is the operator's sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true, false or null."""

    line: int
    column: int
    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression between slashes, with its flags."""

    line: int
    column: int
    text: str
    flags: str


@dataclass(frozen=True, slots=True)
class Array:
    """Values in brackets, or in the parentheses of `in (..)`."""

    line: int
    column: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Texts and expressions that are joined to one text."""

    line: int
    column: int
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Name:
    """A column, or one of the words that the language knows."""

    line: int
    column: int
    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    """`- x`, `+ x` or `! x`."""

    line: int
    column: int
    op: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two operands."""

    line: int
    column: int
    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logical:
    """Operands joined by `&&`, by `||` or by `??`."""

    line: int
    column: int
    op: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """`condition ? then : otherwise`."""

    line: int
    column: int
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Membership:
    """`target in (items)`, or its negation."""

    line: int
    column: int
    target: Node
    items: Array
    negated: bool


@dataclass(frozen=True, slots=True)
class Range:
    """`target between lower and upper`, both included, or its negation."""

    line: int
    column: int
    target: Node
    lower: Node
    upper: Node
    negated: bool


@dataclass(frozen=True, slots=True)
class Member:
    """`target.name`."""

    line: int
    column: int
    target: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`target[place]`."""

    line: int
    column: int
    target: Node
    place: Node


@dataclass(frozen=True, slots=True)
class Invoke:
    """`target.name(arguments)`, or without a target a function."""

    line: int
    column: int
    target: Node | None
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Construct:
    """`new name(arguments)`."""

    line: int
    column: int
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """`(parameters) => body`."""

    line: int
    column: int
    parameters: tuple[str, ...]
    body: Node


Node: TypeAlias = (
    Literal
    | Pattern
    | Array
    | Template
    | Name
    | Unary
    | Binary
    | Logical
    | Choose
    | Membership
    | Range
    | Member
    | Index
    | Invoke
    | Construct
    | Function
)


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below a node, in the order of the text."""
    match node:
        case Array(items=below) | Template(parts=below) | Logical(operands=below) | Construct(arguments=below):
            return below
        case Unary(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case Choose(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case Membership(target=target, items=items):
            return (target, items)
        case Range(target=target, lower=lower, upper=upper):
            return (target, lower, upper)
        case Member(target=target):
            return (target,)
        case Function(body=body):
            return (body,)
        case Index(target=target, place=place):
            return (target, place)
        case Invoke(target=receiver, arguments=arguments):
            return arguments if receiver is None else (receiver, *arguments)
    return ()
