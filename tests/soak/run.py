"""One run: the server, the herds, the trouble that they are in, and a look at the server every second."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc.aio

from benchmarks.wire.port import free_port
from tests.soak.board import SESSIONS, Board
from tests.soak.probe import Probe, Sample
from tests.soak.verdict import Verdict, judge

ROOT = Path(__file__).resolve().parents[2]
STOPS = (2.0, 8.0)  # seconds that a stopped herd stays stopped
TROUBLE = 2.0  # seconds between two troubles
KILLED = 0.3  # the share of troubles that are kills
HISTORY = "256"
GONE = 60.0  # seconds in which the server must have noticed that all have gone


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is made."""

    seconds: float
    watchers: int = 200
    herds: int = 8
    commits_a_second: float = 50.0
    bound: float = 30.0  # MB an hour
    least_commits: float = 10.0  # a second
    seed: int = 1


class Herd:
    """One client process, which comes back when it was killed."""

    def __init__(self, address: str, count: int, number: int, seed: int) -> None:
        self._command = [sys.executable, "-m", "tests.soak.herd", address, str(count)]
        self._name = f"{seed}-{number}"
        self._lives = 0
        self.start()

    def start(self) -> None:
        """A new life."""
        self._lives += 1
        command = [*self._command, f"{self._name}-{self._lives}", *SESSIONS]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; a process that is gone does not mind."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """Ends this life, also when it is stopped."""
        self._process.kill()
        self._process.wait()

    @property
    def ended(self) -> bool:
        """Whether it ended by itself, which it should not."""
        return self._process.poll() is not None


class Trouble:
    """Stops and kills herds."""

    def __init__(self, herds: list[Herd], seed: int) -> None:
        self._herds = herds
        self._random = random.Random(seed)
        self.stops = 0
        self.kills = 0

    async def make(self) -> None:
        """Makes trouble until cancelled."""
        async with asyncio.TaskGroup() as stopped:
            while True:
                await asyncio.sleep(TROUBLE)
                herd = self._random.choice(self._herds)
                if self._random.random() < KILLED:
                    self.kills += 1
                    await asyncio.to_thread(herd.kill)
                    herd.start()
                else:
                    self.stops += 1
                    herd.send(signal.SIGSTOP)
                    stopped.create_task(self._go_on(herd))

    async def _go_on(self, herd: Herd) -> None:
        await asyncio.sleep(self._random.uniform(*STOPS))
        herd.send(signal.SIGCONT)


class ServerUnderTest:
    """`tesseract-grpc serve` with metrics, in a process of its own."""

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.metrics_port = free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tesseract_grpc.cli", "serve", "--listen", self.address]
        command += ["--metrics-port", str(self.metrics_port), "--idle-timeout", "2"]
        # Full before the warm-up is over: what is bounded grows until it is full.
        command += ["--history-commits", HISTORY, "--request-id-memory", HISTORY]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log, env={**os.environ})
        return self

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def output(self) -> str:
        """The end of what it said."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-3000:]

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            if error is None:
                raise AssertionError("the server did not end") from None
        if error is not None:
            error.add_note(f"the server said:\n{self.output()}")
        self._log.close()


async def soak(plan: Plan, said: Callable[[str], None]) -> tuple[Verdict, list[Sample]]:
    """Makes a run; returns its verdict and what was seen every second."""
    with ServerUnderTest() as server:
        probe = Probe(server.pid, server.metrics_port)
        async with grpc.aio.insecure_channel(server.address) as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
            board = Board(channel, plan.seed)
            await board.create()
            before = await asyncio.to_thread(probe.look)
            samples, trouble, commits = await _churn(plan, server.address, board, probe, said)
            after = await _settle(probe, before)
    verdict = judge(
        samples,
        before,
        after,
        bound=plan.bound,
        least_commits=plan.least_commits,
        watchers=plan.watchers,
        commits=commits,
        stops=trouble.stops,
        kills=trouble.kills,
    )
    return verdict, samples


async def _churn(
    plan: Plan, address: str, board: Board, probe: Probe, said: Callable[[str], None]
) -> tuple[list[Sample], Trouble, int]:
    """Everybody comes and goes; nobody is left at the end."""
    herds = [Herd(address, plan.watchers // plan.herds, number, plan.seed) for number in range(plan.herds)]
    trouble, samples, first = Trouble(herds, plan.seed), [], board.commits
    writing = asyncio.create_task(board.keep_writing(plan.commits_a_second))
    troubling = asyncio.create_task(trouble.make())
    try:
        await _crowded(probe, plan.watchers)
        first, begun = board.commits, time.monotonic()
        while (now := time.monotonic()) < begun + plan.seconds:
            samples.append(await asyncio.to_thread(probe.look))
            for task in (writing, troubling):
                if task.done():
                    task.result()
            if len(samples) % 10 == 0:
                last = samples[-1]
                said(
                    f"{now - begun:5.0f} s  {last.rss / 1e6:6.1f} MB  {last.watchers:4} watchers"
                    f"  {last.tasks:5} tasks  {last.fds:4} fds  {board.commits - first} commits"
                )
            await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - now)))
        return samples, trouble, board.commits - first
    finally:
        for task in (writing, troubling):
            task.cancel()
        await asyncio.gather(writing, troubling, return_exceptions=True)
        for herd in herds:
            herd.kill()


async def _crowded(probe: Probe, watchers: int) -> None:
    """Waits until most of the watchers are there, but not for ever."""
    for _ in range(120):
        if (await asyncio.to_thread(probe.look)).watchers >= watchers * 0.6:
            return
        await asyncio.sleep(0.5)


async def _settle(probe: Probe, before: Sample) -> Sample:
    """The server once it has noticed that all have gone, or when it has had its time."""
    deadline = time.monotonic() + GONE
    while True:
        after = await asyncio.to_thread(probe.look)
        if all(after.leftovers[name] <= count for name, count in before.leftovers.items()):
            return after
        if time.monotonic() > deadline:
            return after
        await asyncio.sleep(0.5)
