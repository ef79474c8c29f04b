"""Conditions as filters: what other nodes of a filter can say is said by them.

`a == 1 && b in (2, 3) && c * d > 4` becomes a comparison, a membership, and one expression, so that indexes, routing
and the sharing of plans work for the text as they do for the tree. A filter keeps rows for which it is *true*, and
negations have been pushed down before, so null and false are the same here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.query.expression.scalar_text import spelled
from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Constant, Rank, Type, Typed
from tesseract_grpc.engine.query.filter_tree import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    CompareOp,
    Expression,
    Filter,
    In,
    Like,
    NullTest,
    Regex,
)
from tesseract_grpc.engine.query.literal import Literal, Timestamp

PATTERNS = frozenset(("like", "regex", "regex_group", "regex_replace"))
"""The operations that compile a pattern."""

_OPS: Mapping[str, CompareOp] = dict(zip(("eq", "ne", "lt", "le", "gt", "ge"), CompareOp, strict=True))
_COMPARED = (Type.BOOL, Type.INT64, Type.FLOAT64, Type.TIMESTAMP, Type.STRING)


def lowered(condition: Typed, schema: TableSchema) -> Filter:
    """The filter that is true for the same rows as a BOOL expression. Not in normal form yet."""
    if isinstance(condition, Constant):
        return TRUE if condition.value is True else FALSE
    if isinstance(condition, ColumnRef):
        return Compare(condition.name, CompareOp.EQUAL, True)
    if isinstance(condition, Call):
        if condition.op in ("and", "or"):
            parts = tuple(lowered(each, schema) for each in condition.arguments)
            return AllOf(parts) if condition.op == "and" else AnyOf(parts)
        if condition.op == "not":
            inner = condition.arguments[0]
            found = _leaf(inner, schema, True)
        else:
            found = _leaf(condition, schema, False)
        if found is not None:
            return found
    return Expression(condition)


def _leaf(node: Typed, schema: TableSchema, negated: bool) -> Filter | None:
    """One condition on one column, or its negation; None when it is more than that."""
    if isinstance(node, ColumnRef):
        return Compare(node.name, CompareOp.EQUAL, not negated)
    if not isinstance(node, Call):
        return None
    subject, *rest = node.arguments
    if node.op == "truth":
        return _truth(subject, negated) if isinstance(subject, ColumnRef) else None
    if node.op in ("like", "regex"):
        return _text(node, negated)
    if not isinstance(subject, (ColumnRef, Rank)):
        return None
    if node.op in ("is_null", "not_null"):
        return NullTest(subject.name, (node.op == "not_null") is not negated)
    values = [_literal(subject, each, schema) for each in rest if isinstance(each, Constant)]
    if len(values) != len(rest) or (isinstance(subject, ColumnRef) and subject.type not in _COMPARED):
        return None
    if node.op == "one_of":
        return In(subject.name, tuple(values), negated)
    if node.op in _OPS and not negated:
        return Compare(subject.name, _OPS[node.op], values[0])
    return None


def _literal(subject: ColumnRef | Rank, constant: Constant, schema: TableSchema) -> Literal:
    if isinstance(subject, Rank):
        assert isinstance(constant.value, int)
        return schema.column(subject.name).enum_values[constant.value]
    if constant.type is Type.TIMESTAMP:
        assert isinstance(constant.value, int)
        return Timestamp(constant.value)
    return constant.value


def _text(node: Call, negated: bool) -> Filter | None:
    subject, pattern, *flags = node.arguments
    if isinstance(subject, Call) and subject.op == "same_text":
        subject = subject.arguments[0]
    if not isinstance(subject, ColumnRef) or not subject.type.is_text or not isinstance(pattern, Constant):
        return None
    text = str(pattern.value)
    if node.op == "like":
        return Like(subject.name, text, negated)
    (flag,) = flags
    assert isinstance(flag, Constant)
    marks = str(flag.value)
    return Regex(subject.name, spelled(text, marks), "i" in marks, negated)


def _truth(column: ColumnRef, negated: bool) -> Filter | None:
    """Whether a column's value counts as true; of the types that are not BOOL, null does not."""
    empties: list[Literal]
    match column.type:
        case Type.STRING:
            empties = [""]
        case Type.INT64:
            empties = [0]
        case Type.FLOAT64:
            empties = [0.0, math.nan]
        case _:
            return None
    if negated:
        tests = [Compare(column.name, CompareOp.EQUAL, value) for value in empties]
        return AnyOf((NullTest(column.name), *tests))
    return AllOf(tuple(Compare(column.name, CompareOp.NOT_EQUAL, value) for value in empties))
