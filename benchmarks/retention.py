"""Rows that leave by themselves while sessions are open: by age at ticks, by number in the commit that is too much.

The clock of the table is its `ts`: trades are a millisecond apart. Fifty filtered sessions and a group are open, and
every watch that a commit may have touched is asked for its changes, as in W4.
"""

from __future__ import annotations

import gc
import time

import numpy as np

from benchmarks.live import BATCH, BATCHES
from benchmarks.load import ROWS, fill
from benchmarks.measure import Stopwatch, percentile
from benchmarks.ours import TABLE, Ours
from benchmarks.trades import TICK_MS, make_trades, session_symbols
from benchmarks.workload import Figure, Figures, Settings
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.retention import Retention
from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.engine.hub import CommitResult
from tesseract_grpc.engine.live.text_sweep import BUDGET, LABELLED

SESSIONS = 50
STEP_US = TICK_MS * 1_000
IDLE_TICKS = 2_000


class Retained(Ours):
    """The same table with a retention."""

    def open(self, settings: Settings, retention: Retention) -> int:
        """Loads the rows, opens the sessions, and says which rows leave; returns how many rows there are."""
        trades = make_trades(settings.scaled(ROWS, least=1_000), settings.seed)
        fill(self, trades)
        for number in range(SESSIONS):
            self.watch(session_symbols(number))
        self.watch_groups()
        self._hub.set_retention(TABLE, retention)
        return len(trades)

    def tick(self, now_us: int) -> int:
        """Advances the clock; returns how many rows left."""
        before = self._hub.counters.rows_expired
        self._observe(self._hub.tick(now_us))
        return self._hub.counters.rows_expired - before

    def insert(self, batch: Batch) -> int:
        """Writes rows; returns how many left for them."""
        before = self._hub.counters.rows_expired
        self._observe(self._hub.commit([Write(TABLE, WriteKind.INSERT, batch)]))
        return self._hub.counters.rows_expired - before

    def _observe(self, result: CommitResult) -> None:
        for session in result.touched:
            for watch in session.watchers:
                if watch.take():
                    self.observed += 1

    def order_bytes(self) -> int:
        """The memory of the order in which rows leave."""
        expiry = self._table.expiry
        return 0 if expiry is None else expiry.memory_bytes()


def run_age(_: str, settings: Settings) -> Figures:
    """Ticks of which each takes a thousand rows, and ticks that take none."""
    table = Retained(settings.cores)
    rows = table.open(settings, Retention(max_age_us=STEP_US, age_column="ts"))
    batch, now = settings.scaled(BATCH, least=10), STEP_US
    left, watch = 0, Stopwatch("live")
    gc.collect()
    for _tick in range(min(settings.scaled(BATCHES, least=3), rows // batch // 2)):
        now += batch * STEP_US
        with watch:
            left += table.tick(now)
    idle = Stopwatch("live")
    ticks = settings.scaled(IDLE_TICKS, least=20)
    with idle:
        for _tick in range(ticks):
            now += 1
            left += table.tick(now) * 0
    detail = {
        "ms/tick": 1e3 * watch.wall / len(watch.laps),
        "cpu_us/row": 1e6 * watch.cpu / max(1, left),
        "longest_ms": 1e3 * max(watch.laps),
        "order_bytes/row": table.order_bytes() / rows,
    }
    return {"expire_age": Figure(left / watch.wall, detail), "expire_idle_tick": Figure(1e6 * idle.wall / ticks)}


def run_ring(_: str, settings: Settings) -> Figures:
    """Batches of a thousand rows into a table that is full."""
    table = Retained(settings.cores)
    rows = settings.scaled(ROWS, least=1_000)
    table.open(settings, Retention(max_records=rows))
    batch = settings.scaled(BATCH, least=10)
    batches = settings.scaled(BATCHES, least=3)
    fresh = make_trades(rows + batch * batches, settings.seed)
    pieces = [table.prepare(piece) for piece in fresh.batches(batch)][-batches:]
    left, watch = 0, Stopwatch("live")
    gc.collect()
    for piece in pieces:
        with watch:
            left += table.insert(piece)
    detail = {
        "longest_ms": 1e3 * max(watch.laps),
        "cpu_us/row": 1e6 * watch.cpu / max(1, left),
        "order_bytes/row": table.order_bytes() / rows,
    }
    return {"expire_ring": Figure(left / watch.wall, detail)}


def run_texts(_: str, settings: Settings) -> Figures:
    """A million texts that nobody holds, dropped in slices, with order labels and without."""
    figures: Figures = {}
    count = settings.scaled(ROWS, least=1_000)
    for name, labelled in (("drop_texts", False), ("drop_texts_sorted", True)):
        words = Dictionary()
        words.encode([f"text {number}" for number in range(count)])
        if labelled:
            words.labels()
        before, laps = words.memory_bytes(), list[float]()
        unheld = words.unheld()
        slice = BUDGET // LABELLED if labelled else BUDGET
        for start in range(0, count, slice):
            begun = time.perf_counter()
            words.let_go(unheld[start : start + slice].astype(np.int32))
            laps.append(time.perf_counter() - begun)
        detail = {
            "p99_ms": 1e3 * percentile(laps, 99),
            "bytes/text_before": before / count,
            "bytes/text_after": words.memory_bytes() / count,
        }
        figures[name] = Figure(count / sum(laps), detail)
    return figures
