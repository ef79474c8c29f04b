"""One condition on one column, as two functions that agree: over arrays, and for one value.

A term's `mask` gives the rows for which it is true, in a new array that the caller may write to; null is never true
(except for `is null`). Its `test` says the same of one row. Values are stored values: numbers as they are, texts as
codes. Whole numbers are compared as int64 and never become doubles.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import DataType, Scalar
from tesseract_grpc.engine.data.vector import AnyArray, BoolArray
from tesseract_grpc.engine.operators.code_table import CodeTable
from tesseract_grpc.engine.query.filter import Compare, CompareOp, In, Like, NullTest, Regex
from tesseract_grpc.engine.query.literal import Literal, Timestamp
from tesseract_grpc.engine.query.text_pattern import text_test

Read: TypeAlias = Callable[[int], tuple[AnyArray, BoolArray | None]]
"""Stored values and validity of a column (by position) for the candidate rows."""

Get: TypeAlias = Callable[[int], Any]
"""The stored value of a column (by position) of one row; None for null."""

MaskFunction: TypeAlias = Callable[[Read], BoolArray]
TestFunction: TypeAlias = Callable[[Get], bool]

_EQ, _NE, _LT, _LE, _GT, _GE = CompareOp

FEW = 8
"""Up to so many listed values are compared one by one; more are looked up."""

SPREAD = 8
"""Listed whole numbers and codes are looked up in flags while their span is below so many a row, else by bisection."""


class Rank(IntEnum):
    """What a condition is. Each kind is tested after those above it."""

    LEAF = 0
    """A condition on one column."""
    BRANCHES = 1
    """One of several must hold."""
    EXPRESSION = 2
    """An expression, or branches that have one."""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition ready to run. `rank` and then `cost` order terms: the cheaper and the more selective first."""

    cost: float
    columns: frozenset[int]
    mask: MaskFunction
    test: TestFunction
    rank: Rank = Rank.LEAF


def in_order(terms: Sequence[Term]) -> list[int]:
    """The places of terms in the order in which they are tested; equal ones stay as they are."""
    return sorted(range(len(terms)), key=lambda place: (terms[place].rank, terms[place].cost))


def compile_leaf(node: Compare | In | Like | Regex | NullTest, at: int, column: Column, *, intern: bool) -> Term:
    """The term of one condition on the column at position `at`."""
    if isinstance(node, NullTest):
        return _null_test(at, node.negated)
    if isinstance(node, (Like, Regex)):
        match = text_test(node, "filter")
        return _by_table(at, column, (lambda text: not match(text)) if node.negated else match, 8.0)
    if isinstance(node, In):
        stored = [stored_literal(column, value, intern) for value in node.values]
        return _membership(at, column, [each for each in stored if column.dictionary is None or each >= 0], node)
    if node.op in (_EQ, _NE):
        return _equality(at, column, node.op is _NE, stored_literal(column, node.value, intern))
    if column.dictionary is not None:
        compare, limit = _PYTHON[node.op], node.value
        return _by_table(at, column, lambda text: compare(text, limit), 4.0)
    return _bound(at, column, node)


def stored_literal(column: Column, value: Literal, intern: bool) -> Any:
    """A bound literal as the column stores it; -1 for a text that the column does not know and is not to learn."""
    if column.dictionary is not None:
        return column.dictionary.pin(str(value)) if intern else column.dictionary.find(str(value))
    if isinstance(value, Timestamp):
        return int(value)
    return value


_PYTHON: Mapping[CompareOp, Callable[[Any, Any], bool]] = {
    _LT: operator.lt,
    _LE: operator.le,
    _GT: operator.gt,
    _GE: operator.ge,
}
_ARRAY: Mapping[CompareOp, Any] = {_LT: np.less, _LE: np.less_equal, _GT: np.greater, _GE: np.greater_equal}
_OPPOSITE: Mapping[CompareOp, CompareOp] = {_GT: _LE, _GE: _LT}


def _null_test(at: int, negated: bool) -> Term:
    def mask(read: Read) -> BoolArray:
        values, valid = read(at)
        if valid is None:
            return np.full(len(values), negated)
        return valid.copy() if negated else ~valid

    if negated:
        return Term(0.5, frozenset((at,)), mask, lambda get: get(at) is not None)
    return Term(0.5, frozenset((at,)), mask, lambda get: get(at) is None)


def _equality(at: int, column: Column, negated: bool, wanted: Any) -> Term:
    if column.type is DataType.BOOL:
        wanted, negated = (not wanted if negated else wanted), False
    compare = np.not_equal if negated else np.equal

    def mask(read: Read) -> BoolArray:
        values, valid = read(at)
        result: BoolArray = compare(values, wanted)
        if valid is not None:
            result &= valid
        return result

    def equal(get: Get) -> bool:
        return bool(get(at) == wanted)

    def not_equal(get: Get) -> bool:
        value = get(at)
        return value is not None and value != wanted

    return Term(2.0 if negated else 1.0, frozenset((at,)), mask, not_equal if negated else equal)


def _bound(at: int, column: Column, node: Compare) -> Term:
    wanted = stored_literal(column, node.value, False)
    # NaN stands above every number, and IEEE comparisons with it are false: so a lower bound is the negation of the
    # opposite upper bound.
    opposite = _OPPOSITE.get(node.op) if column.type is DataType.FLOAT64 else None
    compare = _ARRAY[opposite or node.op]

    def mask(read: Read) -> BoolArray:
        values, valid = read(at)
        result: BoolArray = compare(values, wanted)
        if opposite is not None:
            np.logical_not(result, out=result)
        if valid is not None:
            result &= valid
        return result

    scalar = _PYTHON[opposite or node.op]

    def above(get: Get) -> bool:
        value = get(at)
        return value is not None and not scalar(value, wanted)

    def within(get: Get) -> bool:
        value = get(at)
        return value is not None and scalar(value, wanted)

    return Term(1.5, frozenset((at,)), mask, within if opposite is None else above)


def _by_table(at: int, column: Column, judge: Callable[[str], bool], cost: float) -> Term:
    assert column.dictionary is not None
    table = CodeTable(column.dictionary, judge)
    look_up = table.test

    def mask(read: Read) -> BoolArray:
        values, valid = read(at)
        result = table.take(values)
        if valid is not None:
            result &= valid
        return result

    def test(get: Get) -> bool:
        code = get(at)
        return code is not None and look_up(code)

    return Term(cost, frozenset((at,)), mask, test)


def _membership(at: int, column: Column, stored: list[Scalar], node: In) -> Term:
    negated = node.negated
    listed = frozenset(stored)

    def inside(get: Get) -> bool:
        return get(at) in listed

    def outside(get: Get) -> bool:
        value = get(at)
        return value is not None and value not in listed

    test = outside if negated else inside
    few = len(stored) <= FEW
    find = _find_few(stored) if few else _find_many(np.sort(np.array(stored, column.values.dtype)))

    def mask(read: Read) -> BoolArray:
        values, valid = read(at)
        result = find(values)
        if negated:
            np.logical_not(result, out=result)
        if valid is not None:
            result &= valid
        return result

    return Term(2.0 if few else 3.0, frozenset((at,)), mask, test)


def _find_few(stored: list[Scalar]) -> Callable[[AnyArray], BoolArray]:
    def find(values: AnyArray) -> BoolArray:
        result = np.zeros(len(values), np.bool_)
        for value in stored:
            result |= values == value
        return result

    return find


def _find_many(ordered: AnyArray) -> Callable[[AnyArray], BoolArray]:
    whole = ordered.dtype.kind == "i"
    first = 0 if ordered.dtype == np.int32 else ordered.item(0)  # codes start at 0
    span = ordered.item(-1) - first + 1 if whole else 0

    def find(values: AnyArray) -> BoolArray:
        result: BoolArray
        if not whole or span > SPREAD * len(values):
            places = ordered.searchsorted(values)
            places[places == len(ordered)] = 0
            result = ordered.take(places) == values
            return result
        # The flags live as long as the call: kept, they would cost every open session a byte a number of the span.
        flags = np.zeros(span + 1, np.bool_)
        flags[ordered - first] = True
        if values.dtype == np.int64:
            # Modulo 2**64 the distance is exact, and whatever lies outside of the span is beyond it.
            distance = values.view(np.uint64) - np.uint64(first % 2**64)
            values = np.minimum(distance, np.uint64(span), out=distance).view(np.int64)
        result = flags.take(values, mode="clip")
        return result

    return find
