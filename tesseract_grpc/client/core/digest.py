"""The digest of rows, as docs/GUARANTEES.md defines it, and the copy of the rows that it is taken of.

A digest is of values as the wire has them (a JSON document is its text), and what a mirror shows is not: so whoever
verifies keeps a second copy. That costs as much memory again, and O(window) for every Progress.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .datatype import BOOL, FLOAT64, INT64, TIMESTAMP, DataType
from .events import Event, Progress
from .feed import StreamBroken
from .replica import Replica
from .rows import Row

FORMAT = b"tesseract.digest.1\n"
_NAN = np.uint64(0x7FF8_0000_0000_0000)


def digest_of(types: Mapping[str, DataType], rows: Sequence[Row]) -> bytes:
    """The digest of rows, in order, with values as the wire has them. O(cells)."""
    found = hashlib.sha256(FORMAT + struct.pack("<II", len(rows), len(types)))
    for name, kind in types.items():
        text = name.encode()
        found.update(struct.pack("<I", len(text)) + text + bytes((kind,)))
        values = [row[name] for row in rows]
        found.update(bytes(value is not None for value in values))
        for part in _parts(kind, values):
            found.update(part)
    return found.digest()


def _parts(kind: DataType, values: list[Any]) -> Iterable[bytes]:
    """The values of a column; null is 0, false or empty."""
    if kind == BOOL:
        return (bytes(value is True for value in values),)
    if kind in (INT64, TIMESTAMP):
        return (np.array([value or 0 for value in values], "<i8").tobytes(),)
    if kind == FLOAT64:
        doubles = np.array([value or 0.0 for value in values], np.float64) + 0.0  # -0.0 + 0.0 is 0.0
        return (np.where(np.isnan(doubles), _NAN, doubles.view(np.uint64)).astype("<u8").tobytes(),)
    texts = [b"" if value is None else value.encode() for value in values]
    return np.array([len(text) for text in texts], "<u4").tobytes(), b"".join(texts)


class Verifier:
    """Follows a watch, and compares every digest that the server sends with its own."""

    def __init__(self) -> None:
        self._replica = Replica(raw=True)

    def take(self, event: Event) -> None:
        """Raises StreamBroken where the rows are not those that the server means."""
        self._replica.apply(event)
        if isinstance(event, Progress) and event.digest:
            replica = self._replica
            if digest_of(replica.types, replica.rows()) != event.digest:
                raise StreamBroken("digest", f"the rows at version {event.version} are not those of the server")
