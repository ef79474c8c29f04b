"""The table of trades on a server, the session that is watched, and the writes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio

from benchmarks.load import BATCH
from benchmarks.trades import Trades, Updates
from benchmarks.wire.rows import trade_rows, update_rows
from tesseract_grpc._proto.tesseract.v1 import query_pb2, schema_pb2, session_service_pb2, table_service_pb2, value_pb2
from tesseract_grpc._proto.tesseract.v1.session_service_pb2_grpc import SessionServiceStub
from tesseract_grpc._proto.tesseract.v1.table_service_pb2_grpc import TableServiceStub

TABLE = "trades"
_TYPES = {
    "id": value_pb2.DATA_TYPE_INT64,
    "symbol": value_pb2.DATA_TYPE_STRING,
    "side": value_pb2.DATA_TYPE_STRING,
    "price": value_pb2.DATA_TYPE_FLOAT64,
    "qty": value_pb2.DATA_TYPE_INT64,
    "ts": value_pb2.DATA_TYPE_TIMESTAMP,
    "trader": value_pb2.DATA_TYPE_STRING,
    "active": value_pb2.DATA_TYPE_BOOL,
}

# Every channel gets connections of its own: gRPC would otherwise put channels with equal options on one connection.
CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20))


def open_channel(address: str) -> grpc.aio.Channel:
    """Return a channel with a connection of its own."""
    return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)


async def create_table(channel: grpc.aio.Channel) -> None:
    """Create the empty table."""
    columns = [schema_pb2.Column(name=name, type=kind, primary_key=name == "id") for name, kind in _TYPES.items()]
    request = table_service_pb2.CreateTableRequest(table_id=TABLE, table=schema_pb2.Table(columns=columns))
    await TableServiceStub(channel).CreateTable(request)


async def load(channel: grpc.aio.Channel, trades: Trades) -> None:
    """Insert the rows in batches of 10,000 over one write stream, to the acknowledgement of the last."""

    async def requests() -> AsyncIterator[table_service_pb2.WriteStreamRequest]:
        for sequence, part in enumerate(trades.batches(BATCH)):
            insert = table_service_pb2.Insert(rows=trade_rows(part))
            operation = table_service_pb2.WriteOperation(table=TABLE, insert=insert)
            write = table_service_pb2.WriteRequest(operations=[operation])
            yield table_service_pb2.WriteStreamRequest(sequence=sequence, write=write)

    stored = 0
    async for response in TableServiceStub(channel).WriteStream(requests()):
        if response.WhichOneof("outcome") != "committed":
            raise RuntimeError(f"batch {response.sequence} was refused: {response.refused.message}")
        stored += sum(result.inserted for result in response.committed.results)
    if stored != len(trades):
        raise AssertionError(f"the server acknowledged {stored} of {len(trades)} rows")


def update_request(updates: Updates) -> table_service_pb2.WriteRequest:
    """Return one commit that updates the rows."""
    update = table_service_pb2.Update(rows=update_rows(updates))
    return table_service_pb2.WriteRequest(operations=[table_service_pb2.WriteOperation(table=TABLE, update=update)])


async def create_session(channel: grpc.aio.Channel, name: str, symbols: tuple[str, ...] = ()) -> None:
    """Create a session over the symbols (over all rows when there are none), by price descending."""
    query = query_pb2.Query(
        table=TABLE,
        sort=[query_pb2.SortKey(column="price", direction=query_pb2.SORT_DIRECTION_DESCENDING)],
    )
    if symbols:
        values = [value_pb2.Value(string_value=symbol) for symbol in symbols]
        query.filter.membership.CopyFrom(query_pb2.Membership(column="symbol", values=values))
    request = session_service_pb2.CreateSessionRequest(
        session_id=name, session=session_service_pb2.Session(query=query)
    )
    await SessionServiceStub(channel).CreateSession(request)


async def delete_session(channel: grpc.aio.Channel, name: str) -> None:
    await SessionServiceStub(channel).DeleteSession(session_service_pb2.DeleteSessionRequest(name=name))
