"""Some kills of one directory.

A life of the server is: start; find out what became of everything that was on its way; compare everything with the
books; let everybody write and watch; die. It may die at any of these. The recordings of a life are judged while the
server after the next one starts, when nothing else is to do.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import grpc

from tesseract_grpc._proto.tesseract.v1 import (
    hub_service_pb2,
    hub_service_pb2_grpc,
    query_pb2,
    session_service_pb2_grpc,
    table_service_pb2,
    table_service_pb2_grpc,
    value_pb2,
)
from tesseract_grpc._proto.tesseract.v1 import session_service_pb2 as spb
from tesseract_grpc.testing import rows_of
from tests.crash import traffic
from tests.crash.books import Books, Defined, Lost, Wrote
from tests.crash.crowd import Crowd
from tests.crash.definer import Definer
from tests.crash.life import Life, Nursery
from tests.crash.outcome import refused
from tests.crash.points import POINTS
from tests.crash.tally import Tally
from tests.crash.writer import Writer
from tests.engine.viewer import same
from tests.oracle.question import Question, Span
from tests.server import wire_asks

pb = table_service_pb2


class Answered(Protocol):
    """What both kinds of queries are answered with."""

    @property
    def rows(self) -> value_pb2.RowBatch: ...

    @property
    def total_count(self) -> int: ...

    @property
    def version(self) -> int: ...


WRITERS = 8
PATIENCE = 20.0
"""Seconds that an answer may take."""

START, STEP = 2_000_000, 300_000
"""The time at the first start, and what passes until the next, in microseconds."""

OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),  # a channel is a connection
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
]


@dataclass(frozen=True)
class Plan:
    """How a life ends: after so many seconds of load, or at the n-th pass of a point if that is earlier."""

    seconds: float
    durability: str
    point: str = ""
    passes: int = 0

    @property
    def crash_at(self) -> str:
        return f"{self.point}:{self.passes}" if self.point else ""

    @classmethod
    def draw(cls, rng: Random, point: str, seconds: float) -> Plan:
        """At a random moment, or at a point."""
        durability = rng.choice(("fsync", "normal"))
        if not point:
            return cls(seconds * rng.uniform(0.2, 1.2), durability)
        return cls(seconds * 1.5, durability, point, rng.randint(1, POINTS[point]))


Rest = Callable[[Life, Plan], Awaitable[None]]
"""What happens after everything was compared."""


def free_port() -> int:
    """A port below those that the system gives to clients."""
    while True:
        port = random.randint(21_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


class Round:
    """One directory, its clients, and their books."""

    def __init__(self, nursery: Nursery, folder: Path, rng: Random, tally: Tally, flags: list[str]) -> None:
        self.nursery, self.folder, self.rng, self.tally = nursery, folder, rng, tally
        self.flags = flags
        self.port = free_port()
        self.now = START - STEP
        self.books = Books(0)
        self.crowd = Crowd(Random(rng.random()), self.books)
        self.definer = Definer(Random(rng.random()), self.books)
        self.writers = [Writer(n, Random(rng.random()), self.books, streams=n % 3 == 0) for n in range(WRITERS)]
        self.lives = 0
        self.created = False
        self.epoch = ""
        self._channels: list[grpc.aio.Channel] = []
        self._judgements: list[Callable[[], None]] = []

    async def play(self, plans: list[Plan]) -> None:
        """A life for each plan, and a last one that ends in peace, with everything compared."""
        for plan in plans:
            await self._live(plan, self._until_killed)
            self.tally.kills += 1
        await self._live(Plan(0.2, "fsync"), self._until_quiet)
        self._judge()
        self.tally.repeated += sum(writer.repeated for writer in self.writers)
        self.tally.found += sum(writer.found for writer in self.writers)
        self.tally.resumes += self.crowd.resumes
        self.tally.too_late += self.crowd.too_late

    async def _live(self, plan: Plan, rest: Rest) -> None:
        self.lives += 1
        self.now += STEP
        self.books.times.append(self.now)
        (self.folder / "clock").write_text(f"{self.now:20}")
        flags = ["--listen", f"127.0.0.1:{self.port}", *self.flags, "--durability", plan.durability]
        life = Life(self.nursery, self.folder, self.lives, flags, plan.crash_at)
        commits = self.books.commits
        try:
            self._judge()
            if await life.ready():
                await self._serve(life, plan, rest)
        finally:
            life.kill()
            await life.dead.wait()
            await self._disconnect()
        life.check_cause()
        self.tally.lived(life, self.books.commits - commits)

    async def _serve(self, life: Life, plan: Plan, rest: Rest) -> None:
        """What happens between the start of a server and its death."""
        try:
            if not self.created:
                await self._create()
            await self._settle()
            await rest(life, plan)
        except grpc.aio.AioRpcError as error:
            if refused(error):
                raise
            await asyncio.wait_for(life.dead.wait(), 5)  # else it broke a connection without dying
        except Lost:
            if not life.dead.is_set():
                raise

    # Connections

    def _connect(self) -> grpc.aio.Channel:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=OPTIONS)
        self._channels.append(channel)
        return channel

    async def _disconnect(self) -> None:
        await self.crowd.stop()
        for follower in self.crowd.followers:
            self.books.told.saw(follower.mirror.version)
        channels, self._channels = self._channels, []
        await asyncio.gather(*(channel.close() for channel in channels))

    # A start

    async def _create(self) -> None:
        """The tables and the money, once."""
        stub = table_service_pb2_grpc.TableServiceStub(self._connect())
        for definition in traffic.TABLES[self.books.applied :]:
            table = wire_asks.table_of(definition)
            request = pb.CreateTableRequest(table_id=definition.name, table=table, request_id=definition.name)
            made = await stub.CreateTable(request, timeout=PATIENCE)
            self.books.enter(made.version, Defined(f"table {definition.name}"))
        opening = await stub.Write(traffic.request_of([traffic.OPENING], "opening"), timeout=PATIENCE)
        self.books.enter(opening.version, Wrote((traffic.OPENING,), None, "the opening"))
        self.created = True

    async def _settle(self) -> None:
        """Finds out about everything that was on its way, and compares everything that there is."""
        channel = self._connect()
        hub = hub_service_pb2_grpc.HubServiceStub(channel)
        await self._clock(hub)
        self.books.told.restarted((await self._hub(hub)).version)
        self.crowd.start(self._connect)
        self.tally.unknown += sum(len(writer.unknown) for writer in self.writers)
        await asyncio.gather(*(writer.resolve(channel) for writer in self.writers))
        await self.definer.resolve(channel)
        await self.crowd.finish(self._connect)
        await asyncio.gather(*(writer.ask_again(channel) for writer in self.writers))
        version = (await self._hub(hub)).version
        self.books.close_until(version)
        await self._compare(channel, version)
        past = self.books.turn_the_page()
        self._judgements += [follower.turn_the_page(past) for follower in self.crowd.followers]
        await self.crowd.change(self._connect)
        version = (await self._hub(hub)).version
        self.books.close_until(version)
        await self.crowd.reach(version)

    async def _clock(self, stub: hub_service_pb2_grpc.HubServiceAsyncStub) -> None:
        """Waits for the tick that the time of this life brings: what is compared depends on it."""
        for _ in range(1_000):
            if (await self._hub(stub)).hub_time.ToMicroseconds() >= self.now:
                return
            await asyncio.sleep(0.01)
        raise Lost(f"the hub's clock does not come to {self.now}")

    async def _hub(self, stub: hub_service_pb2_grpc.HubServiceAsyncStub) -> hub_service_pb2.Hub:
        return (await stub.GetHub(hub_service_pb2.GetHubRequest(), timeout=PATIENCE)).hub

    async def _compare(self, channel: grpc.aio.Channel, version: int) -> None:
        """Whole tables, sessions, mirrors, definitions, and the server's own opinion of its structures."""
        tables = table_service_pb2_grpc.TableServiceStub(channel)
        sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        for table in traffic.TABLES:
            query = pb.QueryRequest(query=query_pb2.Query(table=table.name), min_version=version)
            self._same(
                await tables.Query(query, timeout=PATIENCE), Question(table.name), version, f"table {table.name}"
            )
        for name, question in (self.crowd.questions | self.definer.sessions).items():
            asked = spb.QuerySessionRequest(name=name, min_version=version)
            self._same(await sessions.QuerySession(asked, timeout=PATIENCE), question, version, f"session {name}")
        await self.definer.compare(channel, set(self.crowd.questions))
        await self.crowd.reach(version)
        for follower in self.crowd.followers:
            self.books.told.saw(follower.mirror.version)
            follower.compare(self.books.past)
        hub = hub_service_pb2_grpc.HubServiceStub(channel)
        checked = await hub.CheckHub(hub_service_pb2.CheckHubRequest(), timeout=PATIENCE)
        if checked.violations:
            raise Lost(f"the hub finds itself broken: {list(checked.violations)}")
        self.tally.compared += 1

    def _same(self, answer: Answered, question: Question, version: int, what: str) -> None:
        true = self.books.past.truth(version, question, Span())
        assert true is not None
        self.books.told.read(version, answer.version)
        if answer.version != version:
            raise Lost(f"{what} is at {answer.version}, and nobody writes after {version}")
        same(rows_of(answer.rows), list(true.rows), f"at {version} {what} ({question})")
        if answer.total_count != true.total_count:
            raise Lost(f"{what} counts {answer.total_count}, in truth {true.total_count}")

    def _judge(self) -> None:
        judgements, self._judgements = self._judgements, []
        for judge in judgements:
            judge()

    # Load

    async def _until_killed(self, life: Life, plan: Plan) -> None:
        await self._load(asyncio.Event(), self._kill_after(life, plan.seconds))

    async def _kill_after(self, life: Life, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(life.dead.wait(), seconds)
        life.kill()
        await life.dead.wait()

    async def _until_quiet(self, life: Life, plan: Plan) -> None:
        stop = asyncio.Event()
        await self._load(stop, asyncio.sleep(plan.seconds))
        await self.crowd.stop()
        await self._settle()

    async def _load(self, stop: asyncio.Event, end: Coroutine[Any, Any, None]) -> None:
        """Everybody writes and defines until `end`, and then, if they can, to the end of what they have begun."""
        busy = [asyncio.create_task(writer.run(self._connect(), stop)) for writer in self.writers]
        busy.append(asyncio.create_task(self.definer.run(self._connect(), stop)))
        disturbing = asyncio.create_task(self.crowd.disturb(self._connect))
        ending = asyncio.create_task(end)
        try:
            await asyncio.wait([ending, disturbing], return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await asyncio.wait_for(asyncio.gather(*busy), PATIENCE)
        finally:
            for task in (ending, disturbing, *busy):
                task.cancel()
            await asyncio.wait([ending, disturbing, *busy])
        for task in (ending, disturbing):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
