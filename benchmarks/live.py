"""W4, W5, W6 and W8: updates while sessions are open, to the point where every delta was observed."""

from __future__ import annotations

import gc
from collections.abc import Callable

from benchmarks.contestant import Live, LiveGroups, Updatable
from benchmarks.field import open_live, open_live_groups
from benchmarks.load import ROWS, fill
from benchmarks.measure import Stopwatch, percentile
from benchmarks.trades import SYMBOLS, Updates, make_trades, make_updates, session_symbols
from benchmarks.workload import Figure, Figures, Settings

SMALL_ROWS = 100_000
BATCHES = 100
BATCH = 1_000
SINGLES = 2_000
LEAST_SECONDS = 1.0  # fast contestants repeat their updates for this long, so that noise averages out
LEAST_COMMITS = 10
"""So many are applied where none of them was observed, however long that takes: one alone may touch no session."""
SESSIONS_A_SYMBOL = 10


def run_batches(metric: str, sessions: int, *, grouped: bool, name: str, settings: Settings) -> Figures:
    """W4: 100 batches of 1,000 updates on 1 M rows."""
    contestant = _opened(name, settings, ROWS, sessions, grouped=grouped)
    batch = settings.scaled(BATCH, least=10)
    watch, done = drive(contestant, settings, settings.scaled(BATCHES, least=3), batch)
    return {metric: rate(watch, done, batch, sessions + grouped, contestant)}


def run_singles(metric: str, rows: int, sessions: int, *, grouped: bool, name: str, settings: Settings) -> Figures:
    """W5 and W6: 2,000 updates of single rows."""
    contestant = _opened(name, settings, rows, sessions, grouped=grouped)
    return {metric: _single_rate(contestant, settings, sessions + grouped)}


def run_distinct(name: str, settings: Settings) -> Figures:
    """W8: 10,000 sessions on 100 k rows, no two with the same filter, of which about 10 match an update.

    Each is one symbol with a price above a bound of its own, low enough that nearly every row of the symbol passes.
    """
    contestant = _opened(name, settings, SMALL_ROWS)
    sessions = len(SYMBOLS) * settings.scaled(SESSIONS_A_SYMBOL)
    for number in range(sessions):
        contestant.watch((SYMBOLS[number % len(SYMBOLS)],), above=float(number // len(SYMBOLS) * 10))
    return {"W8": _single_rate(contestant, settings, sessions)}


def _opened(name: str, settings: Settings, rows: int, sessions: int = 0, *, grouped: bool = False) -> Live:
    """Return a contestant with the table loaded and the sessions open."""
    contestant = (open_live_groups if grouped else open_live)(name, settings.cores)
    fill(contestant, make_trades(settings.scaled(rows, least=1000), settings.seed))
    for number in range(sessions):
        contestant.watch(session_symbols(number))
    if isinstance(contestant, LiveGroups) and grouped:
        contestant.watch_groups()
    return contestant


def _single_rate(contestant: Live, settings: Settings, sessions: int) -> Figure:
    watch, done = drive(contestant, settings, settings.scaled(SINGLES, least=20), 1)
    return rate(watch, done, 1, sessions, contestant)


def drive(
    contestant: Updatable,
    settings: Settings,
    batches: int,
    batch: int,
    applied: Callable[[Updates], None] = lambda _: None,
    make: Callable[[int, int, int, int], list[Updates]] = make_updates,
) -> tuple[Stopwatch, int]:
    """Apply batches of updates, round after round for a second, until the time is up; return how many were applied.

    Every round has updates of its own: the same ones again would change nothing. `applied` is told of each batch.
    """
    rows = contestant.row_count()
    for updates in make(rows, contestant.warm_ups, batch, settings.seed):
        contestant.update(contestant.prepare_update(updates))
        applied(updates)
    contestant.observed = 0
    # What is loaded and open stays: as in any long-lived service, the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    watch = Stopwatch("live")
    done = 0
    least = min(LEAST_SECONDS * settings.scale, settings.seconds)
    while True:
        fresh = make(rows, batches, batch, settings.seed + 1 + done)
        for updates, prepared in [(updates, contestant.prepare_update(updates)) for updates in fresh]:
            with watch:
                contestant.update(prepared)
            done += 1
            applied(updates)
            if watch.wall > settings.seconds and (contestant.observed or done >= LEAST_COMMITS):
                return watch, done
        if watch.wall >= least:
            return watch, done


def rate(watch: Stopwatch, commits: int, batch: int, sessions: int, contestant: Updatable) -> Figure:
    """Return the rate of updates, and what explains it."""
    if sessions and not contestant.observed:
        raise AssertionError(f"{contestant.name} observed no delta: the run is void")
    rows = commits * batch
    return Figure(
        rows / watch.wall,
        {
            "cpu/s": rows / watch.cpu if watch.cpu else 0.0,
            "p50_ms": percentile(watch.laps, 50) * 1e3,
            "p99_ms": percentile(watch.laps, 99) * 1e3,
            "deltas_a_commit": contestant.observed / commits,
        },
    )
