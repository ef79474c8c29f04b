"""Batches as Arrow tables: the form in which the peers take rows best."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from benchmarks.trades import Texts, Trades, Updates


def arrow_trades(trades: Trades) -> pa.Table:
    """Return the rows with dictionary-coded texts and millisecond timestamps."""
    return pa.table(
        {
            "id": trades.id,
            "symbol": _texts(trades.symbol),
            "side": _texts(trades.side),
            "price": trades.price,
            "qty": trades.qty,
            "ts": pa.array(trades.ts, pa.timestamp("ms")),
            "trader": _texts(trades.trader),
            "active": trades.active,
        }
    )


def arrow_updates(updates: Updates) -> pa.Table:
    return pa.table({"id": updates.id, "price": updates.price, "qty": updates.qty})


def last_updates(updates: Updates) -> pa.Table:
    """Return the updates with each row once, the last of its updates: for those whose updates are joins."""
    _, from_the_end = np.unique(updates.id[::-1], return_index=True)
    return arrow_updates(updates).take(len(updates) - 1 - from_the_end)


def ipc_bytes(table: pa.Table) -> bytes:
    """Return the table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    buffer: bytes = sink.getvalue().to_pybytes()
    return buffer


def _texts(texts: Texts) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(texts.codes, pa.int32()), pa.array(texts.distinct))
