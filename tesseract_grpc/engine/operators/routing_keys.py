"""What a filter demands of single columns: the keys by which commits find the sessions that they can touch.

Each key is implied by the filter: a row whose stored value does not fit the key, or is null, cannot match. One key is
enough to route by, so they come best first: equality with the fewest values, then ranges, closed on both sides first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.schema import TableSchema
from tesseract_grpc.engine.operators.predicate_leaf import stored_literal
from tesseract_grpc.engine.query.filter import FALSE, AllOf, AnyOf, Compare, CompareOp, Filter, In
from tesseract_grpc.engine.query.literal import Literal

Stored: TypeAlias = bool | int | float


@dataclass(frozen=True, slots=True)
class EqualKey:
    """The stored value is one of these; with none of them, no row can match."""

    column: int
    values: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class RangeKey:
    """The stored value lies between two bounds; None is no bound. NaN stands above every number, infinity included."""

    column: int
    low: int | float | None
    high: int | float | None
    low_inclusive: bool = True
    high_inclusive: bool = True


RoutingKey: TypeAlias = EqualKey | RangeKey
_Bound: TypeAlias = tuple[int | float, int]

_EQ, _NE, _LT, _LE, _GT, _GE = CompareOp


def routing_keys(
    filter: Filter | None, schema: TableSchema, columns: Sequence[Column], *, intern: bool = True
) -> tuple[RoutingKey, ...]:
    """The keys of a checked filter, best first, at most one a column.

    With `intern`, texts that the filter names are added to the dictionaries, as `compile_predicate` does; without,
    a text that no row has is left out.
    """
    if filter is None:
        return ()
    if filter == FALSE:
        return (EqualKey(0, ()),)
    keys = _Keys(schema, columns, intern).of(filter)
    return tuple(sorted(keys.values(), key=_rank))


def usable(key: RoutingKey) -> bool:
    """Whether commits can be looked up by the key: NaN cannot be found by value."""
    return isinstance(key, RangeKey) or all(value == value for value in key.values)


def unrouted_part(filter: Filter | None, key: RoutingKey | None, schema: TableSchema) -> Filter | None:
    """What is left to be tested of a filter on rows that satisfy its routing key.

    A conjunct falls away when it says no more than the key: the one equality or list on the key's column. The key holds
    only values of that list, for it is the intersection of what the conjuncts demand of the column.
    """
    if filter is None or not isinstance(key, EqualKey):
        return filter
    name = schema.columns[key.column].name
    parts = filter.filters if isinstance(filter, AllOf) else (filter,)
    mine = [part for part in parts if _equality_on(part, name)]
    if len(mine) != 1:
        return filter
    return AllOf(tuple(part for part in parts if part is not mine[0]))


def _equality_on(part: Filter, name: str) -> bool:
    if isinstance(part, In):
        return part.column == name and not part.negated
    return isinstance(part, Compare) and part.column == name and part.op is CompareOp.EQUAL


def _rank(key: RoutingKey) -> tuple[int, int, int]:
    if isinstance(key, EqualKey):
        return 0, len(key.values), key.column
    return 1, (key.low is None) + (key.high is None), key.column


class _Keys:
    def __init__(self, schema: TableSchema, columns: Sequence[Column], intern: bool) -> None:
        self.schema = schema
        self.columns = columns
        self.intern = intern

    def of(self, node: Filter) -> dict[int, RoutingKey]:
        """The keys that a part of a filter implies, by column."""
        if isinstance(node, AllOf):
            keys: dict[int, RoutingKey] = {}
            for part in node.filters:
                for at, key in self.of(part).items():
                    keys[at] = _both(keys[at], key) if at in keys else key
            return keys
        if isinstance(node, AnyOf):
            return self.of_any(node)
        if isinstance(node, In) and not node.negated:
            at = self.schema.position(node.column)
            return {at: self.equal(at, node.values)}
        if isinstance(node, Compare):
            at = self.schema.position(node.column)
            if node.op is _EQ:
                return {at: self.equal(at, (node.value,))}
            if self.columns[at].dictionary is None:
                value = stored_literal(self.columns[at], node.value, False)
                if node.op in (_GE, _GT):
                    return {at: RangeKey(at, value, None, low_inclusive=node.op is _GE)}
                if node.op in (_LE, _LT):
                    return {at: RangeKey(at, None, value, high_inclusive=node.op is _LE)}
        return {}

    def of_any(self, node: AnyOf) -> dict[int, RoutingKey]:
        """What every branch implies: the columns that all have a key for, with the union of the keys."""
        keys = self.of(node.filters[0])
        for part in node.filters[1:]:
            others = self.of(part)
            unions = {at: _either(key, others[at]) for at, key in keys.items() if at in others}
            keys = {at: key for at, key in unions.items() if key is not None}
            if not keys:
                break
        return keys

    def equal(self, at: int, values: Sequence[Literal]) -> EqualKey:
        column = self.columns[at]
        stored = [stored_literal(column, value, self.intern) for value in values]
        return EqualKey(at, tuple(each for each in stored if column.dictionary is None or each >= 0))


def _both(one: RoutingKey, other: RoutingKey) -> RoutingKey:
    """A key that the conjunction implies."""
    if isinstance(one, RangeKey) and isinstance(other, RangeKey):
        lows = [low for low in (_low(one), _low(other)) if low is not None]
        highs = [high for high in (_high(one), _high(other)) if high is not None]
        return _range(one.column, max(lows) if lows else None, min(highs) if highs else None)
    if isinstance(one, EqualKey) and isinstance(other, EqualKey):
        allowed = {*other.values}
        return EqualKey(one.column, tuple(value for value in one.values if value in allowed))
    return min(one, other, key=_rank)


def _either(one: RoutingKey, other: RoutingKey) -> RoutingKey | None:
    """A key that the disjunction implies, or None when it has none."""
    if isinstance(one, EqualKey) and isinstance(other, EqualKey):
        return EqualKey(one.column, tuple(dict.fromkeys((*one.values, *other.values))))
    first, second = _as_range(one), _as_range(other)
    if first is None or second is None:
        return None
    lows, highs = (_low(first), _low(second)), (_high(first), _high(second))
    low = None if None in lows else min(low for low in lows if low is not None)
    high = None if None in highs else max(high for high in highs if high is not None)
    return None if low is None and high is None else _range(one.column, low, high)


def _as_range(key: RoutingKey) -> RangeKey | None:
    if isinstance(key, RangeKey):
        return key
    if not key.values or any(isinstance(value, bool) for value in key.values):
        return None
    return RangeKey(key.column, min(key.values), max(key.values))


def _low(key: RangeKey) -> _Bound | None:
    """The lower bound so that bounds compare: a strict one is above the closed one of the same value."""
    return None if key.low is None else (key.low, int(not key.low_inclusive))


def _high(key: RangeKey) -> _Bound | None:
    """The upper bound so that bounds compare: a strict one is below the closed one of the same value."""
    return None if key.high is None else (key.high, -int(not key.high_inclusive))


def _range(column: int, low: _Bound | None, high: _Bound | None) -> RangeKey:
    return RangeKey(
        column,
        None if low is None else low[0],
        None if high is None else high[0],
        low is None or not low[1],
        high is None or not high[1],
    )
