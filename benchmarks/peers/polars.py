"""Polars: a frame that grows by batches, lazy queries. It has neither keys nor live queries, so its load is a floor.

A batch is handed over as an Arrow table and becomes a frame in the timed part: a frame made before would be appended
by reference, which loads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import polars as pl
import pyarrow as pa

from benchmarks.contestant import Aggregates, Selects
from benchmarks.peers.arrow import arrow_trades
from benchmarks.trades import Trades

_TEXTS = pl.col("symbol", "side", "trader")


class Polars(Selects, Aggregates):
    """polars."""

    name = "polars"

    def __init__(self, cores: int) -> None:
        super().__init__(cores)  # polars starts as many threads as the process may use cores
        self._frame = pl.DataFrame()

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
