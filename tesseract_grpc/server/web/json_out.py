"""Messages to JSON, as proto3 has it: 64-bit numbers as texts, NaN and infinities as texts, bytes in base64.

protobuf's own printer takes ten times as long for columns of numbers and texts, which is what results are made of, and
it would hold all other calls up for as long. This one prints a column in one go, and a large message in parts between
which others run. The two are compared in the tests.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from json.encoder import encode_basestring as quoted
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tesseract_grpc.server.web.turns import in_turns

LONG = 65_536
"""Bytes of a message from which it is printed in parts."""

SLICE = 4_096
"""The most values that are printed in one go."""

_Kind = FieldDescriptor
_TEXTUAL = {_Kind.TYPE_INT64, _Kind.TYPE_UINT64, _Kind.TYPE_SINT64, _Kind.TYPE_FIXED64, _Kind.TYPE_SFIXED64}
_NUMBERS = {_Kind.TYPE_INT32, _Kind.TYPE_UINT32, _Kind.TYPE_SINT32, _Kind.TYPE_FIXED32, _Kind.TYPE_SFIXED32}

Print = Callable[[Any], str]


async def to_json(data: bytes, message_class: Any) -> bytes:
    """The JSON of a message's bytes, on one line."""
    message = message_class.FromString(data)
    if len(data) < LONG:
        return _message(message).encode()
    return "".join(await in_turns(_parts(message))).encode()


def _message(message: Message) -> str:
    if message.DESCRIPTOR.full_name.startswith("google.protobuf."):  # times and the like have forms of their own
        return json.dumps(json_format.MessageToDict(message), separators=(",", ":"), ensure_ascii=False)
    printers = _printers(message.DESCRIPTOR)
    return "{" + ",".join([name + show(value) for (name, show), value in _fields(message, printers)]) + "}"


def _fields(message: Message, printers: dict[int, tuple[str, Print]]) -> Iterator[tuple[tuple[str, Print], Any]]:
    return ((printers[field.number], value) for field, value in message.ListFields())


def _parts(message: Message) -> Iterator[str]:
    """The same text in parts."""
    if message.ByteSize() < LONG or message.DESCRIPTOR.full_name.startswith("google.protobuf."):
        yield _message(message)
        return
    printers, mark = _printers(message.DESCRIPTOR), "{"
    for field, value in message.ListFields():
        name, show = printers[field.number]
        yield mark + name
        mark = ","
        if field.is_repeated and not _is_map(field):
            yield from _list_parts(field, value, show)
        elif field.type == _Kind.TYPE_MESSAGE and not field.is_repeated:
            yield from _parts(value)
        else:
            yield show(value)
    yield "{}" if mark == "{" else "}"


def _list_parts(field: FieldDescriptor, values: Sequence[Any], show: Print) -> Iterator[str]:
    mark = "["
    if field.type == _Kind.TYPE_MESSAGE:
        for value in values:
            yield mark
            yield from _parts(value)
            mark = ","
    else:
        for begin in range(0, len(values), SLICE):
            yield mark + show(values[begin : begin + SLICE])[1:-1]
            mark = ","
    yield "]"


@cache
def _printers(descriptor: Descriptor) -> dict[int, tuple[str, Print]]:
    """How each field is printed, by its number: its name with a colon, and what prints its value."""
    return {field.number: (quoted(field.json_name) + ":", _printer(field)) for field in descriptor.fields}


def _printer(field: FieldDescriptor) -> Print:
    if _is_map(field):
        assert field.message_type is not None
        show = _single(field.message_type.fields_by_name["value"])
        return lambda value: "{" + ",".join([f"{_key(key)}:{show(found)}" for key, found in value.items()]) + "}"
    return _list(field) if field.is_repeated else _single(field)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _key(key: Any) -> str:
    return f'"{str(key).lower()}"' if isinstance(key, bool | int) else quoted(key)


def _single(field: FieldDescriptor) -> Print:
    match field.type:
        case _Kind.TYPE_MESSAGE:
            return _message
        case _Kind.TYPE_STRING:
            return quoted
        case _Kind.TYPE_BOOL:
            return _bool
        case _Kind.TYPE_BYTES:
            return lambda value: f'"{base64.b64encode(value).decode()}"'
        case _Kind.TYPE_ENUM:
            assert field.enum_type is not None
            names = {number: quoted(value.name) for number, value in field.enum_type.values_by_number.items()}
            return lambda value: names.get(value) or str(value)
        case kind if kind in _TEXTUAL:
            return lambda value: f'"{value}"'
        case kind if kind in _NUMBERS:
            return str
        case _Kind.TYPE_DOUBLE:
            return _double
        case _:
            raise NotImplementedError(f"{field.full_name} is of a type that the protos do not have")


def _list(field: FieldDescriptor) -> Print:
    show = _single(field)
    if field.type in _TEXTUAL:
        return lambda values: '["' + '","'.join(map(str, values)) + '"]'
    return lambda values: "[" + ",".join(map(show, values)) + "]"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _double(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'
