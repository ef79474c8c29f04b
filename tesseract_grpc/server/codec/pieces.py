"""Large results cut into messages of about one size.

Rows differ in size, and a dictionary makes the size of a batch hard to foretell, so nothing is foretold: a piece is
encoded, and when it came out much too large it is halved; the next piece takes as many rows as the last one suggests.
"""

from __future__ import annotations

from collections.abc import Iterator

from tesseract_grpc.engine.data.vector import Batch
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.encode import encode_batch

_FIRST_ROWS = 2_048
"""Rows of the first piece of a large batch, before anything is known about their size."""

_SLACK = 1.25
"""How far above the target a piece may be before it is halved."""


def row_pieces(batch: Batch, target: int) -> Iterator[tuple[int, twin.value.RowBatch]]:
    """The batch in pieces of about `target` bytes, each with the index of its first row. Lazy: one piece is encoded
    for each step. An empty batch has no pieces; a row is never cut."""
    start, rows = 0, _FIRST_ROWS
    while start < batch.length:
        message = encode_batch(batch.slice(start, start + rows))
        taken, size = message.row_count, message.ByteSize()
        if size > target * _SLACK and taken > 1:
            rows = max(1, min(taken // 2, taken * target // size))
            continue
        yield start, message
        start += taken
        rows = max(1, min(taken * target // max(size, 1), taken * 8))
