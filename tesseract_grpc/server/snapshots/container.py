"""The form of a snapshot: pieces of bytes, each of one kind.

    HEAD                       the number of the format, whose hub it is
    TABLE, ROWS.., GONE..      a table's columns, its rows in pieces, rows that are gone; again for each table
    DERIVED, ROWS..            the keys and versions of the rows of a derived table
    ROWS, GONE                 what was touched while the snapshot was taken
    KEPT_TABLE.., SESSION..    what is known of tables and sessions at the version of the snapshot
    ANSWERS.., EXTRA           answers to request ids; what others keep
    END                        position, version and clock

A piece is a byte that says the kind, and what it holds: messages of the public protocol, and what stands beside them
as JSON. The numbers of kinds are part of the format. A program reads all formats up to its own.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

FORMAT = 1
"""The number of the format that this program writes."""

_LENGTH = struct.Struct("<I")


class Kind(IntEnum):
    """What a piece is."""

    HEAD = 1
    TABLE = 2
    ROWS = 3
    GONE = 4
    KEPT_TABLE = 5
    SESSION = 6
    ANSWERS = 7
    EXTRA = 8
    END = 9
    DERIVED = 10


def piece(kind: Kind, content: bytes) -> bytes:
    """A piece."""
    return bytes((kind,)) + content


def opened(content: bytes) -> tuple[Kind, memoryview]:
    """The kind of a piece and what it holds. Raises ValueError."""
    return Kind(content[0]), memoryview(content)[1:]


def pack(parts: Iterable[bytes]) -> bytes:
    """Several values as one."""
    packed = bytearray()
    for part in parts:
        packed += _LENGTH.pack(len(part))
        packed += part
    return bytes(packed)


def unpack(content: bytes | memoryview) -> list[bytes]:
    """The values of `pack`. Raises ValueError."""
    view, parts, start = memoryview(content), list[bytes](), 0
    while start < len(view):
        if start + _LENGTH.size > len(view):
            raise ValueError("a piece ends within a length")
        (length,) = _LENGTH.unpack_from(view, start)
        start += _LENGTH.size
        if start + length > len(view):
            raise ValueError("a piece ends within a value")
        parts.append(bytes(view[start : start + length]))
        start += length
    return parts


def to_json(values: dict[str, Any]) -> bytes:
    """Plain values by name."""
    return json.dumps(values, separators=(",", ":")).encode()


def from_json(content: bytes | memoryview) -> dict[str, Any]:
    """The values of `to_json`. Raises ValueError."""
    found = json.loads(bytes(content))
    if not isinstance(found, dict):
        raise ValueError("a piece is no object")
    return found
