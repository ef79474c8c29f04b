"""Tables and sessions that come and go while others write: definitions must survive as rows do.

One definition at a time; what was sent when the server died is sent again after the start, with the same request id.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    schema_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
)
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tests.crash.books import Books, Defined, Lost
from tests.crash.outcome import refused
from tests.oracle.question import Question
from tests.server import wire_asks
from tests.world import domain, questions

pb = table_service_pb2

MOST = 5
"""So many tables, and so many sessions, are there at a time."""


@dataclass(frozen=True)
class Step:
    """A definition on its way: which method of which stub, and what it makes of what there is."""

    method: str
    request: Any
    gone: str = ""
    come: str = ""
    question: Question | None = None

    @property
    def of_sessions(self) -> bool:
        return self.method in ("CreateSession", "DeleteSession")


class Definer:
    """Makes and drops definitions of one directory."""

    def __init__(self, rng: Random, books: Books) -> None:
        self.rng = rng
        self.books = books
        self.tables: set[str] = set()
        self.sessions: dict[str, Question] = {}
        self.unknown: Step | None = None
        self.made = 0

    def draw(self) -> Step:
        self.made += 1
        number, rng = self.made, self.rng
        name, request_id = f"extra_{number}", f"definition-{number}"
        form = rng.random()
        if form < 0.3 and len(self.sessions) < MOST:
            question = questions.question(rng, rng.choice(domain.TABLES))
            session = spb.Session(query=wire_asks.query_of(question), description=f"number {number}")
            made = spb.CreateSessionRequest(session_id=name, session=session, request_id=request_id)
            return Step("CreateSession", made, come=name, question=question)
        if form < 0.45 and self.sessions:
            gone = rng.choice([*self.sessions])
            return Step("DeleteSession", spb.DeleteSessionRequest(name=gone, allow_missing=True), gone=gone)
        if form < 0.6 or not self.tables:
            return self._indexes(request_id)
        gone = rng.choice([*self.tables])
        if form < 0.75:
            renamed = pb.RenameTableRequest(name=gone, new_table_id=name, request_id=request_id)
            return Step("RenameTable", renamed, gone=gone, come=name)
        if len(self.tables) < MOST and form < 0.9:
            return self._table(name, request_id)
        return Step("DeleteTable", pb.DeleteTableRequest(name=gone, request_id=request_id), gone=gone)

    def _indexes(self, request_id: str) -> Step:
        definition = self.rng.choice(domain.TABLES)
        if not self.tables:
            return self._table(f"extra_{self.made}", request_id)
        names = [field.name for field in definition.fields if field.type != "json"]
        indexes = [schema_pb2.Index(column=name) for name in self.rng.sample(names, self.rng.randint(0, 3))]
        request = pb.UpdateTableRequest(
            table=schema_pb2.Table(name=definition.name, indexes=indexes), request_id=request_id
        )
        request.update_mask.paths.append("indexes")
        return Step("UpdateTable", request)

    def _table(self, name: str, request_id: str) -> Step:
        table = wire_asks.table_of(self.rng.choice(domain.TABLES))
        return Step("CreateTable", pb.CreateTableRequest(table_id=name, table=table, request_id=request_id), come=name)

    async def run(self, channel: grpc.aio.Channel, stop: asyncio.Event) -> None:
        """Defines until it is to stop or the server dies."""
        while not stop.is_set():
            self.unknown = self.draw()
            try:
                await self.resolve(channel)
            except grpc.aio.AioRpcError as error:
                if refused(error):
                    raise
                return
            await asyncio.sleep(self.rng.random() * 0.2)

    async def resolve(self, channel: grpc.aio.Channel) -> None:
        """Sends what is unknown, for the first time or again."""
        step = self.unknown
        if step is None:
            return
        stub: Any = (
            session_service_pb2_grpc.SessionServiceStub(channel)
            if step.of_sessions
            else table_service_pb2_grpc.TableServiceStub(channel)
        )
        response = await getattr(stub, step.method)(step.request, timeout=20)
        self.unknown = None
        if not step.of_sessions:
            self.books.enter(response.version, Defined(f"{step.method} {step.gone} {step.come}"))
            self.tables -= {step.gone}
            self.tables |= {step.come} - {""}
            return
        if step.question is not None:
            self.sessions[step.come] = step.question
        self.sessions.pop(step.gone, None)

    async def compare(self, channel: grpc.aio.Channel, others: set[str]) -> None:
        """The tables and sessions that there are, are those that were made. `others` are the sessions of followers."""
        tables = await table_service_pb2_grpc.TableServiceStub(channel).ListTables(pb.ListTablesRequest())
        found = {table.name.rpartition("/")[2] for table in tables.tables} - {"accounts", "ledger"}
        if found != self.tables | {table.name for table in domain.TABLES}:
            raise Lost(f"the tables are {sorted(found)}, and {sorted(self.tables)} were made")
        listed = await session_service_pb2_grpc.SessionServiceStub(channel).ListSessions(spb.ListSessionsRequest())
        names = {session.name.rpartition("/")[2] for session in listed.sessions}
        if names != self.sessions.keys() | others:
            raise Lost(f"the sessions are {sorted(names)}, and {sorted(self.sessions.keys() | others)} were made")
        for session in listed.sessions:
            name = session.name.rpartition("/")[2]
            if name.startswith("extra_") and session.description != f"number {name.removeprefix('extra_')}":
                raise Lost(f"session {name} is described as {session.description!r}")
