"""DuckDB: an in-memory database, batches inserted from Arrow, queries as SQL text. It has no live queries."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from benchmarks.contestant import Aggregates, Selects
from benchmarks.peers.arrow import arrow_trades
from benchmarks.trades import Trades

_CREATE = """create table trades (id bigint primary key, symbol varchar, side varchar, price double, qty bigint,
ts timestamp_ms, trader varchar, active boolean)"""
_TOP = "select * from trades where symbol in ({}) and price > ? order by price desc limit ?"
_GROUPS = "select symbol, sum(qty), avg(price), min(price), max(price), count(*) from trades group by symbol"
_PRODUCTS = "select count(*) from trades where price * qty > ?"
_PRICE = 3  # its place in a row


class DuckDB(Selects, Aggregates):
    """duckdb."""

    name = "duckdb"

    def __init__(self, cores: int) -> None:
        super().__init__(cores)
        self._connection = duckdb.connect(config={"threads": cores})
        self._connection.execute(_CREATE)

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

    def _count(self, statement: str, *values: object) -> int:
        row = self._connection.execute(statement, list(values)).fetchone()
        assert row is not None
        return int(row[0])
