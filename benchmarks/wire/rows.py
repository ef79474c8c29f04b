"""Trades and updates as the wire's columns, and the way back for prices."""

from __future__ import annotations

from typing import Any

from benchmarks.trades import Texts, Trades, Updates
from tesseract_grpc._proto.tesseract.v1 import value_pb2

_MICROSECONDS = 1000  # in a millisecond


def trade_rows(trades: Trades) -> value_pb2.RowBatch:
    """Return complete rows."""
    return value_pb2.RowBatch(
        row_count=len(trades),
        columns=[
            value_pb2.ColumnData(name="id", int64s=value_pb2.Int64Values(values=trades.id.tolist())),
            _texts("symbol", trades.symbol),
            _texts("side", trades.side),
            value_pb2.ColumnData(name="price", float64s=value_pb2.Float64Values(values=trades.price.tolist())),
            value_pb2.ColumnData(name="qty", int64s=value_pb2.Int64Values(values=trades.qty.tolist())),
            value_pb2.ColumnData(
                name="ts", timestamps=value_pb2.TimestampValues(values=(trades.ts * _MICROSECONDS).tolist())
            ),
            _texts("trader", trades.trader),
            value_pb2.ColumnData(name="active", bools=value_pb2.BoolValues(values=trades.active.tolist())),
        ],
    )


def update_rows(updates: Updates) -> value_pb2.RowBatch:
    """Return the keys with the new prices and quantities."""
    return value_pb2.RowBatch(
        row_count=len(updates),
        columns=[
            value_pb2.ColumnData(name="id", int64s=value_pb2.Int64Values(values=updates.id.tolist())),
            value_pb2.ColumnData(name="price", float64s=value_pb2.Float64Values(values=updates.price.tolist())),
            value_pb2.ColumnData(name="qty", int64s=value_pb2.Int64Values(values=updates.qty.tolist())),
        ],
    )


def prices(rows: value_pb2.RowBatch) -> set[float]:
    """Return the distinct prices among the rows."""
    return {price for column in rows.columns if column.name == "price" for price in column.float64s.values}


def _texts(name: str, texts: Texts) -> value_pb2.ColumnData:
    return value_pb2.ColumnData(
        name=name, dictionary=value_pb2.DictionaryValues(dictionary=texts.distinct, codes=texts.codes.tolist())
    )


CLIENT_SCHEMA: list[dict[str, Any]] = [
    {"name": "id", "type": "int64", "primary_key": True},
    {"name": "symbol", "type": "string"},
    {"name": "side", "type": "string"},
    {"name": "price", "type": "float64"},
    {"name": "qty", "type": "int64"},
    {"name": "ts", "type": "timestamp"},
    {"name": "trader", "type": "string"},
    {"name": "active", "type": "bool"},
]
"""The table as a user of the Python client writes it."""


def client_columns(trades: Trades) -> dict[str, Any]:
    """The rows as a user of the Python client holds them: arrays of numbers, lists of texts."""
    return {
        "id": trades.id,
        "symbol": trades.symbol.to_list(),
        "side": trades.side.to_list(),
        "price": trades.price,
        "qty": trades.qty,
        "ts": trades.ts.astype("datetime64[ms]"),
        "trader": trades.trader.to_list(),
        "active": trades.active,
    }
