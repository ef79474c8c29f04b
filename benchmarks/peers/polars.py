"""Polars: a frame that grows by batches, lazy queries. It has neither keys nor live queries, so its load is a floor.

A batch is handed over as an Arrow table and becomes a frame in the timed part: a frame made before would be appended
by reference, which loads nothing. What has to be current is asked anew after each batch; rows are updated by a join.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import polars as pl
import pyarrow as pa

from benchmarks.contestant import Aggregates, LiveAggregates, Selects
from benchmarks.peers.arrow import arrow_trades, last_updates
from benchmarks.trades import Trades, Updates

_TEXTS = pl.col("symbol", "side", "trader")


class Polars(Selects, Aggregates, LiveAggregates):
    """polars."""

    name = "polars"

    def __init__(self, cores: int) -> None:
        super().__init__(cores)  # polars starts as many threads as the process may use cores
        self._frame = pl.DataFrame()
        self._asked: tuple[pl.Expr, bool] | None = None

    def prepare(self, trades: Trades) -> pa.Table:
        return arrow_trades(trades)

    def append(self, batch: pa.Table) -> None:
        frame = cast(pl.DataFrame, pl.from_arrow(batch)).with_columns(_TEXTS.cast(pl.String))
        self._frame = frame if self._frame.is_empty() else self._frame.vstack(frame)

    def settle(self) -> None:
        self._frame = self._frame.rechunk()

    def row_count(self) -> int:
        return self._frame.height

    def top(self, symbols: Sequence[str], above: float, limit: int) -> list[float]:
        wanted = pl.col("symbol").is_in(list(symbols)) & (pl.col("price") > above)
        found = self._frame.lazy().filter(wanted).sort("price", descending=True).limit(limit).collect()
        rows = found.to_dicts()
        return [float(row["price"]) for row in rows]

    def groups(self) -> int:
        price = pl.col("price")
        sums = (pl.col("qty").sum(), price.mean().alias("avg"), price.min().alias("min"), price.max().alias("max"))
        return len(self._frame.lazy().group_by("symbol").agg(*sums, pl.len()).collect().to_dicts())

    def count_products(self, above: float) -> int:
        found = self._frame.lazy().filter(pl.col("price") * pl.col("qty") > above).select(pl.len()).collect()
        return int(found.item())

    def watch_aggregate(self, function: str, *, by_symbol: bool) -> None:
        price = pl.col("price")
        self._asked = {"sum": price.sum(), "median": price.median(), "distinct": price.n_unique()}[function], by_symbol

    def aggregate(self) -> list[float]:
        assert self._asked is not None
        wanted, by_symbol = self._asked
        rows = self._frame.lazy()
        found = rows.group_by("symbol").agg(wanted).sort("symbol") if by_symbol else rows.select(wanted)
        return [float(value) for value in found.collect()["price"].to_list()]

    def prepare_update(self, updates: Updates) -> pl.DataFrame:
        return cast(pl.DataFrame, pl.from_arrow(last_updates(updates)))

    def update(self, batch: pl.DataFrame) -> None:
        self._frame = self._frame.update(batch, on="id")
        self.observed += len(self.aggregate())
