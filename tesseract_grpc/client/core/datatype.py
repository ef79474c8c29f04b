"""The types of columns under the names that users write.

The wire has one enum. Users write its names in lower case, or the names of the JavaScript ancestor, which has fewer
types: its "number" is a double, its "date" a timestamp and its "object" a JSON document.
"""

from __future__ import annotations

from typing import TypeAlias

from tesseract_grpc._proto.tesseract.v1 import value_pb2

from .errors import invalid

DataType: TypeAlias = value_pb2.DataType.ValueType

BOOL = value_pb2.DATA_TYPE_BOOL
INT64 = value_pb2.DATA_TYPE_INT64
FLOAT64 = value_pb2.DATA_TYPE_FLOAT64
TIMESTAMP = value_pb2.DATA_TYPE_TIMESTAMP
STRING = value_pb2.DATA_TYPE_STRING
JSON = value_pb2.DATA_TYPE_JSON
ENUM = value_pb2.DATA_TYPE_ENUM
UNSPECIFIED = value_pb2.DATA_TYPE_UNSPECIFIED

TEXT_TYPES = frozenset({STRING, JSON, ENUM})
"""The types whose values travel as texts."""

_NAMES: dict[str, DataType] = {
    "bool": BOOL,
    "int64": INT64,
    "float64": FLOAT64,
    "timestamp": TIMESTAMP,
    "string": STRING,
    "json": JSON,
    "enum": ENUM,
}

_ALIASES: dict[str, DataType] = {
    "boolean": BOOL,
    "int": INT64,
    "integer": INT64,
    "float": FLOAT64,
    "double": FLOAT64,
    "number": FLOAT64,
    "date": TIMESTAMP,
    "datetime": TIMESTAMP,
    "str": STRING,
    "text": STRING,
    "object": JSON,
}

_BY_TYPE = {number: name for name, number in _NAMES.items()}


def type_of_name(name: object, field: str) -> DataType:
    """The type that a user's word means; `field` is where it stands, for the error."""
    known = _NAMES | _ALIASES
    found = known.get(name.lower()) if isinstance(name, str) else None
    if found is None:
        raise invalid("BAD_SCHEMA", f"unknown type {name!r}; known are {', '.join(sorted(known))}", field)
    return found


def name_of_type(number: DataType) -> str:
    """The word for a type; a type that this client does not know yet has a made-up one."""
    return _BY_TYPE.get(number, "unspecified" if number == UNSPECIFIED else f"type{number}")
