"""Deephaven: a server in this process (a JVM), one keyed input table, Python listeners on live tables.

A commit is one `add` to the input table. It wakes the update graph, and a cycle of it runs every listener, under the
graph's exclusive lock: whoever then gets the shared lock knows that the cycle is over. A listener observes as its users
do: it reads the added, removed and modified rows as arrays. The table has no partial updates, so an update carries
whole rows, which are made outside the timed part.

It is optional: the extra `deephaven`, and a Java runtime of version 17 or newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from benchmarks.contestant import Aggregates, LiveAggregates, LiveGroups, Selects
from benchmarks.peers.arrow import arrow_trades
from benchmarks.trades import Trades, Updates
from benchmarks.wire.port import free_port

_JVM = (
    "-Xmx8g",
    # A cycle may follow the one before at once; by default it waits for a second to be over.
    "-DPeriodicUpdateGraph.targetCycleDurationMillis=1",
    "-DAuthHandlers=io.deephaven.auth.AnonymousAuthenticationHandler",
)
_INSTANT = pa.timestamp("ns", "UTC")  # the one Arrow type that becomes its own type of time
_TEXTS = ("symbol", "side", "trader")


class Deephaven(Selects, Aggregates, LiveGroups, LiveAggregates):
    """deephaven-server."""

    name = "deephaven"
    warm_ups = 20

    def __init__(self, cores: int) -> None:
        super().__init__(cores)
        start_server(cores)
        from deephaven import dtypes as types
        from deephaven import input_table

        columns = {
            "id": types.int64,
            "symbol": types.string,
            "side": types.string,
            "price": types.double,
            "qty": types.int64,
            "ts": types.Instant,
            "trader": types.string,
            "active": types.bool_,
        }
        self._table = input_table(columns, key_cols="id")
        self._graph = self._table.update_graph
        self._parts: list[Trades] = []
        self._whole: pa.Table | None = None
        self._kept: list[Any] = []  # listeners and tables live as long as somebody holds them

    def prepare(self, trades: Trades) -> Any:
        self._parts.append(trades)
        return _table(_arrow(trades))

    def append(self, batch: Any) -> None:
        self._table.add(batch)

    def row_count(self) -> int:
        _collect_garbage()  # or what was made to prepare the batches would count as memory of the table
        return int(self._table.size)

    def top(self, symbols: Sequence[str], above: float, limit: int) -> list[float]:
        from deephaven.arrow import to_arrow
        from deephaven.liveness_scope import liveness_scope

        with liveness_scope():
            chosen = self._table.where([_among(symbols), f"price > {above!r}"])
            found = to_arrow(chosen.sort_descending("price").head(limit))
        return [float(price) for price in found["price"].to_pylist()]

    def groups(self) -> int:
        from deephaven.arrow import to_arrow
        from deephaven.liveness_scope import liveness_scope

        with liveness_scope():
            return int(to_arrow(self._grouped()).num_rows)

    def count_products(self, above: float) -> int:
        from deephaven.liveness_scope import liveness_scope

        with liveness_scope():
            # A name instead of the number: a condition with a new text is compiled anew.
            return int(self._table.where("price * qty > above").size)

    def watch(self, symbols: Sequence[str], above: float | None = None) -> None:
        conditions = [_among(symbols)]
        if above is not None:
            conditions.append(f"price > {above!r}")
        self._observe(self._table.where(conditions).sort_descending("price"))

    def watch_groups(self) -> None:
        self._observe(self._grouped())

    def watch_aggregate(self, function: str, *, by_symbol: bool) -> None:
        from deephaven import agg

        made = {"sum": agg.sum_, "median": agg.median, "distinct": agg.count_distinct}[function]("value=price")
        self._observe(self._table.agg_by(made, by=["symbol"] if by_symbol else []))

    def aggregate(self) -> list[float]:
        from deephaven.arrow import to_arrow

        table = self._kept[-2]
        sorted_table = table.sort("symbol") if len(table.columns) > 1 else table
        return [float(value) for value in to_arrow(sorted_table)["value"].to_pylist()]

    def prepare_update(self, updates: Updates) -> Any:
        if self._whole is None:
            self._whole = pa.concat_tables(map(_arrow, self._parts)).unify_dictionaries().combine_chunks()
        rows = self._whole.take(pa.array(updates.id))  # ids count from 0, in the order in which they were loaded
        rows = rows.set_column(rows.schema.get_field_index("price"), "price", pa.array(updates.price))
        return _table(rows.set_column(rows.schema.get_field_index("qty"), "qty", pa.array(updates.qty)))

    def update(self, batch: Any) -> None:
        from deephaven.update_graph import shared_lock

        self._table.add(batch)
        with shared_lock(self._graph):
            pass

    def _grouped(self) -> Any:
        from deephaven import agg

        aggregates = [
            agg.sum_("quantity=qty"),
            agg.avg("mean=price"),
            agg.min_("lowest=price"),
            agg.max_("highest=price"),
            agg.count_("trades"),
        ]
        return self._table.agg_by(aggregates, by=["symbol"])

    def _observe(self, table: Any) -> None:
        from deephaven.arrow import to_arrow
        from deephaven.table_listener import listen

        def on_update(update: Any, _is_replay: bool) -> None:
            parts = (update.added(), update.removed(), update.modified())
            self.observed += any(parts)

        to_arrow(table)  # the snapshot, as a reader would fetch it
        self._kept += [table, listen(table, on_update)]


@cache
def start_server(cores: int) -> Any:
    """The one server of this process."""
    from deephaven_server import Server

    server = Server(port=free_port(), jvm_args=[*_JVM, f"-DPeriodicUpdateGraph.updateThreads={cores}"])
    server.start()
    return server


def _collect_garbage() -> None:
    import jpy

    jpy.get_type("java.lang.System").gc()


def _arrow(trades: Trades) -> pa.Table:
    rows = arrow_trades(trades)
    return rows.set_column(rows.schema.get_field_index("ts"), "ts", rows["ts"].cast(pa.timestamp("ns")).cast(_INSTANT))


def _table(rows: pa.Table) -> Any:
    """The rows as a table of Deephaven's, texts and all."""
    from deephaven.arrow import to_table

    for name in _TEXTS:
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, name, rows[name].cast(pa.string()))
    return to_table(rows)


def _among(symbols: Sequence[str]) -> str:
    return "symbol in " + ", ".join(f"`{symbol}`" for symbol in symbols)
