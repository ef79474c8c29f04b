"""The data: one table of trades and the updates on it, the same for every contestant.

trades: id 0..n-1 (the key); symbol, one of 1,000; side, one of 2; price uniform in 0..1000; qty in 1..1000; ts rising
by 7 ms; trader, one of 200; active. Updates hit random ids with a new price and a new qty.

The columns are kept as NumPy arrays, texts as codes into a list of distinct texts: compact, so that the data itself
adds little to the memory that a workload measures. A contestant turns slices of them into its own form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SYMBOLS = tuple(f"SYM{number:04d}" for number in range(1000))
SIDES = ("buy", "sell")
TRADERS = tuple(f"trader{number:03d}" for number in range(200))
COLUMNS = ("id", "symbol", "side", "price", "qty", "ts", "trader", "active")

TICK_MS = 7
PRICE_LIMIT = 1000.0
QTY_LIMIT = 1000
SYMBOLS_A_SESSION = 10


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of texts: one code a row into the distinct texts."""

    codes: Ints
    distinct: tuple[str, ...]

    def slice(self, start: int, stop: int) -> Texts:
        return Texts(self.codes[start:stop], self.distinct)

    def to_list(self) -> list[str]:
        distinct = self.distinct
        return [distinct[code] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True)
class Trades:
    """Rows of the table, column by column; `ts` in milliseconds."""

    id: Ints
    symbol: Texts
    side: Texts
    price: Floats
    qty: Ints
    ts: Ints
    trader: Texts
    active: Bools

    def __len__(self) -> int:
        return len(self.id)

    def slice(self, start: int, stop: int) -> Trades:
        return Trades(
            self.id[start:stop],
            self.symbol.slice(start, stop),
            self.side.slice(start, stop),
            self.price[start:stop],
            self.qty[start:stop],
            self.ts[start:stop],
            self.trader.slice(start, stop),
            self.active[start:stop],
        )

    def batches(self, size: int) -> Iterator[Trades]:
        for start in range(0, len(self), size):
            yield self.slice(start, start + size)


@dataclass(frozen=True, slots=True)
class Updates:
    """New prices and quantities of some rows."""

    id: Ints
    price: Floats
    qty: Ints

    def __len__(self) -> int:
        return len(self.id)


def make_trades(rows: int, seed: int) -> Trades:
    """Return the table's rows; the same for the same arguments."""
    rng = np.random.default_rng(seed)
    ids = np.arange(rows, dtype=np.int64)
    return Trades(
        id=ids,
        symbol=Texts(rng.integers(0, len(SYMBOLS), rows), SYMBOLS),
        side=Texts(rng.integers(0, len(SIDES), rows), SIDES),
        price=rng.random(rows) * PRICE_LIMIT,
        qty=rng.integers(1, QTY_LIMIT + 1, rows),
        ts=ids * TICK_MS,
        trader=Texts(rng.integers(0, len(TRADERS), rows), TRADERS),
        active=rng.random(rows) < 0.5,
    )


def make_updates(rows: int, batches: int, batch: int, seed: int) -> list[Updates]:
    """Return `batches` batches of updates to random rows of a table of `rows` rows."""
    rng = np.random.default_rng((seed, 1))
    return [
        Updates(
            rng.integers(0, rows, batch),
            rng.random(batch) * PRICE_LIMIT,
            rng.integers(1, QTY_LIMIT + 1, batch),
        )
        for _ in range(batches)
    ]


def session_symbols(number: int) -> tuple[str, ...]:
    """Return the symbols of filtered session `number`: ten of them, a hundredth of the rows."""
    start = number * SYMBOLS_A_SESSION % len(SYMBOLS)
    return SYMBOLS[start : start + SYMBOLS_A_SESSION]
