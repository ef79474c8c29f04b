"""An expression as a condition of a predicate: over arrays, and for one row."""

from __future__ import annotations

from collections.abc import Sequence

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.data.vector import BoolArray
from tesseract_grpc.engine.operators.evaluate import compile_expression
from tesseract_grpc.engine.operators.evaluate_one import compile_one
from tesseract_grpc.engine.operators.evaluate_present import Present
from tesseract_grpc.engine.operators.predicate_leaf import Get, Rank, Read, Term
from tesseract_grpc.engine.query.expression.typed import Typed, uses_now, walk

_LEAF = 4.0
"""What one operation costs beside the terms of `predicate_leaf`: expressions are tested after them."""


def compile_condition(condition: Typed, schema: TableSchema, columns: Sequence[Column], present: Present) -> Term:
    """The term of a checked BOOL expression.

    One that reads no column (`now() > '2030-01-01'`) counts rows by the first.
    """
    evaluator = compile_expression(condition, schema, columns)
    one = compile_one(condition, schema, columns, present)
    read_columns = evaluator.columns or (0,)
    first = read_columns[0]
    present.used = present.used or uses_now(condition)

    def mask(read: Read) -> BoolArray:
        return evaluator.holds(read, len(read(first)[0]), present.now_us)

    def test(get: Get) -> bool:
        return one(get) is True

    cost = _LEAF * sum(1 for _ in walk(condition))
    return Term(cost, frozenset(read_columns), mask, test, Rank.EXPRESSION)
