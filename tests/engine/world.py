"""A hub, the oracle beside it, and many readers: the world that histories are played in.

Every step does the same to the hub and to the model, then `verify` asks the law of everything that is open: mirror ==
oracle for each reader that is not stalled, session.read == oracle, one-shot query == oracle, rows by key == oracle, and
`hub.check()`. A reader takes only when the commit said that its session was touched, as the server does; so a session
that routing forgot is a mirror that is wrong.

Steps draw from a `random.Random`. The state machine hands in one that Hypothesis controls, the seeded histories one
with a seed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tesseract_grpc.engine.data.errors import (
    AlreadyExists,
    EngineError,
    OutOfRange,
    PreconditionFailed,
    Reason,
)
from tesseract_grpc.engine.hub import CommitResult, Hub
from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.engine.live.session import QueryResult
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.testing import Response
from tests.engine import translate
from tests.engine.keeping import retain_table, sweep_texts
from tests.engine.lives import alter_table, schema_fits, swap_tables
from tests.engine.small import small_thresholds
from tests.engine.viewer import TableViewer, Viewer, cut, same
from tests.oracle.answer import fixed, is_tree, shape_of
from tests.oracle.asks import Definition, Put, Row
from tests.oracle.model import Model
from tests.oracle.origins import sessions_in, tables_in
from tests.oracle.question import Open, Question, Span
from tests.oracle.relation import Overflow
from tests.oracle.rows import Refused
from tests.world import composed, domain
from tests.world import writes as random_writes
from tests.world.spans import random_span
from tests.world.variants import UNIQUE, Variant

SESSIONS = 20
"""At least so many sessions are open on every history."""

VIEWS = 2
"""So many derived tables are there at a time."""

ONE_IN_EIGHT = ("plain", "big", *14 * ("",))


class World:
    def __init__(self, keys: random_writes.Keys = domain.KEYS, **limits: Any) -> None:
        self.keys = keys
        self.unique = {*UNIQUE, "total", "twice", "side", "part"}  # columns that one table alone has
        self.fresh: set[str] = set()  # those that came with alterations, whether or not they are there
        self.spare: tuple[str, Variant] | None = None  # a table that is nearly another one, and which
        self.hub = Hub("test", epoch="test", **limits)
        self.model = Model()
        self.questions: dict[str, Question] = {}
        self.viewers: list[Viewer] = []
        self.table_viewers: list[TableViewer] = []
        self.streams: list[list[Response]] = []
        self.touched: list[list[str]] = []
        self.answers: dict[tuple[Question, Open | None], tuple[list[Row], int]] = {}
        self.altered: dict[str, int] = {}  # the versions that last altered the columns, the key or the values of tables
        self.names = 0
        self.commits = 0
        self.refused = 0

    # Steps

    def start(self, rng: Random) -> None:
        """Both tables, some rows before and most sessions after them: opened late is opened early."""
        for definition in domain.TABLES:
            self.create(definition)
            self.set_indexes(rng)
        for _ in range(SESSIONS // 4):
            self.open_session(rng)
        for _ in range(rng.randint(0, 4)):
            self.commit(rng)
        self.fill(rng)
        for definition in domain.TABLES:
            self.watch_table(definition)

    def create(self, definition: Definition) -> None:
        self.hub.create_table(definition.name, translate.schema(definition))
        self.model.create(definition)

    def fill(self, rng: Random) -> None:
        while len(self.questions) < SESSIONS:
            self.open_session(rng)

    def open_session(self, rng: Random) -> None:
        """A new question, or now and then the question of another session under a new name, and a watch of it."""
        question = self.draw(rng)
        if rng.random() < 0.05:
            question = composed.with_permanent(rng, self.scope(), question)
        query, permanent = translate.query(question), translate.kept(question.permanent)
        if self.questions and rng.random() < 0.15:
            question = rng.choice(list(self.questions.values()))
            permanent = translate.kept(question.permanent)
            query = translate.query(replace(question, permanent=None), inline=True)
        self.names += 1
        name = f"session_{self.names}"
        hydration = self.hydrated(rng, query) if question.permanent is None else None
        if any(session not in self.questions for session in sessions_in(question)):
            return  # one that it reads has ended while it was hydrated
        question = fixed(self.model, question)
        try:
            session = self.hub.open_session(query, name, permanent=permanent, hydration=hydration)
        except OutOfRange:
            assert self.overflows(question), f"{question} is refused"
            return
        assert not self.overflows(question), f"{question} is not refused"
        assert self.hub.open_session(query, name, permanent=permanent) is session
        self.questions[name] = question
        self.open_watch(rng, name)

    def draw(self, rng: Random) -> Question:
        """A question; not one that spreads over values of which there are none, for it means those that come later."""
        while True:
            question = composed.question(rng, self.scope())
            group = fixed(self.model, question).group
            if group is None or group.pivot is None or group.pivot[1]:
                return question

    def overflows(self, question: Question) -> bool:
        """Whether a sum in it leaves INT64."""
        try:
            self.whole(question)
        except Overflow:
            return True
        return False

    def hydrated(self, rng: Random, query: Query) -> Hydration | None:
        """Now and then a hydration that began some commits ago, with its sorting before, between or after them."""
        hydration = self.hub.begin_session(query, big=1) if rng.random() < 0.25 else None
        if hydration is not None:
            commits = rng.choice((0, 1, 2, 6))
            sorts_after = rng.randint(0, commits)
            for number in range(commits + 1):
                if number == sorts_after:
                    hydration.sorting.run()
                if number < commits:
                    self.commit(rng)
        return hydration

    def open_watch(self, rng: Random, name: str | None = None) -> None:
        """Also how a window moves: by another watch of the same session."""
        name = name or rng.choice(list(self.questions))
        question, session = self.questions[name], self.hub.session(name)
        self.viewers.append(
            Viewer(session, question, shape_of(self.model, question), random_span(rng, self.model, question))
        )
        self.streams.append(self.viewers[-1].stream)

    def watch_table(self, table: Definition) -> None:
        watch = self.hub.watch_table(table.name, old_values=True)
        self.table_viewers.append(TableViewer(watch, table, derived=table.name in self.model.views))
        self.streams.append(self.table_viewers[-1].stream)

    def close_watch(self, rng: Random) -> None:
        viewer = rng.choice(self.viewers)
        viewer.finish()
        viewer.watch.close()
        assert viewer.watch not in viewer.session.watchers
        self.viewers.remove(viewer)

    def close_session(self, rng: Random) -> None:
        name = rng.choice(list(self.questions))
        session = self.hub.close_session(name)
        assert session.ended is Reason.SESSION_DELETED
        self.forget([name])
        self.fill(rng)

    def forget(self, names: Sequence[str]) -> None:
        for name in names:
            del self.questions[name]
            assert name not in self.hub.sessions
        for viewer in [viewer for viewer in self.viewers if viewer.session.name in names]:
            viewer.finish()
            self.viewers.remove(viewer)

    def refuse_session(self, rng: Random) -> None:
        """A name that is taken by another question."""
        name = rng.choice(list(self.questions))
        question, mine = self.draw(rng), self.questions[name]
        query = translate.query(question)
        if query == translate.query(mine) or mine.permanent is not None or self.overflows(question):
            return
        try:
            session = self.hub.open_session(query, name)
        except AlreadyExists as refusal:
            reason = refusal.reason
        else:  # two ways to say the same
            assert session is self.hub.session(name)
            assert repr(self.whole(question)) == repr(self.whole(mine))
            return
        assert reason is Reason.SESSION_EXISTS

    def edit_session(self, rng: Random) -> None:
        """Another question under the same name: its readers are told the difference, and nobody else anything."""
        name = rng.choice(list(self.questions))
        mine = self.questions[name]
        another = mine.permanent is None and rng.random() < 0.5
        question = self.draw(rng) if another else composed.edited(rng, self.scope(), mine)
        question = fixed(self.model, replace(question, permanent=mine.permanent))
        session, generation = self.hub.session(name), self.hub.session(name).generation
        try:
            query = translate.query(replace(question, permanent=None), inline=True)  # sessions may have become others
            assert self.hub.edit_session(name, query) is session
        except OutOfRange:
            assert self.overflows(question), f"{question} is refused"
            assert session.generation == generation
            return
        assert not self.overflows(question), f"{question} is not refused"
        assert session.generation == generation + 1
        self.questions[name] = question
        self.answers.clear()
        shape = shape_of(self.model, question)
        for viewer in self.viewers:
            if viewer.session is session:
                viewer.question = question
                viewer.edits.append(shape)
                if not is_tree(question):
                    viewer.span = replace(viewer.span, open=None)
                if not viewer.stalled:
                    self.catch_up(viewer, simple=False)

    def stall(self, rng: Random) -> None:
        """Readers that do not read for a while."""
        viewers = [*self.viewers, *self.table_viewers]
        for viewer in rng.sample(viewers, min(len(viewers), rng.choice((1, 2, 6, 12)))):
            viewer.stalled = True

    def disconnect(self, rng: Random) -> None:
        """Readers that go away, up to date or not, and come back when they are woken."""
        viewers = [viewer for viewer in (*self.viewers, *self.table_viewers) if not viewer.gone]
        for viewer in rng.sample(viewers, min(len(viewers), rng.choice((1, 2, 6, 12)))):
            viewer.disconnect()

    def drain(self, rng: Random) -> None:
        everybody: list[Viewer | TableViewer] = [*self.viewers, *self.table_viewers]
        stalled = [viewer for viewer in everybody if viewer.stalled]
        for viewer in rng.sample(stalled, min(len(stalled), rng.choice((1, 4, 20)))):
            self.wake(viewer)

    def wake(self, viewer: Viewer | TableViewer) -> None:
        viewer.stalled = False
        exact = self.hub.version % 2 == 0
        if isinstance(viewer, Viewer):
            if viewer.gone:
                viewer.come_back(exact)
            self.catch_up(viewer, simple=False)
        else:
            if viewer.gone:
                viewer.come_back(self.hub, exact)
            viewer.catch_up(self.hub.version)

    def set_indexes(self, rng: Random) -> None:
        definition = rng.choice(self.definitions())
        names = [field.name for field in definition.fields if field.type != "json"]
        chosen = rng.sample(names, rng.randint(0, 4))
        indexes = [translate.index(name, rng.choice(("hash", "sorted", "unspecified"))) for name in chosen]
        self.hub.set_indexes(definition.name, indexes)
        assert set(self.hub.table(definition.name).indexes) == set(chosen)

    def rename_table(self, rng: Random) -> None:
        """Under another name for some commits: sessions and readers follow."""
        definition = rng.choice(self.definitions())
        other = f"{definition.name}_2"
        self.hub.rename_table(definition.name, other)
        assert all(
            self.hub.session(name).query.table == (other if question.table == definition.name else question.table)
            for name, question in self.questions.items()
        )
        for _ in range(rng.randint(0, 2)):
            puts = random_writes.commit(rng, [definition], self.model.wrote, self.keys)
            self.write(puts, new_name=(definition.name, other))
        self.hub.rename_table(other, definition.name)

    def derive_table(self, rng: Random) -> None:
        """A table that is a question, of which others can be asked."""
        if len(self.model.views) == VIEWS:
            self.drop_view(rng.choice(list(self.model.views)))
        question = self.draw(rng)
        if sums(question) or any(table in self.model.views for table in tables_in(question)):
            return
        self.names += 1
        name = f"derived_{self.names}"
        question = fixed(self.model, question)
        self.hub.create_derived_table(name, translate.query(question))
        self.model.views[name] = question
        self.watch_table(Definition(name, shape_of(self.model, question).fields))
        self.fill(rng)

    def drop_view(self, name: str) -> None:
        self.drop(name)
        del self.model.views[name]

    def drop(self, name: str) -> None:
        """A table is gone, and with it all sessions on it and all its readers."""
        names = [session for session, question in self.questions.items() if name in tables_in(question)]
        ended = self.hub.drop_table(name)
        assert sorted(session.name for session in ended) == sorted(names)
        assert all(session.ended is Reason.TABLE_DELETED for session in ended)
        self.forget(names)
        for viewer in [viewer for viewer in self.table_viewers if viewer.table.name == name]:
            viewer.finish()
            self.table_viewers.remove(viewer)
        self.answers.clear()

    def recreate_table(self, rng: Random) -> None:
        definition = rng.choice(self.definitions())
        for view in [name for name, ask in self.model.views.items() if definition.name in tables_in(ask)]:
            with pytest.raises(PreconditionFailed):
                self.hub.drop_table(definition.name)
            self.drop_view(view)
        self.drop(definition.name)
        self.model.drop(definition.name)
        self.create(definition)
        self.fill(rng)
        self.watch_table(definition)

    def commit(self, rng: Random) -> None:
        puts = random_writes.commit(rng, self.definitions(), self.model.wrote, self.keys)
        self.write(puts, validate_only=rng.random() < 0.05)
        self.fill(rng)

    def tick(self, rng: Random) -> None:
        """The clock advances, now and then past many times at once; one that does not advance changes nothing."""
        before, touched = self.hub.version, self.model.now
        now = self.model.now + rng.choice((0, 1, 1, 2, 499_999, 1_000_000))
        result = self.hub.tick(now)
        assert self.hub.now == now
        assert self.hub.version in (before, before + 1)
        assert now > touched or self.hub.version == before
        self.model.tick(now, self.hub.version)
        self.followed(result, simple=False)

    def followed(self, result: CommitResult, simple: bool, names: Mapping[str, str] | None = None) -> None:
        """A commit was made: whoever it ended is gone, and whoever it touched reads."""
        self.answers.clear()
        self.end({session.name for session, _ in result.ended})
        self.touched.append([session.name for session in result.touched])
        tables = {(names or {}).get(table.name, table.name) for table in result.tables}
        self.deliver({session.name for session in result.touched}, tables, simple)

    def write(self, puts: Sequence[Put], validate_only: bool = False, new_name: tuple[str, str] = ("", "")) -> int:
        """One commit to the hub and to the model, which must agree on whether it is made and on what it did.

        `new_name` is a table's name in the model and in the hub, where they differ.
        """
        before = self.hub.version
        model = copy.copy(self.model) if validate_only else self.model
        if validate_only:
            model.rows, model.wrote, model.born = copy.deepcopy((self.model.rows, self.model.wrote, self.model.born))
            model.left = dict(self.model.left)
        refusal, error = "", ""
        counts: list[dict[str, int]] = []
        try:
            counts = model.commit(puts, before + 1)
        except Refused as refused:
            refusal = str(refused)
        writes = [translate.write(put, self.model.definitions[put.table]) for put in puts]
        for write in writes:
            write.table = new_name[1] if write.table == new_name[0] else write.table
        try:
            result = self.hub.commit(writes, validate_only=validate_only)
        except EngineError as raised:
            error = f"{raised.reason} {raised}"
        assert bool(refusal) == bool(error), f"the oracle refuses {refusal!r}, the engine {error!r}"
        if error:
            assert self.hub.version == before
            self.refused += 1
            return before
        assert [vars_of(count) for count in result.counts] == counts
        if validate_only:
            assert self.hub.version == before
            return before
        assert result.version == self.hub.version
        assert self.hub.version in (before, before + 1)
        self.commits += 1
        simple = len(puts) == 1 and puts[0].kind != "increment"  # no value can have changed and changed back
        self.followed(result, simple, {new_name[1]: new_name[0]})
        return self.hub.version

    def end(self, ended: set[str]) -> None:
        """The sessions that could not follow are those whose sums have left INT64, and no others."""
        true = {name for name, question in self.questions.items() if self.overflows(question)}
        assert ended == true, f"{ended} have ended, in truth {true}"
        self.forget(sorted(ended))

    def deliver(self, touched: set[str], tables: set[str], simple: bool) -> None:
        """What the server does after a commit: wakes the readers of what was touched."""
        for viewer in self.viewers:
            if not viewer.stalled and viewer.session.name in touched:
                self.catch_up(viewer, simple)
        for table_viewer in self.table_viewers:
            if not table_viewer.stalled and table_viewer.table.name in tables:
                table_viewer.catch_up(self.hub.version)

    # What must always be true

    def verify(self, rng: Random) -> None:
        if rng.random() < 0.3:
            self.hub.check()  # costs as much as everything else here
        for viewer in self.viewers:
            if not viewer.stalled:
                viewer.compare(*self.answer(viewer.question, viewer.span))
        for table_viewer in self.table_viewers:
            if not table_viewer.stalled:
                table_viewer.compare(self.model)
        assert set(self.hub.sessions) == set(self.questions)
        for name, question in self.questions.items():
            self.verify_session(rng, name, question, random_span(rng, self.model, question))
        schema_fits(self)
        for definition in self.definitions():
            self.verify_rows(definition)

    def verify_session(self, rng: Random, name: str, question: Question, span: Span) -> None:
        session, window = self.hub.session(name), translate.window(span)
        rows, total = self.answer(question, span)
        assert session.total_count == len(self.whole(question))
        asked = {"read": session.read(window)}
        how = rng.choice(ONE_IN_EIGHT)  # queries cost more than anything else here
        if how:
            begun = self.hub.begin_query(
                translate.query(question, inline=True), window, big=1 if how == "big" else None
            )
            asked[f"{how} query"] = begun if isinstance(begun, QueryResult) else begun()
        for how, result in asked.items():
            same(result.rows.to_rows(), rows, "the", how, "of", question, "in", span)
            assert (result.total_count, result.version) == (total, self.hub.version)

    def verify_rows(self, definition: Definition) -> None:
        """Rows by key, and the versions that conditions look at."""
        keys = self.keys[definition.name]
        schema = translate.schema(definition)
        rows, versions = self.hub.get_rows(definition.name, translate.Batch.of_rows(schema.columns, keys))
        held = self.model.rows[definition.name]
        present = [key for key in (tuple(key[name] for name in definition.key) for key in keys) if key in held]
        same(rows.to_rows(), [held[key] for key in present], "rows by key")
        assert versions.tolist() == [self.model.wrote[definition.name][key] for key in present]
        assert self.hub.table(definition.name).row_count == len(held)

    def finish(self, rng: Random) -> None:
        """Everybody catches up, and every recorded stream is judged."""
        everybody: list[Viewer | TableViewer] = [*self.viewers, *self.table_viewers]
        for viewer in everybody:
            if viewer.stalled:
                self.wake(viewer)
        self.verify(rng)
        self.hub.check()
        for viewer in everybody:
            viewer.finish()

    def definitions(self) -> list[Definition]:
        return list(self.model.definitions.values())

    def scope(self) -> composed.Scope:
        return composed.Scope(self.definitions(), self.questions, self.model.views)

    def whole(self, question: Question) -> list[Row]:
        return self.answer(question, Span())[0]

    def answer(self, question: Question, span: Span) -> tuple[list[Row], int]:
        """The truth, looked up once a version."""
        known = self.answers.get((question, span.open))
        if known is None:
            known = self.answers[question, span.open] = self.model.answer(question, Span(open=span.open))
        return cut(known[0], span), known[1]

    def catch_up(self, viewer: Viewer, simple: bool) -> None:
        viewer.catch_up(self.hub.version, self.whole(viewer.question), self.model, simple)


def sums(question: Question) -> bool:
    """Whether there is a sum in it, or in what it reads, that may leave INT64."""
    return "'sum'" in repr(question)


def vars_of(counts: Any) -> dict[str, int]:
    return {name: getattr(counts, name) for name in ("inserted", "updated", "deleted", "skipped")}


STEPS: dict[Callable[[World, Random], None], float] = {
    World.commit: 20,
    World.open_session: 1,
    World.close_session: 1,
    World.open_watch: 1,
    World.close_watch: 1,
    World.refuse_session: 1,
    World.stall: 3,
    World.disconnect: 2,
    World.drain: 2,
    World.set_indexes: 1,
    World.rename_table: 0.5,
    World.edit_session: 1.5,
    World.tick: 3,
    World.derive_table: 0.7,
    swap_tables: 1.2,
    alter_table: 2,
    retain_table: 1.5,
    sweep_texts: 3,
}
"""What a history is made of, and how often. (Recreating a table is rarer, see `play`.)"""


Also = Callable[[World, Random], None]


def play(seed: int, steps: int = 30, also: Also = World.verify, *, small: bool = False, **world_options: Any) -> World:
    """One seeded history; raises when the law is broken. `also` is asked after every step, the law at the end too."""
    if small:
        with small_thresholds():
            return play(seed, steps, also, **world_options)
    rng = Random(seed)
    world = World(**world_options)
    world.start(rng)
    also(world, rng)
    for _ in range(steps):
        step = World.recreate_table if rng.random() < 0.01 else rng.choices([*STEPS], [*STEPS.values()])[0]
        step(world, rng)
        also(world, rng)
    world.finish(rng)
    return world
