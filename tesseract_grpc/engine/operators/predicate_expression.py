"""An expression as a condition of a predicate: over arrays, and for one row."""

from __future__ import annotations

from collections.abc import Sequence

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.operators.predicate_leaf import Get, Read, Term
from tesseract_grpc.engine.query.expression.typed import Typed, walk

_LEAF = 4.0
"""What one operation costs beside the terms of `predicate_leaf`: expressions are tested after them."""


def compile_condition(condition: Typed, schema: TableSchema, columns: Sequence[Column]) -> Term:
    """The term of a checked BOOL expression that reads at least one column."""
    evaluator = compile_expression(condition, schema, columns)
    one = compile_one(condition, schema, columns)
    first = evaluator.columns[0]

    def mask(read: Read) -> BoolArray:
        return evaluator.holds(read, len(read(first)[0]))

    def test(get: Get) -> bool:
        return one(get) is True

    cost = _LEAF * sum(1 for _ in walk(condition))
    return Term(cost, frozenset(evaluator.columns), mask, test)
