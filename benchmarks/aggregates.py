"""live_sum, live_median and live_distinct: one aggregate of the prices of 1 M rows, kept current under updates.

Batches of 1,000 updates as in W4, with one session open: the aggregate of all rows, or (`_group`) that of each of the
1,000 symbols. Prices have as many different values as there are rows in a group, so some 63 % of these values are there
at any time, and updates change how many. A sum is the least that an aggregate can cost; the others are to be compared
with it. At the end what the session holds is compared with what NumPy says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.contestant import LiveAggregates
from benchmarks.field import open_live_aggregates
from benchmarks.live import BATCH, BATCHES, drive, rate
from benchmarks.load import ROWS, fill
from benchmarks.trades import PRICE_LIMIT, SYMBOLS, Floats, Ints, Updates, make_trades, make_updates
from benchmarks.workload import Better, Figures, Metric, Settings, Workload

_WORDS = {"sum": "sum", "median": "median", "distinct": "distinct count"}
LEAST = 20  # fewer might leave a median where it is
_CLOSE = 1e-9  # sums in another order differ by roundings


@dataclass(slots=True)
class _Truth:
    """The prices as they are now, by row, and each row's symbol."""

    price: Floats
    symbol: Ints

    def note(self, updates: Updates) -> None:
        self.price[updates.id] = updates.price

    def bounds(self, function: str, *, by_symbol: bool) -> tuple[list[float], list[float]]:
        """Between which values the aggregate of each group must lie. Of an even number of prices, some take the lower
        of the two in the middle for the median, some the upper one, and some their mean."""
        groups = [self.price]
        if by_symbol:
            order = np.argsort(self.symbol, kind="stable")
            groups = np.split(self.price[order], np.flatnonzero(np.diff(self.symbol[order])) + 1)
        if function == "median":
            ordered = [np.sort(group) for group in groups]
            return [group[(len(group) - 1) // 2] for group in ordered], [group[len(group) // 2] for group in ordered]
        exact = [float(np.sum(group)) if function == "sum" else len(np.unique(group)) for group in groups]
        return exact, exact


def workload(function: str, contestants: tuple[str, ...], *, by_symbol: bool) -> Workload:
    """The workload of one aggregate."""
    name = f"live_{function}" + "_group" * by_symbol
    about = f"live {_WORDS[function]} " + ("by symbol" if by_symbol else "of all")
    metric = Metric(name, "rows/s", Better.HIGHER, f"1 M rows, batches of 1,000 updates, {about}")
    return Workload(name, (metric,), contestants, partial(_run, name, function, by_symbol))


def _run(metric: str, function: str, by_symbol: bool, name: str, settings: Settings) -> Figures:
    contestant = open_live_aggregates(name, settings.cores)
    rows = settings.scaled(ROWS, least=1000)
    trades = make_trades(rows, settings.seed)
    values = rows // len(SYMBOLS) if by_symbol else rows
    trades = replace(trades, price=_stepped(trades.price, values))
    fill(contestant, trades)
    truth = _Truth(trades.price.copy(), trades.symbol.codes)
    contestant.watch_aggregate(function, by_symbol=by_symbol)
    batch, batches = settings.scaled(BATCH, least=10), settings.scaled(BATCHES, least=LEAST)
    watch, done = drive(contestant, settings, batches, batch, truth.note, partial(_updates, values))
    _compare(contestant, truth, function, by_symbol=by_symbol)
    return {metric: rate(watch, done, batch, 1, contestant)}


def _compare(contestant: LiveAggregates, truth: _Truth, function: str, *, by_symbol: bool) -> None:
    found = np.array(contestant.aggregate())
    low, high = map(np.array, truth.bounds(function, by_symbol=by_symbol))
    if len(found) != len(low) or not np.all((low * (1 - _CLOSE) <= found) & (found <= high * (1 + _CLOSE))):
        raise AssertionError(f"{contestant.name} holds {found!s:.200} instead of {low!s:.200}")


def _updates(values: int, rows: int, batches: int, batch: int, seed: int) -> list[Updates]:
    """Updates as in the other workloads, with prices of so many values."""
    made = make_updates(rows, batches, batch, seed)
    return [replace(updates, price=_stepped(updates.price, values)) for updates in made]


def _stepped(prices: Floats, values: int) -> Floats:
    step = PRICE_LIMIT / values
    return np.floor(prices / step) * step
