"""What a query answers, by doing one step after the other over all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from tests.oracle.asks import Row
from tests.oracle.grouping import grouped, pivot_values
from tests.oracle.joining import joined, together, with_computed
from tests.oracle.question import OfQuery, OfSession, OfSub, OfTable, Origin, Question, Span, Together
from tests.oracle.relation import Relation
from tests.oracle.trees import Node, of_levels, of_parents, showing
from tests.oracle.windowing import with_windowed


class Tables(Protocol):
    """Where rows begin, and what time it is."""

    now: int

    def table(self, name: str) -> Relation:
        """A table's rows in the order of insertion."""


Subs = Mapping[str, tuple[Question, "Subs"]]
"""Questions by name, each with the names that it can use itself."""


def relation_of(tables: Tables, ask: Question, subs: Subs | None = None) -> Relation:
    """All rows that a question leads to, with all columns, not yet sorted."""
    scope = scope_of(ask, subs or {})
    rows = ungrouped(tables, ask, scope)
    if ask.group is not None:
        rows = grouped(rows, pivot_values(rows, ask.group), tables.now).kept(ask.having, tables.now)
    for column in ask.windowed:
        rows = with_windowed(rows, column)
    return rows


def shape_of(tables: Tables, ask: Question) -> Relation:
    """What is shown of them."""
    return relation_of(tables, ask).shown(ask.columns)


def scope_of(ask: Question, around: Subs) -> Subs:
    """The names that a question can use: its own and those around it. They may use each other."""
    scope: dict[str, tuple[Question, Subs]] = dict(around)
    for name, question in ask.subs:
        scope[name] = (question, scope)
    return scope


def ungrouped(tables: Tables, ask: Question, scope: Subs) -> Relation:
    """The rows that a question groups, or shows."""

    def find(origin: Origin) -> Relation:
        return origin_of(tables, origin, scope)

    rows = find(OfTable(ask.table) if ask.origin is None else ask.origin)
    for join in ask.joins:
        rows = joined(rows, join, find)
    for column in ask.computed:
        rows = with_computed(rows, column, find, tables.now)
    return rows.kept(ask.permanent, tables.now).kept(ask.filter, tables.now)


def origin_of(tables: Tables, origin: Origin, scope: Subs) -> Relation:
    match origin:
        case OfTable(table):
            return tables.table(table)
        case OfSession(_, question):
            return shape_of(tables, question)
        case OfSub(name):
            question, inside = scope[name]
            return relation_of(tables, question, inside).shown(question.columns)
        case OfQuery(question):
            return relation_of(tables, question, scope).shown(question.columns)
        case Together(origins, branch):
            return together([origin_of(tables, each, scope) for each in origins], branch)


def answer(tables: Tables, ask: Question, span: Span | None = None) -> tuple[list[Row], int]:
    """The rows of the window, in order, and the number of rows of the whole result."""
    span = span or Span()
    rows = relation_of(tables, ask)
    tree = tree_of(tables, ask)
    found = rows.sorted(ask.sort) if tree is None else showing(tree, span.open)
    shown = replace(rows, rows=found).shown(ask.columns).rows
    end = None if span.limit is None else span.offset + span.limit
    return shown[span.offset : end], len(found)


def is_tree(ask: Question) -> bool:
    return bool(ask.tree) or (ask.group is not None and ask.group.mode == "rollup")


def tree_of(tables: Tables, ask: Question) -> list[Node] | None:
    """The nodes of an answer in the order of the tree; None where it is no tree."""
    if not is_tree(ask):
        return None
    rows = relation_of(tables, ask)
    found = rows.sorted(ask.sort)
    return of_levels(rows, ask.group, found) if ask.group is not None else of_parents(rows, ask.tree, found)


def fixed(tables: Tables, ask: Question) -> Question:
    """The same question, with what is decided when it is made."""
    if ask.group is None or ask.group.pivot is None:
        return ask
    rows = ungrouped(tables, ask, scope_of(ask, {}))
    return replace(ask, group=pivot_values(rows, ask.group))
