"""What can be said of a table, as plain data: its definition, conditions on rows, writes. Queries are in question.py.

These words belong to the tests. `tests/engine/translate.py` turns them into the engine's, and the socket tests turn
them into protos, so the oracle and what it judges meet nowhere but in the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tests.oracle.brief import Brief
from tests.oracle.part import Part

Row = dict[str, Any]
Key = tuple[Any, ...]
Operator = Literal["==", "!=", "<", "<=", ">", ">="]
Kind = Literal["insert", "upsert", "update", "delete", "increment"]


@dataclass(frozen=True, repr=False)
class AllOf(Brief):
    filters: tuple[Ask, ...]


@dataclass(frozen=True, repr=False)
class AnyOf(Brief):
    filters: tuple[Ask, ...]


@dataclass(frozen=True, repr=False)
class Not(Brief):
    filter: Ask


@dataclass(frozen=True, repr=False)
class Compare(Brief):
    column: str
    operator: Operator
    value: Any


@dataclass(frozen=True, repr=False)
class In(Brief):
    column: str
    values: tuple[Any, ...]
    negated: bool = False


@dataclass(frozen=True, repr=False)
class Between(Brief):
    column: str
    lower: Any = None
    upper: Any = None


@dataclass(frozen=True, repr=False)
class Like(Brief):
    column: str
    pattern: str
    negated: bool = False


@dataclass(frozen=True, repr=False)
class Regex(Brief):
    column: str
    pattern: str
    any_case: bool = False
    negated: bool = False


@dataclass(frozen=True, repr=False)
class IsNull(Brief):
    column: str
    negated: bool = False


@dataclass(frozen=True, repr=False)
class Custom(Brief):
    """An expression as a condition."""

    expression: Part


Ask = AllOf | AnyOf | Not | Compare | In | Between | Like | Regex | IsNull | Custom


class Moment(int):
    """A literal that is a time, in microseconds: in a request it must be told from a number."""


@dataclass(frozen=True, repr=False)
class Field(Brief):
    """A column: types are bool, int64, float64, timestamp (int microseconds), string, json, enum.

    `computed` makes its value of the others; `default_of` that of an insert that does not mention it.
    """

    name: str
    type: str
    key: bool = False
    required: bool = False
    default: Any = None
    names: tuple[str, ...] = ()
    computed: Part | None = None
    default_of: Part | None = None


@dataclass(frozen=True, repr=False)
class Definition(Brief):
    """A table's columns, in order."""

    name: str
    fields: tuple[Field, ...]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields if field.key)

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)


@dataclass(frozen=True, repr=False)
class Only(Brief):
    """A condition on the rows before a write."""

    if_version: int | None = None
    if_absent: bool = False
    if_filter: Ask | None = None
    skip: bool = False


@dataclass(frozen=True, repr=False)
class Put(Brief):
    """One write to one table; `rows` are dicts that all have the same columns. `lenient` is ignore_missing for
    updates and increments; deletes are lenient unless `strict`."""

    table: str
    kind: Kind
    rows: tuple[Row, ...] = ()
    filter: Ask | None = None
    lenient: bool = False
    strict: bool = False
    only: Only | None = None
