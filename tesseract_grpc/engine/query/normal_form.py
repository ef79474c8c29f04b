"""The normal form of a filter: what two filters with the same meaning become, so that they share one plan.

A filter keeps a row only when it is *true*, so what matters of a tree is where it is true. In three-valued logic
De Morgan's laws hold, and every leaf has a negation that is a leaf or a small tree of leaves. So negations are pushed
down to the leaves and disappear, and in what is left, `and` and `or` are true exactly where two-valued logic says so:
unknown may be read as false everywhere. That is why normal forms, and the predicates made from them, know no unknown.

Each leaf of a normal form is the set of values for which it is true, written in one way:

* whole numbers and points in time have closed bounds only (`x > 2` is `x >= 3`, so is `x > 2.5`);
* finite types (BOOL, ENUM) have no bounds, only the list of values;
* NaN, which stands above every number, is not written at all: `x == NaN` is `x > inf`, `x != NaN` is `x <= inf`;
* what no value fulfils is FALSE, what every value fulfils is `is not null`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN, ColumnSchema, DataType
from tesseract_grpc.engine.query.filter_tree import FALSE, AllOf, AnyOf, Compare, CompareOp, Filter, In, NullTest
from tesseract_grpc.engine.query.literal import Literal, Number, Timestamp

_EQ, _NE, _LT, _LE, _GT, _GE = CompareOp

NEGATED: Mapping[CompareOp, CompareOp] = {_EQ: _NE, _NE: _EQ, _LT: _GE, _GE: _LT, _GT: _LE, _LE: _GT}
"""Each operator's negation. Values are totally ordered, NaN included, so there is one."""

TESTS: Mapping[CompareOp, Callable[[Any, Any], bool]] = {
    _EQ: operator.eq,
    _NE: operator.ne,
    _LT: operator.lt,
    _LE: operator.le,
    _GT: operator.gt,
    _GE: operator.ge,
}


def compare(column: ColumnSchema, op: CompareOp, value: Literal) -> Filter:
    """The normal form of a comparison with a bound literal that is not None."""
    kind = column.type
    if kind is DataType.BOOL:
        return _listed(column, (False, True), [v for v in (False, True) if TESTS[op](v, value)])
    if kind is DataType.ENUM:
        names = column.enum_values
        rank = names.index(str(value))
        return _listed(column, names, [name for i, name in enumerate(names) if TESTS[op](i, rank)])
    if kind is DataType.STRING:
        return _compare_text(column, op, value)
    assert isinstance(value, (int, float))
    return _compare_float(column, op, value) if kind is DataType.FLOAT64 else _compare_whole(column, op, value)


def members(column: ColumnSchema, values: Iterable[Literal], negated: bool) -> Filter:
    """The normal form of membership in bound literals that are not None."""
    kind = column.type
    wanted = set(values)
    if kind is DataType.BOOL or kind is DataType.ENUM:
        domain: tuple[Literal, ...] = (False, True) if kind is DataType.BOOL else column.enum_values
        return _listed(column, domain, [value for value in domain if (value in wanted) is not negated])
    nan = any(isinstance(value, float) and math.isnan(value) for value in wanted)
    exact: list[Any]
    if kind is DataType.FLOAT64:
        exact = [value for value in wanted if isinstance(value, float) and not math.isnan(value)]
    elif kind is DataType.STRING:
        exact = list(wanted)
    else:
        exact = [value for value in wanted if isinstance(value, int) and INT64_MIN <= value <= INT64_MAX]
    listed = one_of(column.name, exact, negated)
    if not nan or kind is not DataType.FLOAT64:
        return listed
    return (
        AllOf((listed, Compare(column.name, _LE, math.inf)))
        if negated
        else AnyOf((listed, Compare(column.name, _GT, math.inf)))
    )


def one_of(column: str, values: Iterable[Any], negated: bool = False) -> Filter:
    """Membership in distinct values of one type: as few nodes as it takes, the values sorted."""
    ordered = tuple(sorted(values))
    if not ordered:
        return NullTest(column, negated=True) if negated else FALSE
    if len(ordered) == 1:
        return Compare(column, _NE if negated else _EQ, ordered[0])
    return In(column, ordered, negated)


def _listed(column: ColumnSchema, domain: tuple[Literal, ...], wanted: list[Any]) -> Filter:
    """A condition on a type of few values, as the list of those that fulfil it."""
    return NullTest(column.name, negated=True) if len(wanted) == len(domain) else one_of(column.name, wanted)


def _always(column: ColumnSchema, holds: bool) -> Filter:
    """Every value fulfils it, or none does."""
    return NullTest(column.name, negated=True) if holds else FALSE


def _compare_text(column: ColumnSchema, op: CompareOp, value: Literal) -> Filter:
    if value == "":  # no text is below the empty one
        if op in (_LT, _GE):
            return _always(column, op is _GE)
        op = {_LE: _EQ, _GT: _NE}.get(op, op)
    return Compare(column.name, op, value)


def _compare_whole(column: ColumnSchema, op: CompareOp, value: Number) -> Filter:
    if isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            above = value != -math.inf  # NaN stands above every number
            return _always(column, op is _NE or op in ((_LT, _LE) if above else (_GT, _GE)))
        floor = math.floor(value)
        if floor != value:
            if op in (_EQ, _NE):
                return _always(column, op is _NE)
            # Nothing lies between the fraction and its neighbours: at most the lower one, or at least the upper one.
            op, value = (_LE, floor) if op in (_LT, _LE) else (_GE, floor + 1)
    number = int(value)
    if op is _LT or op is _GT:
        op, number = (_LE, number - 1) if op is _LT else (_GE, number + 1)
    if not INT64_MIN <= number <= INT64_MAX:
        return _always(column, op is _NE or op is (_LE if number > 0 else _GE))
    if op is _LE:
        if number == INT64_MAX:
            return _always(column, True)
        op = _EQ if number == INT64_MIN else op
    if op is _GE:
        if number == INT64_MIN:
            return _always(column, True)
        op = _EQ if number == INT64_MAX else op
    return Compare(column.name, op, Timestamp(number) if column.type is DataType.TIMESTAMP else number)


def _compare_float(column: ColumnSchema, op: CompareOp, value: Number) -> Filter:
    if isinstance(value, int):  # a whole number that no double equals
        if op in (_EQ, _NE):
            return _always(column, op is _NE)
        below, above = _neighbours(value)
        op, value = (_LE, below) if op in (_LT, _LE) else (_GE, above)
    if math.isnan(value):
        if op is _LE or op is _GT:
            return _always(column, op is _LE)
        op, value = (_GT, math.inf) if op in (_EQ, _GE) else (_LE, math.inf)
    if value == -math.inf:
        if op is _LT or op is _GE:
            return _always(column, op is _GE)
        op = {_LE: _EQ, _GT: _NE}.get(op, op)
    return Compare(column.name, op, value)


def _neighbours(value: int) -> tuple[float, float]:
    """The doubles next to a whole number that is no double: the one below, the one above."""
    try:
        near = float(value)
    except OverflowError:
        near = math.inf if value > 0 else -math.inf
    if near > value:
        return math.nextafter(near, -math.inf), near
    return near, math.nextafter(near, math.inf)
