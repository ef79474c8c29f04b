"""Random questions: filters of every form over every type, sorts of any length, columns, windows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from tests.oracle.asks import AllOf, AnyOf, Ask, Between, Compare, Definition, Field, In, IsNull, Like, Not, Regex
from tests.oracle.question import By, Question, Span
from tests.world.domain import literal


class Columns(Protocol):
    """A table, or what a question leads to."""

    @property
    def fields(self) -> Sequence[Field]: ...


PATTERNS = ("a", "A", "", "b", "a%", "%b", "%", "_", "_%", "%a_%", "A%\\%", "é", "%É%")
EXPRESSIONS = ("a", "^a", "b$", "^$", "[ab]+", "^(a|é)", ".", "A")


def question(rng: Random, table: Definition) -> Question:
    columns: tuple[str, ...] = ()
    if rng.random() < 0.4:
        columns = tuple(rng.sample([field.name for field in table.fields], min(rng.randint(1, 4), len(table.fields))))
    return Question(table.name, condition(rng, table) if rng.random() < 0.8 else None, columns, sort(rng, table))


def sort(rng: Random, table: Columns) -> tuple[By, ...]:
    if rng.random() < 0.3:
        return ()
    names = [field.name for field in table.fields if field.type != "json"]
    chosen = rng.sample(names, min(len(names), rng.choice((1, 1, 1, 2, 2, 3))))
    return tuple(By(name, rng.random() < 0.5, rng.random() < 0.3) for name in chosen)


def span(rng: Random) -> Span:
    """Many watches see everything, some a page far down."""
    form = rng.random()
    if form < 0.4:
        return Span()
    if form < 0.45:
        return Span(rng.choice((20, 60)), rng.choice((None, 30)))
    return Span(rng.choice((0, 0, 0, 1, 2, 5)), rng.choice((None, 0, 1, 2, 3, 4)))


def condition(rng: Random, table: Columns, depth: int = 2) -> Ask:
    """A filter tree. Conjunctions at the top are the most common, for those are what routing looks at."""
    form = rng.random()
    if depth and form < 0.3:
        return AllOf(tuple(condition(rng, table, depth - 1) for _ in range(rng.randint(0, 3))))
    if depth and form < 0.42:
        return AnyOf(tuple(condition(rng, table, depth - 1) for _ in range(rng.randint(0, 3))))
    if depth and form < 0.5:
        return Not(condition(rng, table, depth - 1))
    return leaf(rng, rng.choice(table.fields))


def leaf(rng: Random, field: Field) -> Ask:
    form = rng.random()
    if field.type == "json" or form < 0.12:
        if rng.random() < 0.5:
            return IsNull(field.name, rng.random() < 0.5)
        return Compare(field.name, rng.choice(("==", "!=")), None)
    if form < 0.5:
        return Compare(field.name, rng.choice(("==", "==", "!=", "<", "<=", ">", ">=")), literal(rng, field))
    if form < 0.65:
        values = [literal(rng, field) for _ in range(rng.randint(0, 3))]
        if rng.random() < 0.2:
            values.append(None)
        return In(field.name, tuple(values), rng.random() < 0.3)
    if form < 0.8 or field.type not in ("string", "enum"):
        lower = literal(rng, field) if rng.random() < 0.8 else None
        upper = literal(rng, field) if lower is None or rng.random() < 0.7 else None
        return Between(field.name, lower, upper)
    if form < 0.9:
        return Like(field.name, rng.choice(PATTERNS), rng.random() < 0.3)
    return Regex(field.name, rng.choice(EXPRESSIONS), rng.random() < 0.4, rng.random() < 0.3)
