"""`and` and `or` of normal forms: flattened, merged column by column, without duplicates, in one order.

Conditions on the same column are merged where the result is again one condition: lists of values, and bounds on the
same side. So `a == 1 || a == 2` is `a in (1, 2)`, and `x >= 3 && x >= 5` is `x >= 5`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tesseract_grpc.engine.data.schema import ColumnSchema, TableSchema
from tesseract_grpc.engine.query.expression.typed import spelling
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
from tesseract_grpc.engine.query.normal_form import members

Leaf = Compare | In | Like | Regex | NullTest

_EQ, _NE, _LT, _LE, _GT, _GE = CompareOp
_LOWER, _UPPER = (_GE, _GT), (_LE, _LT)

MERGED_VALUES = 4_096
"""Lists of values on a column are merged up to so many values together; merging long ones at each level of a deep
filter would take long."""


def all_of(filters: Iterable[Filter], schema: TableSchema) -> Filter:
    """The conjunction of normal forms, as a normal form."""
    flat = _flatten(filters, AllOf)
    if FALSE in flat:
        return FALSE
    trees = [f for f in flat if isinstance(f, (AnyOf, Expression))]
    merged: list[Filter] = []
    for column, leaves in _by_column(flat).items():
        kept = [settled(leaf, schema) for leaf in _all_of_column(schema.column(column), leaves)]
        if FALSE in kept:
            return FALSE
        merged.extend(leaf for leaf in kept if leaf != TRUE)
    return _joined(AllOf, [*merged, *trees], schema)


def any_of(filters: Iterable[Filter], schema: TableSchema) -> Filter:
    """The disjunction of normal forms, as a normal form."""
    flat = _flatten(filters, AnyOf)
    if TRUE in flat:
        return TRUE
    trees = [f for f in flat if isinstance(f, (AllOf, Expression))]
    merged: list[Filter] = []
    for column, leaves in _by_column(flat).items():
        kept = [settled(leaf, schema) for leaf in _any_of_column(schema.column(column), leaves)]
        if TRUE in kept:
            return TRUE
        merged.extend(leaf for leaf in kept if leaf != FALSE)
    return _joined(AnyOf, [*merged, *trees], schema)


def settled(leaf: Filter, schema: TableSchema) -> Filter:
    """The leaf; a null test on a column that holds no nulls is TRUE or FALSE."""
    if isinstance(leaf, NullTest) and not schema.column(leaf.column).nullable:
        return TRUE if leaf.negated else FALSE
    return leaf


def _flatten(filters: Iterable[Filter], kind: type[AllOf | AnyOf]) -> list[Filter]:
    flat: list[Filter] = []
    for each in filters:
        flat.extend(each.filters if isinstance(each, kind) else (each,))
    return list(dict.fromkeys(flat))


def _by_column(filters: Iterable[Filter]) -> dict[str, list[Leaf]]:
    columns: dict[str, list[Leaf]] = {}
    for each in filters:
        if isinstance(each, (Compare, In, Like, Regex, NullTest)):
            columns.setdefault(each.column, []).append(each)
    return columns


def _joined(kind: type[AllOf | AnyOf], filters: list[Filter], schema: TableSchema) -> Filter:
    if len(filters) == 1:
        return filters[0]
    unique = dict.fromkeys(filters)
    return kind(tuple(sorted(unique, key=lambda each: _order(each, schema))))


def _all_of_column(column: ColumnSchema, leaves: list[Leaf]) -> list[Filter]:
    is_null, not_null = NullTest(column.name), NullTest(column.name, negated=True)
    if is_null in leaves:
        # Every other condition on the column is true only for values.
        return [is_null] if len(leaves) == 1 else [FALSE]
    rest = [leaf for leaf in leaves if leaf != not_null]
    if not rest:
        return [not_null]
    bounds = _bounds(column.name, rest, strongest=True)
    if bounds is None:
        return [FALSE]
    return _merged(column, [*(leaf for leaf in rest if not _is_bound(leaf)), *bounds], conjunction=True)


def _any_of_column(column: ColumnSchema, leaves: list[Leaf]) -> list[Filter]:
    is_null, not_null = NullTest(column.name), NullTest(column.name, negated=True)
    if not_null in leaves:
        # Every other condition on the column is true only for values, except that it is null.
        return [TRUE] if is_null in leaves else [not_null]
    bounds = _bounds(column.name, leaves, strongest=False)
    assert bounds is not None
    kept = _merged(column, [*(leaf for leaf in leaves if not _is_bound(leaf)), *bounds], conjunction=False)
    if not_null in kept:
        return [TRUE] if is_null in leaves else [not_null]
    return kept


def _is_bound(leaf: Filter) -> bool:
    return isinstance(leaf, Compare) and leaf.op not in (_EQ, _NE)


def _merged(column: ColumnSchema, leaves: list[Leaf], *, conjunction: bool) -> list[Filter]:
    """The leaves, with all lists of values (listed or refused, one or many) made one list."""
    listed: list[set[Any]] = []
    refused: list[set[Any]] = []
    others: list[Filter] = []
    for leaf in leaves:
        if isinstance(leaf, In):
            (refused if leaf.negated else listed).append(set(leaf.values))
        elif isinstance(leaf, Compare) and leaf.op in (_EQ, _NE):
            (listed if leaf.op is _EQ else refused).append({leaf.value})
        else:
            others.append(leaf)
    if len(listed) + len(refused) < 2 or sum(map(len, listed)) + sum(map(len, refused)) > MERGED_VALUES:
        return list(leaves)
    if conjunction and listed:
        merged = members(column, set.intersection(*listed).difference(*refused), False)
    elif conjunction:
        merged = members(column, set.union(*refused), True)
    elif refused:
        merged = members(column, set.intersection(*refused).difference(*listed), True)
    else:
        merged = members(column, set.union(*listed), False)
    return [*others, merged]


def _bounds(column: str, leaves: Iterable[Leaf], *, strongest: bool) -> list[Leaf] | None:
    """The lower and upper bounds, one of each: the strongest that all imply, or the weakest. None when nothing fits."""
    compares = [leaf for leaf in leaves if isinstance(leaf, Compare)]
    # A strict lower bound is above the closed one of the same value; a strict upper bound is below it.
    lows: list[tuple[Any, int]] = [(c.value, int(c.op is _GT)) for c in compares if c.op in _LOWER]
    highs: list[tuple[Any, int]] = [(c.value, -int(c.op is _LT)) for c in compares if c.op in _UPPER]
    low = (max(lows) if strongest else min(lows)) if lows else None
    high = (min(highs) if strongest else max(highs)) if highs else None
    if strongest and low is not None and high is not None and low >= high:
        if low > high:
            return None
        return [Compare(column, _EQ, low[0])]
    found: list[Leaf] = []
    if low is not None:
        found.append(Compare(column, _GT if low[1] else _GE, low[0]))
    if high is not None:
        found.append(Compare(column, _LT if high[1] else _LE, high[0]))
    return found


_RANKS: dict[type, int] = {Compare: 0, In: 1, Like: 2, Regex: 3, NullTest: 4, AllOf: 5, AnyOf: 6, Expression: 7}


def _order(each: Filter, schema: TableSchema) -> tuple[Any, ...]:
    """A key that sorts normal forms: by kind, column, then the rest. Keys that agree so far have comparable tails."""
    rank = _RANKS[type(each)]
    if isinstance(each, (AllOf, AnyOf)):
        return rank, len(each.filters), tuple(_order(inner, schema) for inner in each.filters)
    if isinstance(each, Expression):
        return rank, spelling(each.condition)
    assert isinstance(each, (Compare, In, Like, Regex, NullTest))
    place = schema.position(each.column)
    if isinstance(each, Compare):
        return rank, place, int(each.op), each.value
    if isinstance(each, In):
        return rank, place, each.negated, each.values
    if isinstance(each, Like):
        return rank, place, each.negated, each.pattern
    if isinstance(each, Regex):
        return rank, place, each.negated, each.case_insensitive, each.pattern
    return rank, place, each.negated
