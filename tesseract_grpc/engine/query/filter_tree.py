"""The nodes of a filter: a condition on a row, as a tree of frozen values.

A filter is true, false or unknown for a row (Kleene's three values; a comparison with null is unknown), and keeps the
rows for which it is true. The nodes say only what is asked. Whether that makes sense for a table, and what its normal
form is, is the business of `check_filter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from tesseract_grpc.engine.query.expression.typed import Typed
from tesseract_grpc.engine.query.literal import Literal


class CompareOp(IntEnum):
    """How two values compare. The numbers are those of the wire."""

    EQUAL = 1
    NOT_EQUAL = 2
    LESS = 3
    LESS_OR_EQUAL = 4
    GREATER = 5
    GREATER_OR_EQUAL = 6


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when all are true; with none, true."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when any is true; with none, false."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Negate:
    """True when the inner filter is false; unknown stays unknown."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class Compare:
    """`column op value`; EQUAL and NOT_EQUAL with None are the null tests."""

    column: str
    op: CompareOp
    value: Literal


@dataclass(frozen=True, slots=True)
class In:
    """`column in values`; a None among the values makes what is not found unknown."""

    column: str
    values: tuple[Literal, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    """`lower <= column <= upper`; None means no bound."""

    column: str
    lower: Literal
    upper: Literal


@dataclass(frozen=True, slots=True)
class Like:
    """Contains a text, case-insensitive; with '%' in it, matches a SQL pattern as a whole, case-insensitive."""

    column: str
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression (RE2 syntax) matches somewhere in the text."""

    column: str
    pattern: str
    case_insensitive: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class NullTest:
    """`column is null`, or negated `column is not null`; never unknown."""

    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Custom:
    """An expression as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    """What is left of a custom filter when all that other nodes can say is said by them: a checked BOOL expression."""

    condition: Typed


Filter: TypeAlias = AllOf | AnyOf | Negate | Compare | In | Between | Like | Regex | NullTest | Custom | Expression

TRUE = AllOf(())
"""The filter that keeps every row."""

FALSE = AnyOf(())
"""The filter that keeps no row."""
