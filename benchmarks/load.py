"""W1: loading a table in batches, and the memory that it then holds."""

from __future__ import annotations

from benchmarks.contestant import Contestant
from benchmarks.field import open_contestant
from benchmarks.measure import Stopwatch, resident_bytes
from benchmarks.trades import Trades, make_trades
from benchmarks.workload import Figure, Figures, Settings

ROWS = 1_000_000
BATCH = 10_000


def fill(contestant: Contestant, trades: Trades) -> Stopwatch:
    """Load the rows in batches of 10,000; the time is that of the contestant alone, not of preparing batches."""
    watch = Stopwatch("load")
    for part in trades.batches(BATCH):
        batch = contestant.prepare(part)
        with watch:
            contestant.append(batch)
    with watch:
        contestant.settle()
    if contestant.row_count() != len(trades):
        raise AssertionError(f"{contestant.name} holds {contestant.row_count()} of {len(trades)} rows")
    return watch


def run_load(name: str, settings: Settings) -> Figures:
    """Load the table; memory is the growth of this process from just before the first batch."""
    trades = make_trades(settings.scaled(ROWS, least=100), settings.seed)
    _warm_up(name, settings)
    contestant = open_contestant(name, settings.cores)
    before = resident_bytes()
    watch = fill(contestant, trades)
    growth = max(1, resident_bytes() - before)  # at a tiny scale memory that is reused shows as no growth
    rows = len(trades)
    return {
        "W1": Figure(rows / watch.wall, {"cpu_rows/s": rows / watch.cpu if watch.cpu else 0.0}),
        "W1_bytes": Figure(growth / rows),
    }


def _warm_up(name: str, settings: Settings) -> None:
    """Load one batch into a table that is thrown away: libraries allocate for themselves at their first use."""
    fill(open_contestant(name, settings.cores), make_trades(BATCH, settings.seed + 1))
