"""Perspective: an in-process server, one view a session, row-mode callbacks that carry the delta as Arrow bytes.

The client of an in-process server is synchronous: when `Table.update` returns, the callbacks of all views have run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import perspective

from benchmarks.contestant import Aggregates, LiveAggregates, LiveGroups, Selects
from benchmarks.peers.arrow import arrow_trades, arrow_updates, ipc_bytes
from benchmarks.trades import Trades, Updates

_SCHEMA = {
    "id": "integer",
    "symbol": "string",
    "side": "string",
    "price": "float",
    "qty": "integer",
    "ts": "datetime",
    "trader": "string",
    "active": "boolean",
}
_BY_PRICE = [["price", "desc"]]
_SMALL = 10  # below about this many rows plain columns are taken faster than Arrow
# A column has one aggregate in a view, so the price is there three times under different names.
_EXPRESSIONS = {"low": '"price"', "high": '"price"', "rows": '"id"'}
_AGGREGATES = {"qty": "sum", "price": "avg", "low": "min", "high": "max", "rows": "count"}


class Perspective(Selects, Aggregates, LiveGroups, LiveAggregates):
    """perspective-python."""

    name = "perspective"

    def __init__(self, cores: int) -> None:
        super().__init__(cores)
        perspective.set_num_cpus(cores)
        self._client = perspective.Server().new_local_client()
        self._table = self._client.table(_SCHEMA, index="id")
        self._views: list[Any] = []

    def prepare(self, trades: Trades) -> bytes:
        return ipc_bytes(arrow_trades(trades))

    def append(self, batch: bytes) -> None:
        self._table.update(batch)

    def settle(self) -> None:
        self._table.size()

    def row_count(self) -> int:
        return int(self._table.size())

    def top(self, symbols: Sequence[str], above: float, limit: int) -> list[float]:
        view = self._table.view(filter=[["symbol", "in", list(symbols)], ["price", ">", above]], sort=_BY_PRICE)
        columns = view.to_columns(start_row=0, end_row=limit)
        view.delete()
        return [float(price) for price in columns["price"]]

    def groups(self) -> int:
        view = self._group_view()
        columns = view.to_columns()
        view.delete()
        return len(columns["qty"]) - 1  # the first row is the total

    def count_products(self, above: float) -> int:
        view = self._table.view(
            expressions={"value": '"price" * "qty"'}, filter=[["value", ">", above]], columns=["id"]
        )
        rows = view.num_rows()
        view.delete()
        return int(rows)

    def watch(self, symbols: Sequence[str], above: float | None = None) -> None:
        conditions: list[list[object]] = [["symbol", "in", list(symbols)]]
        if above is not None:
            conditions.append(["price", ">", above])
        self._observe(self._table.view(filter=conditions, sort=_BY_PRICE))

    def watch_groups(self) -> None:
        self._observe(self._group_view())

    def watch_aggregate(self, function: str, *, by_symbol: bool) -> None:
        aggregate = {"sum": "sum", "median": "median", "distinct": "distinct count"}[function]
        view = self._table.view(
            group_by=["symbol" if by_symbol else "all"],
            columns=["price"],
            aggregates={"price": aggregate},
            expressions={} if by_symbol else {"all": "1"},  # there are no aggregates without groups
        )
        self._observe(view)

    def aggregate(self) -> list[float]:
        return [float(value) for value in self._views[-1].to_columns()["price"][1:]]  # the first row is the total

    def prepare_update(self, updates: Updates) -> Any:
        if len(updates) >= _SMALL:
            return ipc_bytes(arrow_updates(updates))
        return {"id": updates.id.tolist(), "price": updates.price.tolist(), "qty": updates.qty.tolist()}

    def update(self, batch: Any) -> None:
        self._table.update(batch)

    def _group_view(self) -> Any:
        return self._table.view(
            group_by=["symbol"], columns=list(_AGGREGATES), aggregates=_AGGREGATES, expressions=_EXPRESSIONS
        )

    def _observe(self, view: Any) -> None:
        view.on_update(self._on_delta, mode="row")
        view.to_arrow()  # the snapshot, as a reader would fetch it
        self._views.append(view)

    def _on_delta(self, _port: int, delta: bytes) -> None:
        self.observed += len(delta) > 0
