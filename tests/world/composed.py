"""Random questions over the whole language: each step is drawn over the columns that the steps before it lead to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from tests.oracle.answer import origin_of, relation_of
from tests.oracle.asks import AllOf, Ask, Custom, Definition, Field
from tests.oracle.model import Model
from tests.oracle.origins import origins_in
from tests.oracle.question import Computed, Join, Lookup, OfQuery, OfSession, OfSub, OfTable, Origin, Question, Together
from tests.oracle.relation import Relation
from tests.world import questions
from tests.world.grouped import NAMES, fresh, grouping, sortable, windowed
from tests.world.parts import kinds_over, part, recent, template

DEEPEST = 2
"""So deep are sources within sources, without those of sessions."""


@dataclass
class Scope:
    """What can be asked of: tables, derived ones, too, and what sessions show. A model without rows knows what a
    question leads to."""

    tables: Sequence[Definition]
    sessions: Mapping[str, Question]
    views: Mapping[str, Question] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.empty = Model()
        for table in self.tables:
            self.empty.create(table)
        self.empty.views = dict(self.views)
        shapes = {name: self.empty.table(name).fields for name in self.views}
        self.tables = [*self.tables, *(Definition(name, fields) for name, fields in shapes.items())]

    def after(self, ask: Question) -> Relation:
        """The columns that a question leads to, shown or not."""
        return relation_of(self.empty, ask)

    def before_filter(self, ask: Question) -> Relation:
        """The columns that its filter is about."""
        return self.after(replace(ask, group=None, having=None, windowed=(), filter=None, permanent=None))

    def of(self, ask: Question, origin: Origin) -> Relation:
        """The columns of a source of a question."""
        subs = dict(ask.subs)
        return origin_of(self.empty, origin, {name: (question, {}) for name, question in subs.items()})


def question(rng: Random, scope: Scope, depth: int = DEEPEST) -> Question:
    """One that is as deep as it may be, or a plain one of a table."""
    if rng.random() < 0.35:
        return questions.question(rng, rng.choice(scope.tables))
    ask = begin(rng, scope, depth)
    if rng.random() < 0.4:
        ask = replace(ask, joins=(join(rng, scope, ask, depth),))
        if rng.random() < 0.2:
            ask = replace(ask, joins=(*ask.joins, join(rng, scope, ask, depth)))
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        ask = replace(ask, computed=(*ask.computed, computed(rng, scope, ask, depth)))
    rows = scope.after(ask)
    ask = replace(ask, filter=condition(rng, rows) if rng.random() < 0.2 + 0.15 * depth else None)
    if rng.random() < 0.4:
        group = grouping(rng, rows)
        if rng.random() < 0.05 and depth == DEEPEST:
            group = replace(group, leafs=False, pivot=(rng.choice(sortable(rows.fields)).name, None))
        ask = replace(ask, group=group)
        if rng.random() < 0.3:
            ask = replace(ask, having=condition(rng, scope.after(ask)))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        rows = scope.after(ask)
        name = fresh(rng, [field.name for field in rows.fields], "w")
        ask = replace(ask, windowed=(*ask.windowed, windowed(rng, rows, name)))
    return shown(rng, scope, ask)


def shown(rng: Random, scope: Scope, ask: Question) -> Question:
    """With an order, some of the columns, and as a tree where that can be."""
    rows = scope.after(ask)
    columns: tuple[str, ...] = ()
    if rng.random() < 0.3:
        names = [field.name for field in rows.fields]
        columns = tuple(rng.sample(names, rng.randint(1, min(4, len(names)))))
    sort = questions.sort(rng, rows)
    parents = []
    if ask.group is None and len(rows.key) == 1:
        kind = rows.field(rows.key[0])
        parents = [f.name for f in rows.fields if (f.type, f.names) == (kind.type, kind.names)]
    tree = rng.choice(parents) if parents and rng.random() < 0.25 else ""
    return replace(ask, columns=columns, sort=sort, tree=tree)


def with_permanent(rng: Random, scope: Scope, ask: Question) -> Question:
    """With a condition that no edit can widen."""
    return replace(ask, permanent=condition(rng, scope.before_filter(ask)))


def edited(rng: Random, scope: Scope, ask: Question) -> Question:
    """The same question with another condition, or shown in another way."""
    if rng.random() < 0.5:
        rows = scope.before_filter(ask)
        return replace(ask, filter=condition(rng, rows) if rng.random() < 0.8 else None)
    return shown(rng, scope, replace(ask, columns=(), sort=(), tree=""))


def begin(rng: Random, scope: Scope, depth: int) -> Question:
    """A question that has a source and nothing else; sub-sessions where its source is one."""
    if rng.random() < 0.5:
        return Question(rng.choice(scope.tables).name)
    if depth and rng.random() < 0.3:
        inner = question(rng, scope, depth - 1)
        subs: tuple[tuple[str, Question], ...] = (("sub", inner),)
        if rng.random() < 0.5:
            subs = (("other", Question(origin=OfSub("sub"), filter=condition(rng, shape(scope, inner)))), *subs)
            return Question(origin=OfSub("other"), subs=subs)
        return Question(origin=OfSub("sub"), subs=subs)
    return Question(origin=origin(rng, scope, depth))


def shape(scope: Scope, ask: Question) -> Relation:
    return scope.after(ask).shown(ask.columns)


def origin(rng: Random, scope: Scope, depth: int) -> Origin:
    form = rng.random()
    if form < 0.3 and scope.sessions:
        name = rng.choice(list(scope.sessions))
        if nesting(scope.sessions[name]) < 3:
            return OfSession(name, scope.sessions[name])
    if depth and form < 0.65:
        return OfQuery(question(rng, scope, depth - 1))
    if depth and form < 0.85:
        return together(rng, scope, depth)
    return OfTable(rng.choice(scope.tables).name)


def nesting(ask: Question) -> int:
    """How many questions stand within one another, sessions followed."""
    inner = [origin.question for origin in origins_in(ask) if isinstance(origin, (OfSession, OfQuery))]
    return 1 + max([nesting(each) for each in (*inner, *(sub for _, sub in ask.subs))], default=0)


def together(rng: Random, scope: Scope, depth: int) -> Origin:
    """Sources with the same columns: one question under several conditions, and sessions that happen to be alike."""
    ask = question(rng, scope, depth - 1)
    alike = Relation(*columns_of(shape(scope, ask)), [])
    others: list[Origin] = [OfQuery(replace(ask, filter=None)), OfQuery(ask)]
    for name, asked in scope.sessions.items():
        if Relation(*columns_of(shape(scope, asked)), []) == alike and nesting(asked) < 3:
            others.append(OfSession(name, asked))
    branch = fresh(rng, [field.name for field in alike.fields], "branch")
    chosen = (OfQuery(ask), *(rng.choice(others) for _ in range(rng.choice((0, 1, 1, 2)))))
    return Together(chosen, branch)


def columns_of(rows: Relation) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    plain = tuple(Field(f.name, f.type, names=f.names) for f in sorted(rows.fields, key=lambda field: field.name))
    return plain, rows.key


def pairs(rng: Random, mine: Relation, other: Relation) -> tuple[tuple[str, str], ...]:
    """One or two pairs of columns of one type, or all columns of the other's key."""
    same = [
        (a.name, b.name)
        for a in sortable(mine.fields)
        for b in sortable(other.fields)
        if (a.type, a.names) == (b.type, b.names)
    ]
    by_key = [[pair for pair in same if pair[1] == name] for name in other.key]
    if all(by_key) and rng.random() < 0.5:
        return tuple(rng.choice(each) for each in by_key)
    return tuple(rng.sample(same, min(len(same), rng.choice((1, 1, 1, 2)))))


def join(rng: Random, scope: Scope, ask: Question, depth: int) -> Join:
    mine = scope.after(ask)
    there = source(rng, scope, depth)
    other = scope.of(ask, there)
    on = pairs(rng, mine, other)
    if not on:
        return join(rng, scope, ask, depth)
    taken = {field.name for field in mine.fields}
    prefix = ""
    while not prefix or any(name.startswith(prefix) for name in taken):
        prefix = f"j{rng.randrange(NAMES)}_"
    columns: tuple[tuple[str, str], ...] = ()
    plain = [field.name for field in other.fields if field.name not in other.key]
    if plain and rng.random() < 0.3:
        chosen = rng.sample(plain, rng.randint(1, min(3, len(plain))))
        columns = tuple((name, rng.choice(("", f"{prefix}{name}_too"))) for name in chosen)
    return Join(there, on, rng.random() < 0.5, columns, prefix)


def source(rng: Random, scope: Scope, depth: int) -> Origin:
    """What is joined or looked up: mostly a table, or something small."""
    return (
        OfTable(rng.choice(scope.tables).name) if rng.random() < 0.5 else origin(rng, scope, depth - 1 if depth else 0)
    )


def computed(rng: Random, scope: Scope, ask: Question, depth: int) -> Computed:
    rows = scope.after(ask)
    name = fresh(rng, [field.name for field in rows.fields], "c")
    form = rng.random()
    if form < 0.5:
        return Computed(name, part(rng, rows.fields, rng.choice(kinds_over(rows.fields)), 3))
    if form < 0.65:
        return Computed(name, template(rng, rows.fields))
    there = source(rng, scope, depth)
    other = scope.of(ask, there)
    on = pairs(rng, rows, other)
    if not on:
        return Computed(name, part(rng, rows.fields, "int64", 2))
    if form < 0.8:
        return Computed(name, Lookup(there, on, rng.choice(other.fields).name))
    if form < 0.85:
        return Computed(name, Lookup(there, on, template(rng, other.fields)))
    return Computed(name, Lookup(there, on, part(rng, other.fields, rng.choice(kinds_over(other.fields)), 2)))


def condition(rng: Random, rows: Relation) -> Ask:
    """A condition that may be an expression, or have one in it, or be about the present."""
    plain = questions.condition(rng, rows)
    form = rng.random()
    if form < 0.6:
        return plain
    times = [field for field in rows.fields if field.type == "timestamp"]
    custom = Custom(part(rng, rows.fields, rng.choice(("bool", "bool", "int64", "string")), 2))
    if times and rng.random() < 0.4:
        custom = Custom(recent(rng, rng.choice(times)))
    return custom if form < 0.85 else AllOf((plain, custom))
