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
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tesseract_grpc.engine.data.errors import AlreadyExists, EngineError, Reason
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.live.result import Hydration
from tesseract_grpc.engine.live.session import QueryResult
from tesseract_grpc.engine.query.query import Query
from tesseract_grpc.testing import Response
from tests.engine import translate
from tests.engine.small import small_thresholds
from tests.engine.viewer import TableViewer, Viewer, cut, same
from tests.oracle.asks import Definition, Put, Question, Row, Span
from tests.oracle.model import Model, Refused
from tests.world import domain, questions
from tests.world import writes as random_writes

SESSIONS = 20
"""At least so many sessions are open on every history."""


class World:
    def __init__(self, keys: random_writes.Keys = domain.KEYS, **limits: Any) -> None:
        self.keys = keys
        self.hub = Hub("test", epoch="test", **limits)
        self.model = Model()
        self.questions: dict[str, Question] = {}
        self.viewers: list[Viewer] = []
        self.table_viewers: list[TableViewer] = []
        self.streams: list[list[Response]] = []
        self.touched: list[list[str]] = []
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
        definition = rng.choice(self.definitions())
        question = questions.question(rng, definition)
        if self.questions and rng.random() < 0.15:
            question = rng.choice(list(self.questions.values()))
        self.names += 1
        name = f"session_{self.names}"
        definition = self.model.definitions[question.table]
        query = translate.query(question, definition)
        session = self.hub.open_session(query, name, hydration=self.hydrated(rng, query))
        assert self.hub.open_session(query, name) is session
        self.questions[name] = question
        self.open_watch(rng, name)

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
        question = self.questions[name]
        session, definition = self.hub.session(name), self.model.definitions[question.table]
        self.viewers.append(Viewer(session, question, definition, questions.span(rng)))
        self.streams.append(self.viewers[-1].stream)

    def watch_table(self, definition: Definition) -> None:
        watch = self.hub.watch_table(definition.name, old_values=True)
        self.table_viewers.append(TableViewer(watch, definition))
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
        definition = rng.choice(self.definitions())
        question = questions.question(rng, definition)
        mine = self.questions[name]
        if translate.query(question, definition) != translate.query(mine, self.model.definitions[mine.table]):
            try:
                session = self.hub.open_session(translate.query(question, definition), name)
            except AlreadyExists as refusal:
                reason = refusal.reason
            else:  # two ways to say the same
                assert session is self.hub.session(name)
                assert self.whole(question) == self.whole(mine)
                return
            assert reason is Reason.SESSION_EXISTS

    def stall(self, rng: Random) -> None:
        """Readers that do not read for a while."""
        viewers = [*self.viewers, *self.table_viewers]
        for viewer in rng.sample(viewers, min(len(viewers), rng.choice((1, 2, 6, 12)))):
            viewer.stalled = True

    def drain(self, rng: Random) -> None:
        everybody: list[Viewer | TableViewer] = [*self.viewers, *self.table_viewers]
        stalled = [viewer for viewer in everybody if viewer.stalled]
        for viewer in rng.sample(stalled, min(len(stalled), rng.choice((1, 4, 20)))):
            self.wake(viewer)

    def wake(self, viewer: Viewer | TableViewer) -> None:
        viewer.stalled = False
        if isinstance(viewer, Viewer):
            viewer.catch_up(self.hub.version, self.whole(viewer.question), self.model, simple=False)
        else:
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

    def recreate_table(self, rng: Random) -> None:
        definition = rng.choice(self.definitions())
        ended = self.hub.drop_table(definition.name)
        names = [name for name, question in self.questions.items() if question.table == definition.name]
        assert sorted(session.name for session in ended) == sorted(names)
        assert all(session.ended is Reason.TABLE_DELETED for session in ended)
        self.forget(names)
        for viewer in [viewer for viewer in self.table_viewers if viewer.definition == definition]:
            viewer.finish()
            self.table_viewers.remove(viewer)
        self.model.drop(definition.name)
        self.create(definition)
        self.fill(rng)
        self.watch_table(definition)

    def commit(self, rng: Random) -> None:
        puts = random_writes.commit(rng, self.definitions(), self.model.wrote, self.keys)
        self.write(puts, validate_only=rng.random() < 0.05)

    def write(self, puts: Sequence[Put], validate_only: bool = False, new_name: tuple[str, str] = ("", "")) -> int:
        """One commit to the hub and to the model, which must agree on whether it is made and on what it did.

        `new_name` is a table's name in the model and in the hub, where they differ.
        """
        before = self.hub.version
        model = copy.copy(self.model) if validate_only else self.model
        if validate_only:
            model.rows, model.wrote, model.born = copy.deepcopy((self.model.rows, self.model.wrote, self.model.born))
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
        self.touched.append([session.name for session in result.touched])
        tables = {new_name[0] if table.name == new_name[1] else table.name for table in result.tables}
        self.deliver({session.name for session in result.touched}, tables, simple)
        return self.hub.version

    def deliver(self, touched: set[str], tables: set[str], simple: bool) -> None:
        """What the server does after a commit: wakes the readers of what was touched."""
        for viewer in self.viewers:
            if not viewer.stalled and viewer.session.name in touched:
                viewer.catch_up(self.hub.version, self.whole(viewer.question), self.model, simple)
        for table_viewer in self.table_viewers:
            if not table_viewer.stalled and table_viewer.definition.name in tables:
                table_viewer.catch_up(self.hub.version)

    # What must always be true

    def verify(self, rng: Random) -> None:
        self.hub.check()
        answers = {name: self.whole(question) for name, question in self.questions.items()}
        for viewer in self.viewers:
            if not viewer.stalled:
                viewer.compare(answers[viewer.session.name])
        for table_viewer in self.table_viewers:
            if not table_viewer.stalled:
                table_viewer.compare(self.model)
        assert set(self.hub.sessions) == set(self.questions)
        for name, question in self.questions.items():
            self.verify_session(name, question, answers[name], questions.span(rng))
        for definition in self.definitions():
            self.verify_rows(definition)

    def verify_session(self, name: str, question: Question, whole: list[Row], span: Span) -> None:
        session = self.hub.session(name)
        query = translate.query(question, self.model.definitions[question.table])
        assert session.total_count == len(whole)
        asked = {
            "read": session.read(translate.window(span)),
            "query": self.hub.query(query, translate.window(span)),
        }
        begun = self.hub.begin_query(query, translate.window(span), big=1)
        asked["query in two steps"] = begun if isinstance(begun, QueryResult) else begun()
        for how, result in asked.items():
            same(result.rows.to_rows(), cut(whole, span), f"the {how} of {question} in {span}")
            assert (result.total_count, result.version) == (len(whole), self.hub.version)

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
        for viewer in everybody:
            viewer.finish()

    def definitions(self) -> list[Definition]:
        return list(self.model.definitions.values())

    def whole(self, question: Question) -> list[Row]:
        return self.model.answer(question)[0]


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
    World.drain: 2,
    World.set_indexes: 1,
    World.rename_table: 0.5,
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
