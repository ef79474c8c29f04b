"""Taking filters apart: the conditions that must all hold, the columns that they name, the same over other names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.engine.query.expression.names import names_in
from tesseract_grpc.engine.query.expression.typed import columns_of, uses_now
from tesseract_grpc.engine.query.filter_tree import AllOf, AnyOf, Custom, Expression, Filter, Negate


def conjuncts(filter: Filter | None) -> list[Filter]:
    """The conditions that must all hold for a filter to hold."""
    if filter is None:
        return []
    if isinstance(filter, AllOf):
        return [part for each in filter.filters for part in conjuncts(each)]
    return [filter]


def _leaves(filter: Filter) -> Iterator[Filter]:
    if isinstance(filter, (AllOf, AnyOf)):
        for part in filter.filters:
            yield from _leaves(part)
    elif isinstance(filter, Negate):
        yield from _leaves(filter.filter)
    else:
        yield filter


def columns_named(filter: Filter) -> frozenset[str]:
    """The columns that a filter names; of one that is not checked also what may be words of an expression.

    Raises BadExpression, LimitExceeded.
    """
    names: set[str] = set()
    for leaf in _leaves(filter):
        if isinstance(leaf, Custom):
            names |= names_in(leaf.text, "custom")
        elif isinstance(leaf, Expression):
            names.update(columns_of(leaf.condition))
        else:
            names.add(leaf.column)  # type: ignore[union-attr]  # what is left are conditions on one column
    return frozenset(names)


def movable(filter: Filter | None) -> list[Filter]:
    """The conditions of a filter that may be tested elsewhere on a row's way: those that can be read, and that do not
    depend on the present."""
    return [part for part in conjuncts(filter) if _is_movable(part)]


def _is_movable(filter: Filter) -> bool:
    try:
        names = columns_named(filter)
    except EngineError:
        return False  # whoever checks the filter says what is wrong with it
    if not names or any(isinstance(leaf, Expression) and uses_now(leaf.condition) for leaf in _leaves(filter)):
        return False
    return not names & {"now", "Date"}


def over_other_names(filter: Filter, names: Mapping[str, str]) -> Filter | None:
    """The same condition over columns of other names; None when it is an expression, which is bound to its names."""
    if all(mine == other for mine, other in names.items()):
        return filter
    if isinstance(filter, (AllOf, AnyOf)):
        parts = [over_other_names(part, names) for part in filter.filters]
        kept = tuple(part for part in parts if part is not None)
        return replace(filter, filters=kept) if len(kept) == len(parts) else None
    if isinstance(filter, Negate):
        inner = over_other_names(filter.filter, names)
        return None if inner is None else Negate(inner)
    if isinstance(filter, (Custom, Expression)):
        return None
    return replace(filter, column=names[filter.column])
