"""Small tables, random filters over them, and what a filter means by the book.

Domains are tiny, so that filters hit, and hold what is special about each type: nulls, NaN, infinities, the ends of
INT64, whole numbers that no double holds, empty and mixed-case texts. `holds` is a naive evaluator in three values that
shares nothing with the engine but the nodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN, ColumnSchema, DataType, Scalar, TableSchema
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.query import filter as f
from tesseract_grpc.engine.query.literal import Literal, Timestamp

NAMES = ("new", "Old", "mid")
SCHEMA = TableSchema(
    (
        ColumnSchema("key", DataType.INT64, primary_key=True),
        ColumnSchema("whole", DataType.INT64),
        ColumnSchema("real", DataType.FLOAT64),
        ColumnSchema("text", DataType.STRING),
        ColumnSchema("kind", DataType.ENUM, enum_values=NAMES),
        ColumnSchema("flag", DataType.BOOL),
        ColumnSchema("time", DataType.TIMESTAMP),
        ColumnSchema("must", DataType.STRING, required=True),
        ColumnSchema("doc", DataType.JSON),
    )
)
BIG = 2**53
VALUES: dict[str, tuple[Scalar, ...]] = {
    "key": (1, 2, 3),
    "whole": (None, -2, 0, 1, 2, BIG, BIG + 1, INT64_MAX, INT64_MIN),
    "real": (None, -math.inf, -1.5, 0.0, 1.0, 2.0, float(BIG), BIG + 2.0, math.inf, math.nan),
    "text": (None, "", "a", "Ab", "b%", "STRASSE", "ß"),
    "kind": (None, *NAMES),
    "flag": (None, True, False),
    "time": (None, 0, 1, 5),
    "must": ("", "a", "B"),
    "doc": (None, "{}"),
}
NUMBERS: tuple[Literal, ...] = (-2, 0, -0.0, 1, 2, 0.5, 2.0, BIG + 1, BIG + 2, math.nan, math.inf, -math.inf)
LITERALS: dict[str, tuple[Literal, ...]] = {
    "key": (1, 2, 2.5),
    "whole": (*NUMBERS, INT64_MAX, INT64_MIN, 2.0**63, -(2.0**63), float(BIG)),
    "real": (*NUMBERS, -1.5, INT64_MAX, 10**400),
    "text": ("", "a", "Ab", "zz", "ß"),
    "kind": NAMES,
    "flag": (True, False),
    "time": (Timestamp(0), Timestamp(1), Timestamp(7), "1970-01-01T00:00:00.000005Z"),
    "must": ("", "a", "zz"),
}
PATTERNS = ("", "a", "B%", "%b", "_b", "%", "a%b", "%A%", "\\%", "%_", "b\\%%", "str", "ss%", "n")
EXPRESSIONS = ("", "^a", "b$", ".", "^$", "[A-B]", "d|w")

Row = dict[str, Scalar]


@cache
def filters(depth: int = 3) -> st.SearchStrategy[f.Filter]:
    """Filters over SCHEMA, up to `depth` levels of trees above the leaves.

    Every other filter is about a single column, where conditions meet that merge, imply or exclude each other.
    """
    names = tuple(column.name for column in SCHEMA.columns)
    return _trees(names, depth) | st.one_of([_trees((name,), depth) for name in names])


def _trees(columns: tuple[str, ...], depth: int) -> st.SearchStrategy[f.Filter]:
    inner = leaves(columns)
    for _ in range(depth):
        several = st.lists(inner, max_size=4).map(tuple)
        inner = leaves(columns) | several.map(f.AllOf) | several.map(f.AnyOf) | inner.map(f.Negate)
    return inner


@st.composite
def leaves(draw: st.DrawFn, columns: tuple[str, ...]) -> f.Filter:
    column = draw(st.sampled_from(columns))
    null_tests = st.builds(f.NullTest, st.just(column), st.booleans())
    if column == "doc":
        return draw(null_tests)
    literals = st.sampled_from(LITERALS[column])
    optional = st.none() | literals
    equality = st.sampled_from([f.CompareOp.EQUAL, f.CompareOp.NOT_EQUAL])
    choices: list[st.SearchStrategy[f.Filter]] = [
        null_tests,
        st.builds(f.Compare, st.just(column), st.sampled_from(list(f.CompareOp)), literals),
        st.builds(f.Compare, st.just(column), equality, optional),
        st.builds(f.In, st.just(column), st.lists(optional, max_size=12).map(tuple), st.booleans()),
        st.builds(f.Between, st.just(column), literals, optional),
        st.builds(f.Between, st.just(column), optional, literals),
    ]
    if column in ("text", "kind", "must"):
        choices.append(st.builds(f.Like, st.just(column), st.sampled_from(PATTERNS), st.booleans()))
        expressions = st.sampled_from(EXPRESSIONS)
        choices.append(st.builds(f.Regex, st.just(column), expressions, st.booleans(), st.booleans()))
    return draw(st.one_of(choices))


def rows() -> st.SearchStrategy[list[Row]]:
    """A few rows of SCHEMA."""
    return st.lists(
        st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()}),
        min_size=1,
        max_size=15,
    )


class Stored:
    """Rows as columns, and the two ways to read them."""

    def __init__(self, rows: Sequence[Row], schema: TableSchema = SCHEMA) -> None:
        self.schema = schema
        self.columns = [Column(column) for column in schema.columns]
        self.count = 0
        self.append(rows)

    def append(self, rows: Sequence[Row]) -> None:
        start, self.count = self.count, self.count + len(rows)
        for column in self.columns:
            column.reserve(self.count)
            for slot, row in enumerate(rows, start):
                item = row[column.schema.name]
                if column.dictionary is not None and item is not None:
                    item = column.dictionary.encode_one(str(item))
                column.write_stored(slot, item)

    def read(self, position: int) -> tuple[AnyArray, BoolArray | None]:
        column = self.columns[position]
        return column.values, column.valid

    def row(self, slot: int) -> Any:
        """The getter of one row."""
        return lambda position: self.columns[position].stored(slot)


# What a filter means


def holds(node: f.Filter, row: Row) -> bool | None:
    """True, False or None for unknown."""
    match node:
        case f.AllOf(parts):
            found = [holds(part, row) for part in parts]
            return False if False in found else None if None in found else True
        case f.AnyOf(parts):
            found = [holds(part, row) for part in parts]
            return True if True in found else None if None in found else False
        case f.Negate(inner):
            return _not(holds(inner, row))
        case f.NullTest(column, negated):
            return (row[column] is None) != negated
        case f.Compare(column, op, None):
            return (row[column] is None) == (op is f.CompareOp.EQUAL)
        case f.Custom() | f.Expression():
            raise AssertionError("not evaluated")
    value = row[node.column]
    return None if value is None else _true_of(node, value)


def _true_of(node: f.Compare | f.In | f.Between | f.Like | f.Regex, value: Scalar) -> bool | None:
    match node:
        case f.Compare(_, op, literal):
            return _compare(op, value, literal)
        case f.In(_, values, negated):
            if any(literal is not None and _compare(f.CompareOp.EQUAL, value, literal) for literal in values):
                return not negated
            return None if None in values else negated
        case f.Between(_, lower, upper):
            above = lower is None or _compare(f.CompareOp.GREATER_OR_EQUAL, value, lower)
            return above and (upper is None or _compare(f.CompareOp.LESS_OR_EQUAL, value, upper))
        case f.Like(_, pattern, negated):
            return like(pattern.casefold(), str(value).casefold()) != negated
        case f.Regex(_, pattern, any_case, negated):
            return (re.search(pattern, str(value), re.IGNORECASE if any_case else 0) is not None) != negated


def like(pattern: str, text: str) -> bool:
    """`like` by trying everything."""
    if "%" not in pattern:
        return pattern in text
    return _whole(pattern, text)


def _whole(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    first, rest = pattern[0], pattern[1:]
    if first == "%":
        return any(_whole(rest, text[cut:]) for cut in range(len(text) + 1))
    if first == "\\":
        first, rest = rest[0], rest[1:]
    elif first == "_":
        first = text[:1]
    return text[:1] == first != "" and _whole(rest, text[1:])


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _compare(op: f.CompareOp, value: Any, literal: Any) -> bool:
    one, other = _rank(value), _rank(literal)
    match op:
        case f.CompareOp.EQUAL:
            return one == other
        case f.CompareOp.NOT_EQUAL:
            return one != other
        case f.CompareOp.LESS:
            return one < other
        case f.CompareOp.LESS_OR_EQUAL:
            return one <= other
        case f.CompareOp.GREATER:
            return one > other
        case f.CompareOp.GREATER_OR_EQUAL:
            return one >= other


def _rank(value: Any) -> tuple[int, Any]:
    """A place among values of one column: NaN above all numbers, enums as declared, Python's exact comparison else."""
    if isinstance(value, float) and math.isnan(value):
        return 1, 0
    if value in NAMES:
        return 0, NAMES.index(value)
    if isinstance(value, str) and value.startswith("1970-"):
        return 0, 5
    return 0, value
