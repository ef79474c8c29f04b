"""Relations that must hold whatever the right answer is: two ways to ask, or to write, that must come to the same.

No oracle takes part. `Hubs` are several hubs that are told the same things in different ways.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tesseract_grpc.engine.hub import Hub
from tests.engine import translate
from tests.engine.viewer import Viewer
from tests.oracle.answer import is_tree, relation_of, shape_of
from tests.oracle.asks import AllOf, AnyOf, Ask, Definition, IsNull, Not, Put
from tests.oracle.model import Model
from tests.oracle.question import OfQuery, Question, Span
from tests.oracle.relation import Relation
from tests.oracle.rows import Refused
from tests.world import composed, domain, questions, writes
from tests.world.spans import random_span

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=max(10, settings().max_examples // 6))
"""Composed questions take their time."""

WHOLE = Span()


class Subject:
    """A hub with both tables, and a model that only says which commits can be made."""

    def __init__(self) -> None:
        self.hub = Hub("test", epoch="test")
        self.model = Model()
        for definition in domain.TABLES:
            self.hub.create_table(definition.name, translate.schema(definition))
            self.model.create(definition)

    def commit(self, puts: list[Put]) -> bool:
        """Commits what can be committed."""
        try:
            self.model.commit(puts, self.hub.version + 1)
        except Refused:
            return False
        self.hub.commit([translate.write(put, self.model.definitions[put.table]) for put in puts])
        return True

    def tick(self, microseconds: int) -> None:
        self.hub.tick(self.model.now + microseconds)
        self.model.tick(self.model.now + microseconds, self.hub.version)

    def history(self, rng: Random, commits: int) -> list[list[Put]]:
        made: list[list[Put]] = []
        while len(made) < commits:
            puts = writes.commit(rng, domain.TABLES, self.model.wrote)
            if self.commit(puts):
                made.append(puts)
        return made

    def watch(self, question: Question, span: Span = WHOLE) -> Viewer:
        session = self.hub.open_session(translate.query(question), f"s{len(self.hub.sessions)}")
        return Viewer(session, question, shape_of(self.model, question), span)

    def rows(self, question: Question) -> list[str]:
        return [repr(row) for row in self.hub.query(translate.query(question)).rows.to_rows()]


SCOPE = composed.Scope(domain.TABLES, {})


def question_of(rng: Random) -> Question:
    """One whose sums cannot leave INT64, and that does not depend on what there was when it was asked."""
    while True:
        question = composed.question(rng, SCOPE)
        pivot = None if question.group is None else question.group.pivot
        if "'sum'" not in repr(question) and (pivot is None or pivot[1] is not None):
            return question


def shuffled(rng: Random, ask: Ask | None) -> Ask | None:
    """The same condition, its conjunctions and disjunctions in another order."""
    match ask:
        case AllOf(parts) | AnyOf(parts):
            mixed = [part for part in (shuffled(rng, part) for part in parts) if part is not None]
            rng.shuffle(mixed)
            return type(ask)(tuple(mixed))
        case Not(inner):
            return Not(shuffled(rng, inner) or inner)
    return ask


def padded(rng: Random, definition: Definition, ask: Ask | None) -> Ask:
    """The same condition with conjuncts that say nothing new."""
    column = rng.choice(definition.fields).name
    always = AnyOf((IsNull(column), IsNull(column, negated=True)))
    own = () if ask is None else (ask,)
    return rng.choice((AllOf((*own, always)), AllOf((always, *own, *own)), AllOf((AllOf((*own, AllOf(()))),))))


@pytest.mark.fuzz
@given(seeds)
def test_a_redundant_conjunct_and_another_order_of_conjuncts_change_nothing(seed: int) -> None:
    rng, subject = Random(seed), Subject()
    subject.history(rng, 3)
    pairs = []
    for _ in range(10):
        definition, span = rng.choice(domain.TABLES), questions.span(rng)
        one = replace(questions.question(rng, definition), filter=questions.condition(rng, definition, 3))
        others = (shuffled(rng, one.filter), padded(rng, definition, one.filter), Not(Not(one.filter or AllOf(()))))
        pairs += [(subject.watch(one, span), subject.watch(replace(one, filter=other), span)) for other in others]
    for _ in range(5):
        subject.history(rng, 1)
        for one_viewer, other_viewer in pairs:
            for viewer in (one_viewer, other_viewer):
                viewer.take(subject.hub.version)
            assert stream(one_viewer) == stream(other_viewer), (one_viewer.question, other_viewer.question)


def stream(viewer: Viewer) -> list[bytes]:
    return [response.SerializeToString(deterministic=True) for response in viewer.stream]


@pytest.mark.fuzz
@given(seeds)
def test_every_row_is_kept_by_a_condition_or_by_its_negation_or_is_unknown(seed: int) -> None:
    rng, subject = Random(seed), Subject()
    subject.history(rng, 4)
    for _ in range(30):
        definition = rng.choice(domain.TABLES)
        ask = questions.condition(rng, definition, 2)
        kept, refused, either, both, every = (
            set(subject.rows(Question(definition.name, condition)))
            for condition in (ask, Not(ask), AnyOf((ask, Not(ask))), AllOf((ask, Not(ask))), None)
        )
        assert not kept & refused
        assert either == kept | refused
        assert not both
        assert either <= every


@pytest.mark.fuzz
@few
@given(seeds)
def test_a_batch_and_its_rows_one_by_one_come_to_the_same(seed: int) -> None:
    rng, whole, split = Random(seed), Subject(), Subject()
    for puts in whole.history(rng, 4):
        split.commit(puts)
    asked = [question_of(rng) for _ in range(12)]
    spans = [questions.span(rng) for _ in asked]
    watched = [
        (whole.watch(question, span), split.watch(question, span)) for question, span in zip(asked, spans, strict=True)
    ]
    for _ in range(4):
        put = distinct(writes.put(rng, rng.choice(domain.TABLES), whole.model.wrote, domain.KEYS))
        if not put.rows or not whole.commit([put]):
            continue
        for row in put.rows:
            assert split.commit([replace(put, rows=(row,))])
        for one, other in watched:
            one.take(whole.hub.version)
            other.take(split.hub.version)
            assert repr(one.mirror.rows) == repr(other.mirror.rows), one.question
            assert one.mirror.total_count == other.mirror.total_count


def distinct(put: Put) -> Put:
    """Without rows of one key, which mean something else in one batch; without conditions on versions, too."""
    definition = next(table for table in domain.TABLES if table.name == put.table)
    rows = {tuple(row[name] for name in definition.key): row for row in put.rows}
    return replace(put, rows=tuple(rows.values()), only=None)


@pytest.mark.fuzz
@few
@given(seeds)
def test_writes_to_different_rows_commute(seed: int) -> None:
    rng, one, other = Random(seed), Subject(), Subject()
    for puts in one.history(rng, 4):
        other.commit(puts)
    asked = [question_of(rng) for _ in range(12)]
    # Not where the order of insertion decides: writes that insert do not commute there, and should not.
    asked = [question for question in asked if not depends_on_insertion(question)]
    watched = [(one.watch(question), other.watch(question)) for question in asked]
    for definition in domain.TABLES:
        keys = list(domain.KEYS[definition.name])
        rng.shuffle(keys)
        halves = [{definition.name: keys[:4]}, {definition.name: keys[4:]}]
        first, second = (distinct(writes.put(rng, definition, one.model.wrote, half)) for half in halves)
        if first.filter is not None or second.filter is not None:
            continue
        if one.commit([first, second]):
            assert other.commit([second])
            assert other.commit([first])
    for mine, theirs in watched:
        mine.take(one.hub.version)
        theirs.take(other.hub.version)
        assert repr(mine.mirror.rows) == repr(theirs.mirror.rows), mine.question


def depends_on_insertion(question: Question) -> bool:
    """Whether rows in order of insertion are told apart: by showing them so, or by what is first or last of them."""
    text = repr(question)
    words = ("'first'", "'last'", "'join'", "'array'", "'min_by'", "'max_by'", "Lookup(", "Windowed(")
    rows = relation_of(SCOPE.empty, question)
    return any(word in text for word in words) or not (question.sort or rows.derived)


@pytest.mark.fuzz
@few
@given(seeds)
def test_opened_early_is_opened_late(seed: int) -> None:
    rng, subject = Random(seed), Subject()
    early = [subject.watch(question_of(rng), questions.span(rng)) for _ in range(20)]
    for _ in range(6):
        subject.history(rng, 2)
        for viewer in early:
            if rng.random() < 0.5:
                viewer.take(subject.hub.version)
    for viewer in early:
        viewer.take(subject.hub.version)
        late = subject.watch(viewer.question, viewer.span)
        assert repr(viewer.mirror.rows) == repr(late.mirror.rows), viewer.question
        assert viewer.mirror.total_count == late.mirror.total_count
        viewer.finish()


@pytest.mark.fuzz
@given(seeds)
def test_a_delete_by_filter_is_a_delete_of_the_keys_that_match(seed: int) -> None:
    rng, one, other = Random(seed), Subject(), Subject()
    for puts in one.history(rng, 4):
        other.commit(puts)
    definition = rng.choice(domain.TABLES)
    ask = questions.condition(rng, definition, 2)
    found = one.model.answer(Question(definition.name, ask))[0]
    one.commit([Put(definition.name, "delete", filter=ask)])
    if found:
        keys = tuple({name: row[name] for name in definition.key} for row in found)
        other.commit([Put(definition.name, "delete", keys)])
    everything = Question(definition.name)
    assert one.rows(everything) == other.rows(everything)
    assert one.hub.version == other.hub.version


@pytest.mark.fuzz
@few
@given(seeds)
def test_a_question_about_a_question_is_that_question(seed: int) -> None:
    """Wrapped in another one it means the same; and a condition may stand inside or outside."""
    rng, subject = Random(seed), Subject()
    subject.history(rng, 4)
    pairs = []
    for _ in range(12):
        inner = replace(question_of(rng), tree="", columns=(), sort=())
        if is_tree(inner):
            continue
        rows = relation_of(SCOPE.empty, inner)
        where, sort = questions.condition(rng, rows), questions.sort(rng, rows)
        wrapped = Question(origin=OfQuery(inner), sort=sort)
        pairs.append((replace(inner, sort=sort), wrapped))
        if inner.group is not None:
            having = where if inner.having is None else AllOf((inner.having, where))
            within = replace(inner, having=having, windowed=())
            inner = replace(inner, windowed=())
        else:
            within = replace(inner, filter=where if inner.filter is None else AllOf((inner.filter, where)), windowed=())
            inner = replace(inner, windowed=())
        if not replace(within, group=None).windowed and not named_by(where, rows, "w"):
            pairs.append((replace(within, sort=()), Question(origin=OfQuery(inner), filter=where)))
    watched = [(subject.watch(one), subject.watch(other)) for one, other in pairs]
    for _ in range(5):
        subject.history(rng, 1)
        for mine, theirs in watched:
            mine.take(subject.hub.version)
            theirs.take(subject.hub.version)
            assert repr(mine.mirror.rows) == repr(theirs.mirror.rows), (mine.question, theirs.question)


def named_by(ask: Ask, rows: Relation, start: str) -> bool:
    """Whether a condition names a column whose name begins so."""
    return any(field.name.startswith(start) and repr(field.name) in repr(ask) for field in rows.fields)


@pytest.mark.fuzz
@few
@given(seeds)
def test_history_leaves_no_trace(seed: int) -> None:
    """A hub that was told only the rows that are left answers as one that has been through everything."""
    rng, lived, fresh = Random(seed), Subject(), Subject()
    asked = [question_of(rng) for _ in range(20)]
    spans = [random_span(rng, lived.model, question) for question in asked]
    watched = [lived.watch(question, span) for question, span in zip(asked, spans, strict=True)]
    for _ in range(6):
        lived.history(rng, 1)
        lived.tick(rng.choice((0, 1, 700_000)))
    fresh.tick(lived.model.now)
    for table in domain.TABLES:
        named = [field.name for field in table.fields if field.computed is None]
        rows = tuple({name: row[name] for name in named} for row in lived.model.rows[table.name].values())
        if rows:
            assert fresh.commit([Put(table.name, "insert", rows)])
    for viewer in watched:
        viewer.take(lived.hub.version)
        other = fresh.watch(viewer.question, viewer.span)
        assert repr(viewer.mirror.rows) == repr(other.mirror.rows), (viewer.question, viewer.span)
        assert viewer.mirror.total_count == other.mirror.total_count
