"""The world of tests/engine/world.py at the other end of a socket: a real server, its clients, and the oracle.

Every reader is a thread of its own: a `RecordingWatcher` that keeps all responses, and for some sessions also the
Python client's mirror. The oracle's state is kept for every version, so that every consistent point of every stream can
be compared with the truth, not only the last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    change_pb2,
    hub_service_pb2,
    hub_service_pb2_grpc,
    schema_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
)
from tesseract_grpc.client import EventHorizon, Mirror
from tesseract_grpc.testing import Answer, ManualClock, RecordingWatcher, rows_of, running_server
from tests.engine.viewer import cut, same
from tests.oracle.answer import fixed, is_tree, shape_of
from tests.oracle.asks import Definition, Field, Put, Row
from tests.oracle.model import Model
from tests.oracle.origins import tables_in
from tests.oracle.question import Open, Question, Span
from tests.oracle.rows import Refused
from tests.server import wire_asks
from tests.world import composed, domain, questions
from tests.world import writes as random_writes
from tests.world.spans import random_span

SESSIONS = 20

NOW = 2_000_000
"""The time at which the server's clock stands at first."""

pb = table_service_pb2


class RefusedOnStream(Exception):
    """A stream of writes refused one of them, and goes on."""


class Reader:
    """One watch through the socket, and what it watches."""

    def __init__(self, watcher: RecordingWatcher, question: Question, span: Span | None, session: str) -> None:
        self.watcher = watcher
        self.asked = [(0, question)]  # from which version on it is which question
        self.span = span  # None: a watch of the whole table, which has no order
        self.session = session

    @property
    def question(self) -> Question:
        return self.asked[-1][1]

    def at(self, version: int) -> Question:
        """The question at a version."""
        return [question for begins, question in self.asked if begins <= version][-1]


class SocketWorld:
    def __init__(self, **options: Any) -> None:
        """`options` are those of the server."""
        self.stack = ExitStack()
        self.clock = ManualClock(NOW / 1e6)
        self.server = self.stack.enter_context(
            running_server(progress_interval=0.1, tick_interval=0.02, clock=self.clock, **options)
        )
        self.channel = self.stack.enter_context(self.server.channel())
        self.client = self.stack.enter_context(EventHorizon.connect(self.server.address))
        self.tables = table_service_pb2_grpc.TableServiceStub(self.channel)
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.hubs = hub_service_pb2_grpc.HubServiceStub(self.channel)
        self.model = Model()
        self.model.now = NOW
        self.answers: dict[tuple[int, Question, Open | None], tuple[list[Row], int]] = {}
        self.version = 0
        self.keys = dict(domain.KEYS)
        self.states: dict[int, dict[str, list[Row]]] = {}
        self.definitions: dict[int, list[Definition]] = {}  # the tables at a version
        self.times: dict[int, int] = {}  # the time at a version
        self.questions: dict[str, Question] = {}
        self.readers: list[Reader] = []
        self.mirrors: list[tuple[Mirror, str, Span]] = []
        self.names = 0
        self.commits = 0

    # Steps

    def start(self, rng: Random) -> None:
        for definition in domain.TABLES:
            self.create(definition)
        for _ in range(3):
            self.commit(rng)
        self.fill(rng)

    def create(self, definition: Definition) -> None:
        table = wire_asks.table_of(definition)
        made = self.tables.CreateTable(pb.CreateTableRequest(table_id=definition.name, table=table))
        self.model.create(definition)
        self.now_at(made.version)
        watcher = RecordingWatcher.table(self.channel, definition.name)
        self.readers.append(Reader(watcher, Question(definition.name), None, ""))

    def now_at(self, version: int) -> None:
        """Keeps what is true at a version."""
        self.version = version
        self.states[version] = {name: list(rows.values()) for name, rows in self.model.rows.items()}
        self.definitions[version] = list(self.model.definitions.values())
        self.times[version] = self.model.now

    def fill(self, rng: Random) -> None:
        while len(self.questions) < SESSIONS:
            self.open_session(rng)

    def open_session(self, rng: Random) -> None:
        question = self.draw(rng)
        if rng.random() < 0.1:
            question = composed.with_permanent(rng, self.scope(), question)
        self.names += 1
        name = f"session_{self.names}"
        permanent = wire_asks.kept(question.permanent)
        session = session_service_pb2.Session(query=wire_asks.query_of(question), permanent_filter=permanent)
        request = session_service_pb2.CreateSessionRequest(session_id=name, session=session)
        self.now_at(self.sessions.CreateSession(request).version)  # the clock moves for one that asks for the present
        self.questions[name] = fixed(self.model, question)
        self.open_watch(rng, name)
        if rng.random() < 0.3:
            span = questions.span(rng)
            window = (span.offset, span.limit)
            mirror = self.stack.enter_context(self.client.get_session(name).mirror(window=window))
            self.mirrors.append((mirror, name, span))

    def scope(self) -> composed.Scope:
        return composed.Scope(list(self.model.definitions.values()), self.questions)

    def draw(self, rng: Random) -> Question:
        """A question whose sums cannot leave INT64, and that does not spread over values of which there are none."""
        while True:
            question = composed.question(rng, self.scope())
            group = fixed(self.model, question).group
            spread = group is None or group.pivot is None or group.pivot[1]
            if spread and "'sum'" not in repr(question):
                return question

    def edit_session(self, rng: Random) -> None:
        """Another question under the same name; its readers go on."""
        name = rng.choice(list(self.questions))
        mine = self.questions[name]
        another = mine.permanent is None and rng.random() < 0.5
        question = self.draw(rng) if another else composed.edited(rng, self.scope(), mine)
        question = fixed(self.model, replace(question, permanent=mine.permanent))
        query = wire_asks.query_of(replace(question, permanent=None), inline=True)  # sessions may have become others
        session = session_service_pb2.Session(name=name, query=query)
        request = session_service_pb2.UpdateSessionRequest(session=session)
        request.update_mask.paths.append("query")
        self.now_at(self.sessions.UpdateSession(request).version)
        self.questions[name] = question
        for reader in self.readers:
            if reader.session == name:
                reader.asked.append((self.version, question))

    def open_watch(self, rng: Random, name: str | None = None) -> None:
        """Some readers want their changes at most every 150 ms: several commits come to them as one change; others want
        every commit. Half of them want digests, which are compared with their mirrors."""
        name = name or rng.choice(list(self.questions))
        span = random_span(rng, self.model, self.questions[name])
        request = wire_asks.watch_of(name, span, rng.choice((0, 0, 0, 150)))
        request.include_digest = rng.random() < 0.5
        if not request.HasField("min_interval") and rng.random() < 0.3:
            request.delivery = change_pb2.DELIVERY_EVERY_COMMIT
        watcher = RecordingWatcher.session(self.channel, request=request)
        self.readers.append(Reader(watcher, self.questions[name], span, name))

    def close_watch(self, rng: Random) -> None:
        reader = rng.choice(self.readers)
        reader.watcher.stop()
        self.judge(reader)
        self.readers.remove(reader)

    def close_session(self, rng: Random) -> None:
        name = rng.choice(list(self.questions))
        self.sessions.DeleteSession(session_service_pb2.DeleteSessionRequest(name=name))
        self.ended([name], "SESSION_DELETED", [])
        self.fill(rng)

    def recreate_table(self, rng: Random) -> None:
        definition = rng.choice(list(self.model.definitions.values()))
        self.now_at(self.tables.DeleteTable(pb.DeleteTableRequest(name=definition.name)).version)
        self.model.drop(definition.name)
        names = [name for name, question in self.questions.items() if definition.name in tables_in(question)]
        self.ended(names, "TABLE_DELETED", [definition.name])
        self.create(definition)
        self.fill(rng)

    def ended(self, names: list[str], reason: str, tables: list[str]) -> None:
        """All watches of sessions that are no more end with a status that says why."""
        over = [r for r in self.readers if r.session in names or (r.span is None and r.question.table in tables)]
        for reader in over:
            reader.watcher.wait_until(lambda watcher: watcher.ended)
            error = reader.watcher.error
            assert isinstance(error, grpc.RpcError)
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error
            assert reason in str(error.trailing_metadata()), error
            self.judge(reader)
            self.readers.remove(reader)
        for mirror, name, _ in [entry for entry in self.mirrors if entry[1] in names]:
            mirror.close()
            self.mirrors = [entry for entry in self.mirrors if entry[0] is not mirror]
            assert name in names
        for name in names:
            del self.questions[name]

    def set_indexes(self, rng: Random) -> None:
        definition = rng.choice(list(self.model.definitions.values()))
        names = [field.name for field in definition.fields if field.type != "json"]
        indexes = [schema_pb2.Index(column=name) for name in rng.sample(names, rng.randint(0, 3))]
        request = pb.UpdateTableRequest(table=schema_pb2.Table(name=definition.name, indexes=indexes))
        request.update_mask.paths.append("indexes")
        self.now_at(self.tables.UpdateTable(request).version)

    def commit(self, rng: Random) -> None:
        puts = random_writes.commit(rng, list(self.model.definitions.values()), self.model.wrote, self.keys)
        refusal, error = "", ""
        counts: list[dict[str, int]] = []
        try:
            counts = self.model.commit(puts, self.version + 1)
        except Refused as refused:
            refusal = str(refused)
        try:
            response = self.send(rng, self.request(puts))
        except grpc.RpcError as raised:
            error = f"{raised.code()} {raised.details()}"
        except RefusedOnStream as raised:
            error = str(raised)
        assert bool(refusal) == bool(error), f"the oracle refuses {refusal!r}, the server {error!r}"
        if not error:
            kinds = ("inserted", "updated", "deleted", "skipped")
            assert [{kind: getattr(result, kind) for kind in kinds} for result in response.results] == counts
            self.now_at(response.version)
            self.commits += 1

    def tick(self, rng: Random) -> None:
        """The clock advances, and the server's hub follows it. Where rows depend on time, that takes a version."""
        self.clock.advance(rng.choice((1e-6, 2e-6, 0.499_999, 1.0)))
        now = round(self.clock() * 1e6)
        hub = self.hubs.GetHub(hub_service_pb2.GetHubRequest()).hub
        while hub.hub_time.ToMicroseconds() < now:
            time.sleep(0.01)
            hub = self.hubs.GetHub(hub_service_pb2.GetHubRequest()).hub
        assert hub.version in (self.version, self.version + 1)
        self.model.tick(now, hub.version)
        self.now_at(hub.version)

    def send(self, rng: Random, request: pb.WriteRequest) -> pb.WriteResponse:
        """By itself, or on a stream of writes."""
        if rng.random() < 0.7:
            return self.tables.Write(request)
        (answer,) = self.tables.WriteStream(iter([pb.WriteStreamRequest(sequence=7, write=request)]))
        assert answer.sequence == 7
        if answer.WhichOneof("outcome") == "refused":
            assert answer.refused.code
            assert answer.refused.reason
            raise RefusedOnStream(answer.refused.message)
        return answer.committed

    def request(self, puts: list[Put]) -> pb.WriteRequest:
        return pb.WriteRequest(operations=[wire_asks.operation_of(p, self.model.definitions[p.table]) for p in puts])

    # What must always be true

    def verify(self, rng: Random) -> None:
        """Everybody reaches the present version; mirrors, reads and queries are the truth there."""
        for reader in self.readers:
            reader.watcher.wait_for(self.version)
            answer = self.truth(reader, self.version)
            assert answer is not None
            mine = sorted(reader.watcher.mirror.rows, key=repr) if reader.span is None else reader.watcher.mirror.rows
            true = sorted(answer.rows, key=repr) if reader.span is None else list(answer.rows)
            same(mine, true, f"the mirror of {reader.question} in {reader.span}")
        for mirror, name, span in self.mirrors:
            mirror.wait_for(self.version)
            rows, total = self.model.answer(self.questions[name])
            shape = shape_of(self.model, self.questions[name])
            shown = [as_client(row, shape.fields) for row in cut(rows, span)]
            same([dict(row) for row in mirror.rows()], shown, f"the client's mirror of {name} in {span}")
            assert mirror.total_count == total
        for name in rng.sample(list(self.questions), 5):
            self.verify_reads(name, random_span(rng, self.model, self.questions[name]))
        assert list(self.hubs.CheckHub(hub_service_pb2.CheckHubRequest()).violations) == []

    def verify_reads(self, name: str, span: Span) -> None:
        question = self.questions[name]
        rows, total = self.model.answer(question, span)
        window = wire_asks.window_of(span)
        query = wire_asks.query_of(question, inline=True)
        for response in (
            self.sessions.QuerySession(session_service_pb2.QuerySessionRequest(name=name, window=window)),
            self.tables.Query(pb.QueryRequest(query=query, window=window, min_version=self.version)),
        ):
            same(rows_of(response.rows), rows, f"the answer to {question} in {span}")
            assert (response.total_count, response.version) == (total, self.version)
        for pieces in (
            self.sessions.QuerySessionStream(session_service_pb2.QuerySessionStreamRequest(name=name, window=window)),
            self.tables.QueryStream(pb.QueryStreamRequest(query=query, window=window)),
        ):
            joined = [row for piece in pieces for row in rows_of(piece.rows)]
            same(joined, rows, f"the streamed answer to {question} in {span}")

    def truth(self, reader: Reader, version: int) -> Answer | None:
        """The true answer at a version: that of the last state at or before it."""
        question, known = reader.at(version), self.states.get(version)
        if known is None or not tables_in(question) <= set(known):
            return None
        which = reader.span.open if reader.span is not None and is_tree(question) else None
        if (version, question, which) not in self.answers:
            past = self.past(version)
            self.answers[version, question, which] = past.answer(question, Span(open=which))
        rows, total = self.answers[version, question, which]
        return Answer(rows if reader.span is None else cut(rows, reader.span), total, ordered=reader.span is not None)

    def past(self, version: int) -> Model:
        """All tables as they were."""
        past = Model()
        past.now = self.times[version]
        for definition in self.definitions[version]:
            past.create(definition)
            rows = self.states[version][definition.name]
            past.rows[definition.name] = {tuple(row[name] for name in definition.key): row for row in rows}
        return past

    def judge(self, reader: Reader) -> None:
        """All promises, over everything that a reader was ever sent."""
        reader.watcher.check(lambda version: self.truth(reader, version))

    def finish(self, rng: Random) -> None:
        self.verify(rng)
        for reader in self.readers:
            reader.watcher.stop()
            self.judge(reader)

    def close(self) -> None:
        for reader in self.readers:
            reader.watcher.stop()
        self.stack.close()


def as_client(row: Row, fields: Sequence[Field]) -> dict[str, Any]:
    """A row as the Python client shows it: times as datetime, JSON as what it says."""
    kinds = {field.name: field.type for field in fields}

    def shown(name: str, value: Any) -> Any:
        if value is None:
            return None
        if kinds[name] == "timestamp":
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
        return json.loads(value) if kinds[name] == "json" else value

    return {name: shown(name, value) for name, value in row.items()}
