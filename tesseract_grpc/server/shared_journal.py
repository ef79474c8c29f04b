"""The way of every change into a hub that several nodes serve: into the log that they share, and back from there.

    proposed ──► queued ──► sent (worker thread)          ┌─► applied ──► answered, if it was proposed here
                              │                           │
                              ▼                           │
                     the shared log ──► received (worker thread), with what the other nodes have sent

A node applies nothing because it was proposed here: it applies what it receives, and every node receives the same, in
the same order. So the hubs of all nodes are one state machine, their versions mean the same, and a write is answered
when this node has applied it: whoever reads here reads it.

When the log cannot be reached the hub is read-only: its readers keep what they have. What was sent and not answered may
have been taken; it comes with the others then, and a client that sends it again with its request id is told the same.

When the log has lost entries that were applied here (`LogForked`), when it is gone (`LogGone`), or when an entry cannot
be read, this node applies nothing more, and says so: what it has must not be taken for the state of the line.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tesseract_grpc.engine.data.commit_log import (
    LogDamaged,
    LogFailed,
    LogForked,
    LogGone,
    LogTrimmed,
    SharedEntry,
    SharedLog,
)
from tesseract_grpc.server.journal import HEALING_INTERVAL, Behaviours, Journal, JournalState, Proposal
from tesseract_grpc.server.logs import logger
from tesseract_grpc.server.records import decode_record
from tesseract_grpc.server.snapshots.task import Snapshots

if TYPE_CHECKING:
    from tesseract_grpc.server.host import Host

R = TypeVar("R")

LEASE_SECONDS = 10.0
"""For so long a node that has died keeps others from what only one does."""
_WAIT_SECONDS = 1.0
"""After this time without an entry the log is asked whether it still holds what was applied."""
_AHEAD = 5_000
"""So many entries are received ahead of those that are applied."""

_TRAIL = 100_000
"""Of so many records that were applied last the versions are known, to say which are lost."""

CLOCK, SNAPSHOT = "clock", "snapshot"
"""What only one node does: to propose ticks, and to write snapshots."""

LOST = (LogForked, LogGone, LogTrimmed, LogDamaged)
"""What no patience mends."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The versions that this node had, and the log has lost."""

    first: int = 0
    last: int = 0

    @property
    def commits(self) -> int:
        """How many."""
        return self.last - self.first + 1 if self.last else 0

    def __str__(self) -> str:
        if not self.commits:
            return "nothing that was seen here is lost"
        return f"the log has lost {self.commits} commits, versions {self.first} to {self.last}"


class SharedJournal(Journal):
    """The changes of one hub of several nodes. All of it runs on the loop, except calls of the log."""

    def __init__(self, host: Host, log: SharedLog, behaviours: Behaviours) -> None:
        super().__init__(host, log, behaviours)
        self.shared = log
        self.lost: Exception | None = None
        """Why this node applies nothing more."""
        self.on_lost: Callable[[Exception], None] | None = None
        self.leases: set[str] = set()
        """What this node does for all."""
        self._number = 0
        self._sent: dict[str, Proposal] = {}
        """What was proposed here and has not come back, by the name of its entry."""
        self._trail: deque[tuple[int, int]] = deque(maxlen=_TRAIL)
        """Positions, and the versions after them."""
        self._received = 0
        self._tip = ""
        self._serving = asyncio.Event()
        self._serving.set()
        self._receiver: ThreadPoolExecutor | None = None
        self._others: ThreadPoolExecutor | None = None

    @property
    def pending(self) -> int:
        """How many changes are on their way."""
        return len(self._queue) + len(self._sent)

    # Beginning

    def start(self) -> None:
        """Begins to take changes, of this node and of others, in the running loop."""
        name = self.host.name
        self._thread = ThreadPoolExecutor(1, f"send-{name}")
        self._receiver = ThreadPoolExecutor(1, f"receive-{name}")
        self._others = ThreadPoolExecutor(1, f"lease-{name}")
        self.snapshots = Snapshots(self.host, self.shared, lambda: self.position, self.host.extra)
        self._received, self._tip = self.position, self.shared.name_of(self.position)
        self._tasks = [
            asyncio.create_task(self._keep_flushing()),
            asyncio.create_task(self._keep_receiving()),
            asyncio.create_task(self._keep_applying()),
            asyncio.create_task(self._keep_leases()),
            asyncio.create_task(self._keep_snapshots()),
        ]

    # Sending

    async def _keep_flushing(self) -> None:
        """Sends what is queued, one group after the other; receiving and applying go on meanwhile."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._queue:
                await self._serving.wait()
                group = self._next_group()
                if not group:
                    break
                self._number += 1
                names = [f"{self.shared.node}:{self._number}:{index}" for index in range(len(group))]
                self._sent.update(zip(names, group, strict=True))
                try:
                    await self._flush(group)
                except Exception as error:
                    for name in names:
                        self._sent.pop(name, None)
                    self._unreached(error)
                    self._refuse(tuple(group))
                    self._refuse_queued()

    def _write_of(self, group: Sequence[Proposal]) -> Callable[[], object]:
        return partial(self.shared.send, self._number, [(int(each.record.kind), each.payload) for each in group])

    def _refuse_queued(self) -> None:
        self._refuse(tuple(self._queue))
        self._queue.clear()
        self._queued_bytes = 0
        self._room.set()

    # Receiving

    async def _keep_receiving(self) -> None:
        """Takes what the log has for all, for as long as it can be trusted."""
        while self.lost is None:
            try:
                found = await self._in(self._receiver, self.shared.receive, self._received, self._tip, _WAIT_SECONDS)
                self._take(found)
            except LOST as error:
                self._lose(error)
            except LogFailed as error:
                self._unreached(error)
                await asyncio.sleep(HEALING_INTERVAL)
            else:
                self._reached()
                while len(self._flushed) > _AHEAD:
                    await self._drained.wait()

    def _take(self, found: Sequence[SharedEntry]) -> None:
        """Hands entries over to be applied: those of this node as they were proposed, others as they are read. Raises
        LogDamaged at an entry that cannot be read; those before it are handed over."""
        loop = asyncio.get_running_loop()
        for entry in found:
            proposal = self._sent.pop(entry.name, None)
            if proposal is None:
                record = decode_record(entry.kind, entry.payload)
                proposal = Proposal(record, entry.payload, None, loop.create_future())
            self._flushed.append(proposal)
            self._received, self._tip = entry.position, entry.name
        if found:
            self._drained.clear()
            self._ready.set()

    # Losing and finding

    def _unreached(self, error: Exception) -> None:
        """The log cannot be reached, or not be written."""
        if isinstance(error, LOST):
            self._lose(error)
        elif self.state is JournalState.SERVING:
            self._serving.clear()
            self._fail(error)
            self._refuse_sent()

    def _reached(self) -> None:
        if self.state is JournalState.READ_ONLY and self.lost is None:
            self._turn(JournalState.SERVING)
            self._serving.set()
            self._wanted.set()
            logger().info("hub.writable", hub=self.host.name, position=self._received)

    def _lose(self, error: Exception) -> None:
        if self.lost is not None:
            return
        self.lost = error
        self._serving.clear()
        self._fail(error)
        self._refuse_sent()
        self._refuse_queued()
        if self.on_lost is not None:
            self.on_lost(error)

    def _applied(self, size: int) -> None:
        super()._applied(size)
        self._trail.append((self.position, self.host.hub.version))

    async def renew(self) -> Loss:
        """Begins a new epoch, unless another node has, and finds out what is lost. Raises LogFailed, LogGone."""
        await self._drained.wait()
        await self._in(self._others, self.shared.renew)
        return await self._in(self._others, self._find_loss)

    def _find_loss(self) -> Loss:
        """Where what was applied here parts from what the log has: O(log n) questions. Raises LogFailed, LogGone."""
        trail = list(self._trail)
        parting = bisect_left(trail, True, key=lambda step: not self._is_held(step[0]))
        if parting == len(trail):
            return Loss()
        before = trail[parting - 1][1] if parting else trail[0][1] - 1
        return Loss(before + 1, trail[-1][1]) if trail[-1][1] > before else Loss()

    def _is_held(self, position: int) -> bool:
        try:
            self.shared.holds(position, self.shared.name_of(position))
        except LogForked:
            return False
        return True

    def _refuse_sent(self) -> None:
        """Refuses what was sent and has not come back. What comes back all the same is applied like that of others."""
        sent, self._sent = tuple(self._sent.values()), {}
        self._refuse(sent)

    # What one node does for all

    async def tick(self) -> None:
        """Moves the clock of all nodes, if it is for this one to do. Raises Refusal."""
        if CLOCK in self.leases:
            await super().tick()

    async def _keep_leases(self) -> None:
        while True:
            for what in (CLOCK, SNAPSHOT):
                try:
                    mine = await self._in(self._others, self.shared.take, what, LEASE_SECONDS)
                except LogFailed:
                    mine = False
                (self.leases.add if mine else self.leases.discard)(what)
            await asyncio.sleep(LEASE_SECONDS / 3)

    async def _keep_snapshots(self) -> None:
        assert self.snapshots is not None
        await self.snapshots.run()

    # Ending

    async def close(self, patience: float = 5.0) -> None:
        """Finishes what is on its way, and gives back what this node did for all."""
        for what in tuple(self.leases):
            try:
                await self._in(self._others, self.shared.release, what)
            except LogFailed:  # it ends by itself
                continue
        await super().close(patience)
        for pool in (self._receiver, self._others):
            if pool is not None:
                pool.shutdown(wait=False)

    async def _in(self, pool: ThreadPoolExecutor | None, work: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
