"""The digest of a window as docs/GUARANTEES.md defines it, written to be read beside the definition.

A client in any language can do the same with SHA-256 and nothing else. `validate_digest` compares every digest of a
recorded stream with the mirror that the stream makes.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.testing.mirror import Mirror, Response
from tesseract_grpc.testing.rows import Row
from tesseract_grpc.testing.violation import ContractViolation

FORMAT = b"tesseract.digest.1\n"


def digest_of(types: Mapping[str, int], rows: Sequence[Row]) -> bytes:
    """The digest of rows in order. `types` has the DataType of each column, in the order of the columns."""
    content = [FORMAT, struct.pack("<II", len(rows), len(types))]
    for name, kind in types.items():
        text = name.encode("utf-8")
        content += [struct.pack("<I", len(text)), text, bytes([kind])]
        values = [row[name] for row in rows]
        content.append(bytes(value is not None for value in values))
        content += _values(kind, values)
    return hashlib.sha256(b"".join(content)).digest()


def _values(kind: int, values: Sequence[Any]) -> list[bytes]:
    if kind == value_pb2.DATA_TYPE_BOOL:
        return [bytes(value is True for value in values)]
    if kind in (value_pb2.DATA_TYPE_INT64, value_pb2.DATA_TYPE_TIMESTAMP):
        return [struct.pack("<q", value or 0) for value in values]
    if kind == value_pb2.DATA_TYPE_FLOAT64:
        return [_double(0.0 if value is None else value) for value in values]
    texts = [b"" if value is None else value.encode("utf-8") for value in values]
    return [struct.pack("<I", len(text)) for text in texts] + texts


def _double(value: float) -> bytes:
    if math.isnan(value):
        return struct.pack("<Q", 0x7FF8_0000_0000_0000)
    return struct.pack("<d", 0.0 if value == 0 else value)


def validate_digest(responses: Sequence[Response]) -> None:
    """Every digest of a Progress is that of the mirror at its version."""
    mirror = Mirror()
    for index, response in enumerate(responses):
        consistent = mirror.apply(response)
        if response.WhichOneof("event") != "progress" or not response.progress.digest:
            continue
        if not consistent or not mirror.anchored:
            raise ContractViolation("5 (convergent)", index, "a digest where there is nothing to be held")
        if response.progress.digest != digest_of(mirror.types, mirror.rows):
            raise ContractViolation("5 (convergent)", index, f"the digest at {response.to_version} is of other rows")
