"""DuckDB: an in-memory database, batches inserted from Arrow, queries as SQL text.

It has no live queries: what has to be current is asked anew after each batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from benchmarks.contestant import Aggregates, LiveAggregates, Selects
from benchmarks.peers.arrow import arrow_trades, last_updates
from benchmarks.trades import Trades, Updates

_CREATE = """create table trades (id bigint primary key, symbol varchar, side varchar, price double, qty bigint,
ts timestamp_ms, trader varchar, active boolean)"""
_TOP = "select * from trades where symbol in ({}) and price > ? order by price desc limit ?"
_GROUPS = "select symbol, sum(qty), avg(price), min(price), max(price), count(*) from trades group by symbol"
_PRODUCTS = "select count(*) from trades where price * qty > ?"
_UPDATE = "update trades set price = batch.price, qty = batch.qty from batch where trades.id = batch.id"
_FUNCTIONS = {"sum": "sum(price)", "median": "median(price)", "distinct": "count(distinct price)"}
_PRICE = 3  # its place in a row


class DuckDB(Selects, Aggregates, LiveAggregates):
    """duckdb."""

    name = "duckdb"

    def __init__(self, cores: int) -> None:
        super().__init__(cores)
        self._connection = duckdb.connect(config={"threads": cores})
        self._connection.execute(_CREATE)
        self._asked = ""

    def prepare(self, trades: Trades) -> pa.Table:
        return arrow_trades(trades)

    def append(self, batch: pa.Table) -> None:
        self._connection.register("batch", batch)
        self._connection.execute("insert into trades select * from batch")
        self._connection.unregister("batch")

    def row_count(self) -> int:
        return self._count("select count(*) from trades")

    def top(self, symbols: Sequence[str], above: float, limit: int) -> list[float]:
        marks = ", ".join("?" for _ in symbols)
        rows = self._connection.execute(_TOP.format(marks), [*symbols, above, limit]).fetchall()
        return [float(row[_PRICE]) for row in rows]

    def groups(self) -> int:
        return len(self._connection.execute(_GROUPS).fetchall())

    def count_products(self, above: float) -> int:
        return self._count(_PRODUCTS, above)

    def watch_aggregate(self, function: str, *, by_symbol: bool) -> None:
        grouping = " group by symbol order by symbol" if by_symbol else ""
        self._asked = f"select {_FUNCTIONS[function]} from trades{grouping}"

    def aggregate(self) -> list[float]:
        return [float(row[0]) for row in self._connection.execute(self._asked).fetchall()]

    def prepare_update(self, updates: Updates) -> pa.Table:
        return last_updates(updates)

    def update(self, batch: pa.Table) -> None:
        self._connection.register("batch", batch)
        self._connection.execute(_UPDATE)
        self._connection.unregister("batch")
        self.observed += len(self.aggregate())

    def _count(self, statement: str, *values: object) -> int:
        ((count,),) = self._connection.execute(statement, list(values)).fetchall()
        return int(count)
