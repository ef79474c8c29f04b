"""A vector: its file, and the parts that are messages."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from tesseract_grpc._proto.tesseract.v1 import value_pb2
from tesseract_grpc.testing import Mirror

DATA = Path(__file__).parent / "data"

Json = dict[str, Any]
M = TypeVar("M", bound=Message)


@dataclass
class Stream:
    """One watch call: what must be asked, what is answered, and how it ends."""

    request: Json
    responses: list[Json] = field(default_factory=list)
    end: Json = field(default_factory=dict)
    """{"code": .., "message": .., "details": [..]}: with this status. {"silence": true}: nothing more comes, and the
    client must give up by itself. {"client": true}: the client has found something wrong and leaves. {}: the client is
    content, the vector is over."""


@dataclass
class Vector:
    """What happens, what is said, what is expected."""

    name: str
    about: str
    shows: list[str]
    server: Json
    setup: list[Json]
    watch: Json
    steps: list[Json]
    streams: list[Stream] = field(default_factory=list)
    expect: Json = field(default_factory=dict)

    def text(self) -> str:
        """The content of its file."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @property
    def path(self) -> Path:
        """Its file."""
        return DATA / f"{self.name}.json"


def load(path: Path) -> Vector:
    """Reads a vector."""
    found = json.loads(path.read_text())
    return Vector(**{**found, "streams": [Stream(**stream) for stream in found["streams"]]})


def load_all() -> list[Vector]:
    """All vectors, by name."""
    return [load(path) for path in sorted(DATA.glob("*.json"))]


def plain(message: Message) -> Json:
    """A message as proto3 JSON, with the names of the protos."""
    found: Json = MessageToDict(message, preserving_proto_field_name=True)
    return found


def message(kind: type[M], found: Json) -> M:
    """A message out of proto3 JSON."""
    return ParseDict(found, kind())


_FIELDS: dict[int, str] = {
    value_pb2.DATA_TYPE_BOOL: "bool_value",
    value_pb2.DATA_TYPE_INT64: "int64_value",
    value_pb2.DATA_TYPE_FLOAT64: "float64_value",
    value_pb2.DATA_TYPE_TIMESTAMP: "timestamp_value",
    value_pb2.DATA_TYPE_STRING: "string_value",
    value_pb2.DATA_TYPE_JSON: "json_value",
    value_pb2.DATA_TYPE_ENUM: "string_value",
}


def shown(mirror: Mirror) -> Json:
    """What a client shows at a consistent point: each row is a list of Values in the order of the columns."""
    return {
        "version": str(mirror.version),
        "total_count": str(mirror.total_count),
        "columns": list(mirror.column_names),
        "key": list(mirror.key_names),
        "rows": [[_value(mirror.types[name], row[name]) for name in mirror.column_names] for row in mirror.rows],
    }


def _value(kind: int, value: Any) -> Json:
    return {} if value is None else plain(value_pb2.Value(**{_FIELDS[kind]: value}))
