"""This engine, through its facade and without a network: batches of columns in, changes of watches out.

Observed means: every watch that a commit may have touched is asked for its changes, which hold the keys, the new values
and the positions of all rows that changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.contestant import Aggregates, LiveAggregates, LiveGroups, Selects
from benchmarks.trades import Texts, Trades, Updates
from benchmarks.workload import OURS
from tesseract_grpc.engine.data.commit import Write, WriteKind
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.data.vector import Batch, Vector
from tesseract_grpc.engine.hub import Hub
from tesseract_grpc.engine.query.filter import AllOf, Compare, CompareOp, Custom, Filter, In
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping
from tesseract_grpc.engine.query.query import Query, Window
from tesseract_grpc.engine.query.sort_key import SortKey

TABLE = "trades"
_SCHEMA = TableSchema(
    (
        ColumnSchema("id", DataType.INT64, primary_key=True),
        ColumnSchema("symbol", DataType.STRING),
        ColumnSchema("side", DataType.STRING),
        ColumnSchema("price", DataType.FLOAT64),
        ColumnSchema("qty", DataType.INT64),
        ColumnSchema("ts", DataType.TIMESTAMP),
        ColumnSchema("trader", DataType.STRING),
        ColumnSchema("active", DataType.BOOL),
    )
)
_BY_PRICE = (SortKey("price", descending=True),)
_BY_SYMBOL = Grouping(
    ("symbol",),
    (
        Aggregate("quantity", "sum", "qty"),
        Aggregate("mean", "avg", "price"),
        Aggregate("lowest", "min", "price"),
        Aggregate("highest", "max", "price"),
        Aggregate("trades", "count"),
    ),
)
_FUNCTIONS = {"sum": "sum", "median": "median", "distinct": "distinct_count"}
_MICROSECONDS = 1000  # in a millisecond


class Ours(Selects, Aggregates, LiveGroups, LiveAggregates):
    """tesseract_grpc.engine."""

    name = OURS

    def __init__(self, cores: int) -> None:
        super().__init__(cores)
        self._hub = Hub(epoch="benchmark")
        self._table = self._hub.create_table(TABLE, _SCHEMA)
        self._opened = 0

    def prepare(self, trades: Trades) -> Batch:
        columns = {
            "id": Vector(DataType.INT64, trades.id),
            "symbol": _texts(trades.symbol),
            "side": _texts(trades.side),
            "price": Vector(DataType.FLOAT64, trades.price),
            "qty": Vector(DataType.INT64, trades.qty),
            "ts": Vector(DataType.TIMESTAMP, trades.ts * _MICROSECONDS),
            "trader": _texts(trades.trader),
            "active": Vector(DataType.BOOL, trades.active),
        }
        return Batch(len(trades), columns)

    def append(self, batch: Batch) -> None:
        self._hub.commit([Write(TABLE, WriteKind.INSERT, rows=batch)])

    def row_count(self) -> int:
        return self._table.row_count

    def top(self, symbols: Sequence[str], above: float, limit: int) -> list[float]:
        query = Query(TABLE, filter=_condition(symbols, above), sort=_BY_PRICE)
        rows = self._hub.query(query, Window(limit=limit)).rows.to_rows()
        return [float(price) for price in (row["price"] for row in rows) if price is not None]

    def watch(self, symbols: Sequence[str], above: float | None = None) -> None:
        self._opened += 1
        query = Query(TABLE, filter=_condition(symbols, above), sort=_BY_PRICE)
        self._hub.open_session(query, f"session{self._opened}").watch().snapshot()

    def groups(self) -> int:
        return self._hub.query(Query(TABLE, group=_BY_SYMBOL)).rows.length

    def count_products(self, above: float) -> int:
        return self._hub.query(Query(TABLE, Custom(f"price * qty > {above}")), Window(limit=0)).total_count

    def watch_groups(self) -> None:
        self._hub.open_session(Query(TABLE, group=_BY_SYMBOL), "groups").watch().snapshot()

    def watch_aggregate(self, function: str, *, by_symbol: bool) -> None:
        grouping = Grouping(("symbol",) * by_symbol, (Aggregate("value", _FUNCTIONS[function], "price"),))
        self._hub.open_session(Query(TABLE, group=grouping), "aggregate").watch().snapshot()

    def aggregate(self) -> list[float]:
        found = self._hub.session("aggregate").watch().snapshot()
        return [float(value) for value in found.rows.columns["value"].to_list() if value is not None]

    def prepare_update(self, updates: Updates) -> list[Write]:
        columns = {
            "id": Vector(DataType.INT64, updates.id),
            "price": Vector(DataType.FLOAT64, updates.price),
            "qty": Vector(DataType.INT64, updates.qty),
        }
        return [Write(TABLE, WriteKind.UPDATE, rows=Batch(len(updates), columns))]

    def update(self, batch: list[Write]) -> None:
        for session in self._hub.commit(batch).touched:
            for watch in session.watchers:
                if watch.take():
                    self.observed += 1


def _condition(symbols: Sequence[str], above: float | None) -> Filter:
    chosen: Filter = (
        Compare("symbol", CompareOp.EQUAL, symbols[0]) if len(symbols) == 1 else In("symbol", tuple(symbols))
    )
    if above is None:
        return chosen
    return AllOf((chosen, Compare("price", CompareOp.GREATER, above)))


def _texts(texts: Texts) -> Vector:
    return Vector.of(DataType.STRING, texts.to_list())
