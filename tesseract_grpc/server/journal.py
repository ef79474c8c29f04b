"""The way of every change into a hub: first into the log, then into the engine.

A hub is a state machine over a log of records. A change is *proposed*; it is appended to the log, with all others that
wait at that moment; one flush makes them durable together; only then are they *applied*, in the order of the log, and
answered. So whatever can be seen is as durable as its acknowledgement says, readers never wait for a disk, and when
the log fails memory is exactly what the log holds. A record that turns out to be refused when it is applied stays in
the log and is refused again whenever the log is replayed.

    proposed ──► queued ──► appended ──► flushed (worker thread) ──► applied ──► answered
                   ▲ bounded: more is refused with WRITES_OVERLOADED

A hub without a log, and one whose log may be behind (durability `memory`), applies at once.

When the log fails the journal is READ_ONLY: what was proposed is refused, nothing new is taken, and every
`HEALING_INTERVAL` the log is tried again. What a failed flush has brought to the disk all the same is applied then, so
a change that was refused with HUB_READ_ONLY may turn out to have been made; its request id tells.

What only this process knows of (anonymous sessions) goes the same way without a record, where it must take a version a
record keeps its place (`Kind.ADVANCE`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.message import Message

from tesseract_grpc.engine.data.commit_log import CommitLog, HubLog, LogEntry, LogFailed
from tesseract_grpc.engine.data.errors import EngineError
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.errors import Refusal, ServerReason
from tesseract_grpc.server.logs import logger, trace_of
from tesseract_grpc.server.records import Kind, Moment, Record, decode_record
from tesseract_grpc.server.snapshots.task import Snapshots
from tesseract_grpc.server.tracing import COMMIT, FLUSH

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from tesseract_grpc.server.host import Host

Behaviour = Callable[["Host", Any, Moment, object], Message]
"""Applies a request; the last argument is what was prepared for it aside, and may be missing."""
Behaviours = Mapping[Kind, Behaviour]

HEALING_INTERVAL = 1.0
"""Seconds between two attempts to write to a log that failed."""
_RETRY_OVERLOADED = 0.1
_SLICE = 0.005
"""Seconds for which changes are applied before others get the loop."""
_GROUP_BYTES = 8_388_608
"""The most that one flush takes, so that the first of many does not wait for the last."""
_REPLAY_SLICE = 200
"""Records that are replayed before others get the loop."""


class JournalState(Enum):
    """Whether changes are taken."""

    SERVING = "serving"
    READ_ONLY = "read only"
    CLOSED = "closed"


@dataclass(slots=True)
class Recovery:
    """What a start found in the log."""

    records: int = 0
    seconds: float = 0.0
    snapshot_position: int = 0
    cut: int = 0


@dataclass(slots=True, eq=False)
class Proposal:
    """A change on its way."""

    record: Record
    payload: bytes
    aside: object
    answer: asyncio.Future[Any]
    local: Callable[[], Any] | None = None
    """What is done in the place of the record, in this process only."""
    span: Span | None = None
    offered: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class JournalCounters:
    """Work done since the start."""

    records: int = 0
    overloaded: int = 0
    failures: int = 0


class Journal:
    """The changes of one hub. All of it runs on the loop, except flushes of the log."""

    def __init__(self, host: Host, log: HubLog | None, behaviours: Behaviours) -> None:
        self.host = host
        self.log = log
        self.state = JournalState.SERVING
        self.failure = ""
        self.position = 0
        """The position of the last record that was applied."""
        self.recovery = Recovery()
        self.snapshots: Snapshots | None = None
        """What writes snapshots; None for a hub without a log, and before the start."""
        self.counters = JournalCounters()
        self.on_state: Callable[[], None] | None = None
        self._behaviours = behaviours
        self._memory = log is None or int(log.durability) == twin.table_service.DURABILITY_MEMORY
        self._queue: deque[Proposal] = deque()
        self._queued_bytes = 0
        self._flushed: deque[Proposal] = deque()
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._thread: ThreadPoolExecutor | None = None

    @property
    def durability(self) -> twin.table_service.Durability.ValueType:
        """What an acknowledged change survives."""
        if self.log is None:
            return twin.table_service.DURABILITY_MEMORY
        return twin.table_service.Durability.ValueType(int(self.log.durability))

    @property
    def pending(self) -> int:
        """How many changes are on their way."""
        return len(self._queue) + len(self._flushed)

    @property
    def immediate(self) -> bool:
        """Whether a change is applied while it is proposed."""
        return self._memory

    # Changing

    async def propose(self, request: Message, *, aside: object = None, moves_clock: bool = False) -> Any:
        """Makes a change; returns the response of the request's behaviour.

        `moves_clock` says that the change asks for the present. Raises what the behaviour raises, and Refusal: read
        only, overloaded.
        """
        answer = self.offer(request, aside=aside, moves_clock=moves_clock)
        return await answer if isinstance(answer, asyncio.Future) else answer

    def offer(self, request: Message, *, aside: object = None, moves_clock: bool = False) -> Any:
        """The same without waiting: the response, or a future of it."""
        known = self.host.memory.recall(request)
        if known is not None:
            return known
        return self._offer(Record(self.moment(moves_clock), request), aside)

    async def room(self) -> None:
        """Returns when some of those that were in the way of an overloaded change have gone on."""
        await self._room.wait()

    def moment(self, moves_clock: bool = False) -> Moment:
        """The present, as something that is proposed now gets it."""
        return Moment(self.host.now_us(), moves_clock and not self.host.hub.timely)

    async def tick(self) -> None:
        """Moves the hub's clock to the present, which takes a version. Raises Refusal."""
        answer = self._offer(Record(Moment(self.host.now_us(), True), None), None)
        if isinstance(answer, asyncio.Future):
            await answer

    async def apart(self, local: Callable[[], Any]) -> Any:
        """Does something that takes one version, in this process only. Raises what it raises, and Refusal."""
        answer = self._offer(Record(self.moment(), None), None, local)
        return await answer if isinstance(answer, asyncio.Future) else answer

    def _offer(self, record: Record, aside: object, local: Callable[[], Any] | None = None) -> Any:
        if self.state is not JournalState.SERVING:
            raise self._read_only()
        if self._memory:
            return self._measured(record, local is None, lambda: self._at_once(record, aside, local))
        payload = record.encode()
        config = self.host.config
        if len(self._queue) >= config.max_pending_writes or self._queued_bytes > config.max_pending_bytes:
            self.counters.overloaded += 1
            self._room.clear()
            raise Refusal(
                ServerReason.WRITES_OVERLOADED,
                f"{len(self._queue)} changes wait for the log already; send fewer at once, or later",
                metadata={"pending": str(len(self._queue))},
                retry_after=_RETRY_OVERLOADED,
            )
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        span = self.host.tracing.start(COMMIT, hub=self.host.name)
        self._queue.append(Proposal(record, payload, aside, answer, local, span))
        self._queued_bytes += len(payload)
        self._idle.clear()
        self._wanted.set()
        return answer

    def _at_once(self, record: Record, aside: object, local: Callable[[], Any] | None) -> Any:
        """Applies a change now; a log that may be behind gets it too."""
        size = 0
        if self.log is None and local is not None:
            return local()
        if self.log is not None:
            payload = record.encode()
            size = len(payload)
            try:
                self._own.append(LogEntry(self.log.last + 1, record.kind, payload))
            except LogFailed as error:
                self._fail(error)
                raise self._read_only() from None
            self._idle.clear()
            self._wanted.set()
        try:
            return self._apply(record, aside) if local is None else self._locally(local)
        finally:
            self._applied(size)

    def _applied(self, size: int) -> None:
        """A record of so many bytes is a part of the hub."""
        if self.snapshots is not None:
            self.snapshots.applied(size)

    def _apply(self, record: Record, aside: object) -> Any:
        """Applies the next record. Raises what its behaviour raises."""
        self.position += 1
        self.counters.records += 1
        host, request = self.host, record.request
        if request is None:
            host.committed(host.hub.advance(record.moment.time_us if record.moment.moves_clock else 0))
            return None
        behaviour = self._behaviours[record.kind]
        return host.memory.once(request, lambda: behaviour(host, request, record.moment, aside))

    # Logging

    def start(self) -> None:
        """Begins to take changes, in the running loop."""
        if self.log is None:
            return
        self._thread = ThreadPoolExecutor(1, f"log-{self.host.name}")
        self.snapshots = Snapshots(self.host, self.log, lambda: self.position, self.host.extra)
        self._tasks = [
            asyncio.create_task(self._keep_flushing()),
            asyncio.create_task(self._keep_applying()),
            asyncio.create_task(self.snapshots.run()),
        ]

    async def _keep_flushing(self) -> None:
        """Appends what is queued and flushes it, one group after the other; applying goes on meanwhile."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._queue or (self._memory and self._unflushed()):
                group = self._next_group()
                try:
                    await self._flush(group)
                except Exception as error:  # whatever it is: nothing may follow what may not be in the log
                    self._fail(error)
                    self._refuse((*group, *self._queue))
                    self._queue.clear()
                    self._queued_bytes = 0
                    self._room.set()
                    if self._memory:
                        self.failure += "; it lacks what was acknowledged since: restart the server to go on from it"
                        return
                    await self._heal()
                else:
                    self._flushed.extend(group)
                    self._drained.clear()
                    self._ready.set()
            self._settle()

    def _unflushed(self) -> bool:
        return self.log is not None and self.log.durable < self.log.last

    def _next_group(self) -> list[Proposal]:
        group: list[Proposal] = []
        size = 0
        while self._queue and size < _GROUP_BYTES:
            proposal = self._queue.popleft()
            size += len(proposal.payload)
            group.append(proposal)
        self._queued_bytes -= size
        self._room.set()
        return group

    async def _flush(self, group: list[Proposal]) -> None:
        write = self._write_of(group)
        meters, tracing = self.host.meters, self.host.tracing
        span = tracing.start(FLUSH, [each.span for each in group], hub=self.host.name, records=len(group))
        begun = time.perf_counter()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except Exception as error:
            tracing.end(span, error)
            raise
        tracing.end(span)
        now = time.perf_counter()
        if (recorder := self.host.debug.recorder) is not None:
            recorder.flushed(len(group), sum(len(proposal.payload) for proposal in group), now - begun)
        meters.log_flush_seconds.observe(now - begun)
        meters.log_flush_records.observe(len(group))
        for proposal in group:
            meters.commit_flush_seconds.observe(now - proposal.offered)

    def _write_of(self, group: Sequence[Proposal]) -> Callable[[], object]:
        """What brings a group into the log; it is done in the worker thread."""
        log = self._own
        for proposal in group:
            log.append(LogEntry(log.last + 1, proposal.record.kind, proposal.payload))
        return log.flush

    @property
    def _own(self) -> CommitLog:
        """The log as this process writes it."""
        return cast(CommitLog, self.log)

    async def _keep_applying(self) -> None:
        """Applies what has been flushed and answers it, a slice at a time."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            until = time.perf_counter() + _SLICE
            while self._flushed:
                self._answer(self._flushed.popleft())
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + _SLICE
            self._drained.set()
            self._settle()

    def _answer(self, proposal: Proposal) -> None:
        answer, tracing = proposal.answer, self.host.tracing
        begun = time.perf_counter()
        try:
            found = (
                self._apply(proposal.record, proposal.aside)
                if proposal.local is None
                else self._locally(proposal.local)
            )
        except Exception as error:
            tracing.end(proposal.span, error)
            if not answer.done():  # whoever proposed it may have gone
                answer.set_exception(error)
                answer.exception()  # it may go without looking
        else:
            tracing.end(proposal.span, version=self.host.hub.version)
            if not answer.done():
                answer.set_result(found)
            if (recorder := self.host.debug.recorder) is not None and proposal.local is None:
                now = time.perf_counter()
                recorder.applied(proposal.record.request, found, now - begun, begun - proposal.offered)
        self._applied(len(proposal.payload))
        self.host.meters.commit_apply_seconds.observe(time.perf_counter() - begun)

    def _measured(self, record: Record, kept: bool, work: Callable[[], Any]) -> Any:
        """Does at once what proposals do on their way."""
        tracing = self.host.tracing
        span = tracing.start(COMMIT, hub=self.host.name)
        begun = time.perf_counter()
        try:
            found = work()
        except Exception as error:
            tracing.end(span, error)
            raise
        tracing.end(span, version=self.host.hub.version)
        seconds = time.perf_counter() - begun
        self.host.meters.commit_apply_seconds.observe(seconds)
        if (recorder := self.host.debug.recorder) is not None and kept:
            recorder.applied(record.request, found, seconds, None)
        return found

    def _locally(self, local: Callable[[], Any]) -> Any:
        """Does what only this process knows of; it takes the one version that its record takes elsewhere."""
        self.position += 1
        self.counters.records += 1
        hub, before = self.host.hub, self.host.hub.version
        try:
            return local()
        finally:
            if hub.version == before:
                self.host.committed(hub.advance())
            assert hub.version == before + 1, "something local takes one version"

    def _settle(self) -> None:
        if not self._queue and not self._flushed and not self._unflushed():
            self._idle.set()

    # Failing and healing

    def _fail(self, error: Exception) -> None:
        self.failure = str(error) or type(error).__name__
        self.counters.failures += 1
        if (recorder := self.host.debug.recorder) is not None:
            recorder.not_written("log", error)
        self._turn(JournalState.READ_ONLY)
        logger().error("hub.read_only", hub=self.host.name, error=self.failure, kind=type(error).__name__)

    def _turn(self, state: JournalState) -> None:
        self.state = state
        if self.on_state is not None:
            self.on_state()

    def _read_only(self) -> Refusal:
        if self.state is JournalState.CLOSED:
            return Refusal(ServerReason.SERVER_SHUTTING_DOWN, "the server is shutting down", retry_after=1.0)
        return Refusal(
            ServerReason.HUB_READ_ONLY,
            f"hub '{self.host.name}' is read-only: {self.failure}",
            hint="what was acknowledged is there; a change that was refused now may have been made: send it again with"
            " the same request_id when the hub takes writes",
            metadata={"hub": self.host.name},
            retry_after=HEALING_INTERVAL,
        )

    def _refuse(self, proposals: tuple[Proposal, ...]) -> None:
        for proposal in proposals:
            refusal = self._read_only()
            self.host.tracing.end(proposal.span, refusal)
            if not proposal.answer.done():
                proposal.answer.set_exception(refusal)
                proposal.answer.exception()

    async def _heal(self) -> None:
        """Tries the log until it can be written; then applies what reached it without our knowing."""
        assert self.log is not None
        while self.state is JournalState.READ_ONLY:
            await asyncio.sleep(HEALING_INTERVAL)
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._own.reopen)
                await self._drained.wait()
                found = await self._replay(self.position)
            except LogFailed:  # it is not well yet; why, was said when it failed
                continue
            except Exception as error:  # damaged: readers go on, and so do the attempts
                self.failure = str(error) or type(error).__name__
                continue
            self._turn(JournalState.SERVING)
            logger().info("hub.writable", hub=self.host.name, found=found)

    # Recovering

    async def recover(self) -> None:
        """Brings the hub to where its log ends: the newest snapshot that serves, and the records after it.

        Raises LogDamaged when the log cannot be read.
        """
        if self.log is None:
            return
        begun = time.perf_counter()
        log, host = self.log, self.host
        host.replaying = True
        try:
            self.position = self.recovery.snapshot_position = host.restore(log)
            self.recovery.records = await self._replay(self.position)
        finally:
            host.replaying = False
        host.defined()  # a snapshot alone tells nobody that its version is reached
        self.recovery.cut = log.cut
        self.recovery.seconds = time.perf_counter() - begun
        self.counters = JournalCounters()
        logger().info(
            "hub.recovered",
            hub=host.name,
            snapshot=self.recovery.snapshot_position,
            records=self.recovery.records,
            cut=self.recovery.cut,
            version=host.hub.version,
            tables=len(host.hub.tables),
            sessions=len(host.hub.sessions),
            seconds=round(self.recovery.seconds, 3),
        )

    async def _replay(self, after: int) -> int:
        """Applies the records after a position; returns how many there were."""
        assert self.log is not None
        count, said = 0, time.perf_counter()
        for entry in self.log.read(after):
            record = decode_record(entry.kind, entry.payload)
            try:
                self._apply(record, None)
            except (Refusal, EngineError) as error:  # it was refused when it was made, too
                name = type(error).__name__
                logger().debug("record.refused", hub=self.host.name, position=entry.position, error=name)
            except Exception as error:  # a bug, which must not keep all that follows from being there
                name, trace = type(error).__name__, trace_of(error)
                logger().error("record.failed", hub=self.host.name, position=entry.position, error=name, trace=trace)
            count += 1
            if not count % _REPLAY_SLICE:
                await asyncio.sleep(0)
                if time.perf_counter() - said > 1.0:
                    said = time.perf_counter()
                    logger().info("hub.recovering", hub=self.host.name, records=count, of=self.log.last - after)
        return count

    # Ending

    async def close(self, patience: float = 5.0) -> None:
        """Finishes what is on its way, and closes the log."""
        try:
            if self.state is JournalState.SERVING and self._tasks:
                await asyncio.wait_for(self._idle.wait(), patience)
        except TimeoutError:
            logger().error("journal.abandoned", hub=self.host.name, pending=self.pending)
        self._turn(JournalState.CLOSED)
        self._refuse((*self._queue, *self._flushed))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.snapshots is not None:
            await self.snapshots.close()
        if self._thread is not None:
            self._thread.shutdown()
        if self.log is not None:
            try:
                self.log.close()
            except LogFailed as error:
                logger().error("log.not_closed", hub=self.host.name, error=str(error))
