"""Plain values as bytes that are the same in every process: what digests of definitions are made of.

The definition of a session is plain data: frozen dataclasses, tuples, sets, texts and numbers. `repr` would not do: it
orders sets by hashes, which differ from process to process. A field that has its default is left out, so that a
definition keeps its digest when a later program knows more that can be said.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum


def canonical(value: object) -> bytes:
    """The bytes of a value; equal values, and only those, have equal bytes. O(size). Raises TypeError."""
    if value is None:
        return b"n"
    if isinstance(value, Enum):
        return _sized(b"e", f"{type(value).__name__}.{value.name}".encode())
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return _sized(b"i", str(value).encode())
    if isinstance(value, float):
        return b"d" + struct.pack(">d", value)
    if isinstance(value, str):
        return _sized(b"s", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return _sized(b"b", value)
    if isinstance(value, (tuple, list)):
        return _joined(b"l", map(canonical, value))
    if isinstance(value, (frozenset, set)):
        return _joined(b"c", sorted(map(canonical, value)))
    if isinstance(value, Mapping):
        return _joined(b"m", sorted(canonical(pair) for pair in value.items()))
    if is_dataclass(value) and not isinstance(value, type):
        given = [each for each in fields(value) if not _is_default(each, getattr(value, each.name))]
        parts = [canonical((each.name, getattr(value, each.name))) for each in given]
        return _joined(b"r", [_sized(b"s", type(value).__name__.encode()), *parts])
    raise TypeError(f"a {type(value).__name__} is not plain data")


def _is_default(field: Field[object], value: object) -> bool:
    return field.default is not MISSING and type(value) is type(field.default) and value == field.default


def _sized(kind: bytes, content: bytes) -> bytes:
    return b"%s%d:%s" % (kind, len(content), content)


def _joined(kind: bytes, parts: Iterable[bytes]) -> bytes:
    parts = list(parts)
    return b"%s%d:%s" % (kind, len(parts), b"".join(parts))
