"""One-shot queries, which tables, sessions and hubs all ask."""

from __future__ import annotations

from tesseract_grpc._proto.tesseract.v1 import query_pb2, table_service_pb2

from ..core.names import hub_name
from ..core.reads import PAGE_ROWS, Pages
from ..core.rows import Rows
from .rpc import AsyncRpc


async def run_query(rpc: AsyncRpc, query: query_pb2.Query, window: query_pb2.Window, min_version: int = 0) -> Rows:
    """The rows of a query now, all of one version: a small page in one answer, more as a stream."""
    parent = hub_name(rpc.connection.hub)
    pages = Pages()
    if window.HasField("limit") and window.limit <= PAGE_ROWS:
        request = table_service_pb2.QueryRequest(parent=parent, query=query, window=window, min_version=min_version)
        pages.take(await rpc.call(rpc.tables.Query, request))
        return pages.rows()
    many = table_service_pb2.QueryStreamRequest(parent=parent, query=query, window=window, min_version=min_version)
    async for page in rpc.stream(rpc.tables.QueryStream, many):
        pages.take(page)
    return pages.rows()
