# Generated from tesseract_grpc/client/aio/ingest.py by tools/generate_sync_client.py: edit that file and run it.
"""Bulk writes: rows of any form, cut into batches, over one write stream. The first refusal ends it."""

from __future__ import annotations

from typing import Any, Literal, get_args

from ..core.arguments import whole_number
from ..core.errors import invalid
from ..core.schema import Schema
from ..core.tabulate import slices_of
from ..core.writes import IngestResult, encode_blocks
from .rpc import Rpc
from .runtime import pieces_of
from .write_stream import WriteStream

DEFAULT_BATCH_ROWS = 10_000
DEFAULT_IN_FLIGHT = 4

IngestKind = Literal["insert", "upsert", "update", "increment"]


def ingest(
    rpc: Rpc, table: str, schema: Schema, data: Any, kind: IngestKind, batch_rows: int, in_flight: int
) -> IngestResult:
    """Sends all of `data` and waits for all answers."""
    if kind not in get_args(IngestKind):
        raise invalid("MALFORMED_REQUEST", f"kind is one of {', '.join(get_args(IngestKind))}", "kind")
    whole_number(batch_rows, "batch_rows", 1)
    whole_number(in_flight, "in_flight", 1)
    rpc.check_open()
    stream = WriteStream(rpc, in_flight, stop_at_refusal=True)
    try:
        for piece in pieces_of(data):
            for blocks in slices_of(piece, schema, batch_rows, fill=kind == "insert"):
                stream.put(encode_blocks(kind, table, blocks, rpc.connection.hub))
        return stream.flush()
    finally:
        stream.close()
