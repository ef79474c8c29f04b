# Generated from tesseract_grpc/client/aio/write.py by tools/generate_sync_client.py: edit that file and run it.
"""One commit: encode, send, decode, with errors in the user's operations and rows."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import TesseractError
from ..core.schema import Schema
from ..core.writes import WriteBatch, WriteResult, encode_writes
from .rpc import Rpc


def write(
    rpc: Rpc,
    batch: WriteBatch,
    schemas: Mapping[str, Schema],
    *,
    request_id: str | None = None,
    validate_only: bool = False,
) -> WriteResult:
    """Commits a batch."""
    encoded = encode_writes(
        batch.operations, schemas, rpc.connection.hub, request_id=request_id, validate_only=validate_only
    )
    try:
        response = rpc.call(rpc.tables.Write, encoded.request)
    except TesseractError as error:
        raise encoded.placed(error) from error.__cause__
    return encoded.result(response)
