"""The followers of one directory and the sessions that they watch: who comes, who goes, what is edited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import grpc

from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2_grpc
from tests.crash.books import Books, Defined, Lost
from tests.crash.follower import Follower
from tests.crash.traffic import TABLES
from tests.oracle.question import Question
from tests.server import wire_asks
from tests.world import composed, questions
from tests.world.spans import random_span

FOLLOWERS, OF_TABLES = 20, 3
"""So many watches, and so many of them of whole tables."""

PLAIN = 0.8
"""The share of questions without joins, groups and the like."""

PATIENCE = 20.0
"""Seconds that everybody has to hear of everything."""

Connect = Callable[[], grpc.aio.Channel]


class Crowd:
    """All followers. What they ask is drawn over the whole language; a definition at a time changes, and is sent again
    if the server died meanwhile."""

    def __init__(self, rng: Random, books: Books) -> None:
        self.rng, self.books = rng, books
        self.followers: list[Follower] = []
        self.questions: dict[str, Question] = {}
        self.names = 0
        self._generations: dict[str, int] = {}
        self._resumed = self._too_late = 0
        self._running: dict[Follower, asyncio.Task[None]] = {}
        self._unfinished: spb.CreateSessionRequest | spb.UpdateSessionRequest | None = None
        self._asks: Question | None = None

    @property
    def resumes(self) -> int:
        """How often a watch went on with its token."""
        return self._resumed + sum(follower.resumes for follower in self.followers)

    @property
    def too_late(self) -> int:
        """How often a watch had been left behind further than history reaches."""
        return self._too_late + sum(follower.too_late for follower in self.followers)

    # Watching

    def start(self, connect: Connect) -> None:
        """Everybody follows, each over a connection of its own."""
        for follower in self.followers:
            self._follow(follower, connect())

    def _follow(self, follower: Follower, channel: grpc.aio.Channel) -> None:
        self._running[follower] = asyncio.create_task(follower.run(channel))

    async def disturb(self, connect: Connect) -> None:
        """Clients die, too: again and again somebody breaks off and goes on with its token."""
        while True:
            await asyncio.sleep(self.rng.random() * 0.3)
            follower = self.rng.choice(self.followers)
            await self._leave(follower)
            self._follow(follower, connect())

    async def _leave(self, follower: Follower) -> None:
        task = self._running.pop(follower, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def stop(self) -> None:
        """Nobody follows any more, until the next start."""
        for follower in self.followers:
            await self._leave(follower)

    async def reach(self, version: int) -> None:
        """Waits until everybody has heard of everything up to a version."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not all(follower.at(version) for follower in self.followers):
            if asyncio.get_running_loop().time() > end:
                late = [follower for follower in self.followers if not follower.at(version)]
                where = [(each.mirror.version, each) for each in late[:3]]
                raise Lost(f"{len(late)} watches have not heard of {version}, the first are {where}")
            await asyncio.sleep(0.005)
        for follower in self.followers:
            follower.edited = False

    # What is watched

    async def change(self, connect: Connect) -> None:
        """Now and then somebody leaves, a session is edited; then there are twenty again. Raises when the server dies;
        then `finish` goes on."""
        form = self.rng.random()
        if form < 0.3 and self.followers:
            gone = self.rng.choice(self.followers)
            await self._leave(gone)
            self.followers.remove(gone)
            self._resumed += gone.resumes
            self._too_late += gone.too_late
        elif form < 0.6 and self.questions:
            await self._edit(connect)
        while len(self.followers) < FOLLOWERS:
            if sum(follower.span is None for follower in self.followers) < OF_TABLES:
                table = self.rng.choice(TABLES).name
                self.followers.append(Follower(table, Question(table), None, Random(self.rng.random())))
            elif self.questions and self.rng.random() < 0.3:
                self._watch(self.rng.choice([*self.questions]))
            else:
                self.names += 1
                self._asks = self._draw()
                session = spb.Session(query=wire_asks.query_of(self._asks))
                name = f"session_{self.names}"
                self._unfinished = spb.CreateSessionRequest(session_id=name, session=session, request_id=name)
                await self.finish(connect)
                continue
            self._follow(self.followers[-1], connect())

    async def _edit(self, connect: Connect) -> None:
        name = self.rng.choice([*self.questions])
        scope = composed.Scope(TABLES, self.questions)
        self._asks = self._draw() if self.rng.random() < 0.5 else composed.edited(self.rng, scope, self.questions[name])
        self.names += 1
        query = wire_asks.query_of(self._asks, inline=True)  # sessions may have become others
        self._unfinished = spb.UpdateSessionRequest(
            session=spb.Session(name=name, query=query), request_id=f"edit-{self.names}"
        )
        self._unfinished.update_mask.paths.append("query")
        for follower in self.followers:
            follower.edited |= follower.name == name and follower.span is not None
        await self.finish(connect)

    async def finish(self, connect: Connect) -> None:
        """Sends the definition that is on its way, for the first time or again."""
        request, question = self._unfinished, self._asks
        if request is None or question is None:
            return
        stub = session_service_pb2_grpc.SessionServiceStub(connect())
        if isinstance(request, spb.CreateSessionRequest):
            await stub.CreateSession(request, timeout=PATIENCE)
            name = request.session_id
            self.questions[name] = question
            self._watch(name)
            self._follow(self.followers[-1], connect())
        else:
            name = request.session.name
            response = await stub.UpdateSession(request, timeout=PATIENCE)
            self.questions[name] = question
            if response.session.generation != self._generations.get(name, 1):  # else it was what it is
                self._generations[name] = response.session.generation
                self.books.enter(response.version, Defined(f"edit of {name}"))
            for follower in self.followers:
                if follower.name == name and follower.span is not None:
                    follower.asked.append((response.version, question))
        self._unfinished = None

    def _watch(self, name: str) -> None:
        question = self.questions[name]
        span = random_span(self.rng, self.books.model, question)
        self.followers.append(Follower(name, question, span, Random(self.rng.random())))

    def _draw(self) -> Question:
        """Mostly a plain question of one table, so that the server can make commits enough; else one over the whole
        language, whose sums cannot leave INT64, and that does not spread over values of which there are none."""
        if self.rng.random() < PLAIN:
            return questions.question(self.rng, self.rng.choice(TABLES))
        while True:
            question = composed.question(self.rng, composed.Scope(TABLES, self.questions), depth=1)
            text = repr(question)
            if "'sum'" not in text and "pivot" not in text:
                return replace(question, permanent=None)
