"""Making room for names: a column that does not show must not be in the way of one that is added.

What a query shows is read as if it were a table, so a query around it may give a new column the name of one that does
not show any more. Rows have such columns all the same, because conditions that wait may read them. They are set
aside: the same rows under a schema in which they have other names, and conditions that name them so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.operators.compute import ComputeOperator
from tesseract_grpc.engine.query.expression.typed import Call, ColumnRef, Lambda, Rank, Typed
from tesseract_grpc.engine.query.filter_tree import AllOf, AnyOf, Custom, Expression, Filter, Negate

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner

ASIDE = "\0"
"""What the name of a column that was set aside begins with; no client can write it."""


def cleared(planner: Planner, stage: Stage, names: Collection[str]) -> Stage:
    """The same rows, where columns that do not show have none of these names."""
    shown = set(stage.shown)
    taken = [name for name in dict.fromkeys(names) if name in stage.schema and name not in shown]
    if not taken:
        return stage
    base = stage.source.table
    aside = {name: _free(name, stage) for name in taken}

    def make() -> ComputeOperator:
        return ComputeOperator(base.name, base, (), planner.line, planner.history, aside=aside)

    node = planner.node("set aside", ", ".join(taken), ("aside", tuple(taken)), [stage.source], make)
    where = None if stage.where is None else renamed_filter(stage.where, aside)
    return replace(stage, source=node.source, where=where)


def _free(name: str, stage: Stage) -> str:
    """A name for a column that was called so; another may have been set aside before."""
    name = ASIDE + name
    return _free(name, stage) if name in stage.schema else name


def renamed_filter(filter: Filter, names: Mapping[str, str]) -> Filter:
    """A checked filter over columns of other names; columns that are not in `names` keep theirs."""
    match filter:
        case AllOf(filters) | AnyOf(filters):
            return replace(filter, filters=tuple(renamed_filter(part, names) for part in filters))
        case Negate(inner):
            return Negate(renamed_filter(inner, names))
        case Expression(condition):
            return Expression(_renamed(condition, names))
        case Custom():
            raise TypeError("a filter is renamed after it has been checked")
    return replace(filter, column=names.get(filter.column, filter.column))


def _renamed(node: Typed, names: Mapping[str, str]) -> Typed:
    match node:
        case ColumnRef(name=name) | Rank(name=name):
            return replace(node, name=names.get(name, name))
        case Call(arguments=arguments):
            return replace(node, arguments=tuple(_renamed(argument, names) for argument in arguments))
        case Lambda(body=body):
            return replace(node, body=_renamed(body, names))
    return node
