"""gzip, where it is cheap.

What comes in is inflated only as far as a request may be large, however well it was packed. What goes out is packed by
the fastest level, and not at all where it is too short to gain anything; long texts are packed in a thread, which
holds up nobody (zlib lets others run meanwhile).
"""

from __future__ import annotations

import asyncio
import gzip
import zlib

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import Refusal, limit_exceeded

SHORTEST = 1_024
"""Bytes below which an answer is not packed."""

_LONG = 32_768
_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS


def accepts_gzip(header: str) -> bool:
    """Whether a list such as `gzip, br;q=0.5` has gzip in it."""
    for part in header.lower().split(","):
        name, _, quality = part.partition(";")
        if name.strip() in ("gzip", "*") and quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            return True
    return False


def check_encoding(name: str) -> bool:
    """Whether a request is packed. Raises Refusal when it is packed in a way that is not known here."""
    if name in ("", "identity"):
        return False
    if name == "gzip":
        return True
    raise Refusal(Reason.FEATURE_NOT_AVAILABLE, f"the compression '{name}' is not known here: gzip or identity")


def unpack(data: bytes, limit: int) -> bytes:
    """What was packed. Raises Refusal when it is no gzip, or larger than `limit` bytes."""
    inflate = zlib.decompressobj(_GZIP)
    try:
        found = inflate.decompress(data, limit + 1)
    except zlib.error:
        raise Refusal(Reason.MALFORMED_REQUEST, "the request is said to be gzip, and is not") from None
    if len(found) > limit:
        raise limit_exceeded("max_message_bytes", limit, "the request is larger when it is unpacked")
    if not inflate.eof:
        raise Refusal(Reason.MALFORMED_REQUEST, "the request is gzip that ends too early")
    if inflate.unused_data:
        raise Refusal(Reason.MALFORMED_REQUEST, "there is something behind the gzip of the request")
    return found


async def pack(data: bytes) -> bytes:
    """The same, packed."""
    if len(data) <= _LONG:
        return gzip.compress(data, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, data, _LEVEL, mtime=0)
