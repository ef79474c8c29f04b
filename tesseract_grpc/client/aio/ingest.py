"""Bulk writes: rows of any form, cut into batches, over one write stream. The first refusal ends it."""

from __future__ import annotations

from typing import Any, Literal, get_args

from ..core.arguments import whole_number
from ..core.errors import invalid
from ..core.schema import Schema
from ..core.tabulate import slices_of
from ..core.writes import IngestResult, encode_blocks
from .rpc import AsyncRpc
from .runtime import pieces_of
from .write_stream import AsyncWriteStream

DEFAULT_BATCH_ROWS = 10_000
DEFAULT_IN_FLIGHT = 4

IngestKind = Literal["insert", "upsert", "update", "increment"]


async def ingest(
    rpc: AsyncRpc, table: str, schema: Schema, data: Any, kind: IngestKind, batch_rows: int, in_flight: int
) -> IngestResult:
    """Sends all of `data` and waits for all answers."""
    if kind not in get_args(IngestKind):
        raise invalid("MALFORMED_REQUEST", f"kind is one of {', '.join(get_args(IngestKind))}", "kind")
    whole_number(batch_rows, "batch_rows", 1)
    whole_number(in_flight, "in_flight", 1)
    rpc.check_open()
    stream = AsyncWriteStream(rpc, in_flight, stop_at_refusal=True)
    try:
        async for piece in pieces_of(data):
            for blocks in slices_of(piece, schema, batch_rows, fill=kind == "insert"):
                await stream.put(encode_blocks(kind, table, blocks, rpc.connection.hub))
        return await stream.flush()
    finally:
        await stream.close()
