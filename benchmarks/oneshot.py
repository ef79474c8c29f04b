"""W2, W3 and W7: queries that are asked once, each time a new one."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contestant import Contestant
from benchmarks.field import open_aggregates, open_groups, open_selects
from benchmarks.load import ROWS, fill
from benchmarks.measure import Stopwatch, median
from benchmarks.trades import PRICE_LIMIT, QTY_LIMIT, SYMBOLS, make_trades, session_symbols
from benchmarks.workload import Figure, Figures, Settings

QUERIES = 25
LIMIT = 100


def run_top(name: str, settings: Settings) -> Figures:
    """W2: symbol in 10 values and price > 500, by price descending, the first 100."""
    contestant = open_selects(name, settings.cores)

    def ask(number: int) -> int:
        return len(contestant.top(session_symbols(number), PRICE_LIMIT / 2 + number / 100, LIMIT))

    return {"W2": _measure(contestant, settings, ask, LIMIT)}


def run_groups(name: str, settings: Settings) -> Figures:
    """W3: by symbol, five aggregates."""
    contestant = open_groups(name, settings.cores)
    return {"W3": _measure(contestant, settings, lambda _: contestant.groups(), len(SYMBOLS))}


def run_products(name: str, settings: Settings) -> Figures:
    """W7: how many rows have price * qty > 500,000."""
    contestant = open_aggregates(name, settings.cores)
    above = PRICE_LIMIT * QTY_LIMIT / 2
    rows = settings.scaled(ROWS, least=100)
    return {"W7": _measure(contestant, settings, lambda number: contestant.count_products(above + number), rows)}


def _measure(contestant: Contestant, settings: Settings, ask: Callable[[int], int], most: int) -> Figure:
    """Time one query after the other, each with a number that makes it a new one; `ask` returns the rows it found."""
    fill(contestant, make_trades(settings.scaled(ROWS, least=100), settings.seed))
    ask(QUERIES)  # the first query of a process pays for set-up that the others do not
    watch = Stopwatch("query")
    for number in range(settings.scaled(QUERIES, least=3)):
        with watch:
            found = ask(number)
        if not 0 <= found <= most or (settings.scale >= 1 and found == 0):
            raise AssertionError(f"{contestant.name} found {found} rows where 1 to {most} can be")
        if watch.wall > settings.seconds:
            break
    laps = watch.laps
    return Figure(median(laps) * 1e3, {"cpu_ms": watch.cpu / len(laps) * 1e3, "worst_ms": max(laps) * 1e3})
