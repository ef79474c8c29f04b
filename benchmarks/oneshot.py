"""W2, W3 and W7: queries that are asked once, each time a new one.

The first answers of a process are not timed, for they pay for set-up that the others do not. They are compared with
what NumPy says about the same rows: a contestant that answers something else is out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.contestant import Contestant
from benchmarks.field import open_aggregates, open_groups, open_selects
from benchmarks.load import ROWS, fill
from benchmarks.measure import Stopwatch, median
from benchmarks.trades import PRICE_LIMIT, QTY_LIMIT, Trades, make_trades, session_symbols
from benchmarks.workload import Figure, Figures, Settings

QUERIES = 25
LIMIT = 100


def run_top(name: str, settings: Settings) -> Figures:
    """W2: symbol in 10 values and price > 500, by price descending, the first 100."""
    contestant = open_selects(name, settings.cores)

    def ask(number: int) -> list[float]:
        return contestant.top(session_symbols(number), PRICE_LIMIT / 2 + number / 100, LIMIT)

    def expect(trades: Trades, number: int) -> list[float]:
        wanted = [code for code, text in enumerate(trades.symbol.distinct) if text in session_symbols(number)]
        prices = trades.price[np.isin(trades.symbol.codes, wanted) & (trades.price > PRICE_LIMIT / 2 + number / 100)]
        highest: list[float] = np.sort(prices)[::-1][:LIMIT].tolist()
        return highest

    return {"W2": _measure(contestant, settings, ask, expect)}


def run_groups(name: str, settings: Settings) -> Figures:
    """W3: by symbol, five aggregates."""
    contestant = open_groups(name, settings.cores)

    def expect(trades: Trades, _: int) -> int:
        return len(np.unique(trades.symbol.codes))

    return {"W3": _measure(contestant, settings, lambda _: contestant.groups(), expect)}


def run_products(name: str, settings: Settings) -> Figures:
    """W7: how many rows have price * qty > 500,000."""
    contestant = open_aggregates(name, settings.cores)
    above = PRICE_LIMIT * QTY_LIMIT / 2

    def expect(trades: Trades, number: int) -> int:
        return int(np.count_nonzero(trades.price * trades.qty > above + number))

    return {"W7": _measure(contestant, settings, lambda number: contestant.count_products(above + number), expect)}


def _measure(
    contestant: Contestant, settings: Settings, ask: Callable[[int], Any], expect: Callable[[Trades, int], Any]
) -> Figure:
    """Time one query after the other, each with a number that makes it a new one."""
    trades = make_trades(settings.scaled(ROWS, least=100), settings.seed)
    fill(contestant, trades)
    for number in range(QUERIES, QUERIES + 1 + contestant.warm_ups):
        if (answer := ask(number)) != (expected := expect(trades, number)):
            raise AssertionError(f"{contestant.name} answers {answer!s:.200} instead of {expected!s:.200}")
    watch = Stopwatch("query")
    for number in range(settings.scaled(QUERIES, least=3)):
        with watch:
            ask(number)
        if watch.wall > settings.seconds:
            break
    laps = watch.laps
    return Figure(median(laps) * 1e3, {"cpu_ms": watch.cpu / len(laps) * 1e3, "worst_ms": max(laps) * 1e3})
