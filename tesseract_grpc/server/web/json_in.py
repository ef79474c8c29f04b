"""Messages from JSON, as proto3 has it.

protobuf's own parser takes a list value by value. Long lists of plain values, which is what rows are made of, are taken
out before it sees them, and put into the message as a whole. A list that is not plain (mixed types, numbers that are
not, NaN) is left to it, and so is everything that is wrong, for it says what.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.server.errors import Refusal
from tesseract_grpc.server.web.turns import in_turns

MOST_BYTES = 4_194_304
"""The longest request in JSON: reading it holds up all other calls, some 15 ms for each MB. Larger ones are binary."""

LONG = 64
"""The length from which a list is worth it."""

Path = tuple[str | int, ...]

_NUMBERS = re.compile(r"-?[0-9]{1,20}(?: -?[0-9]{1,20})*")


async def from_json(text: bytes, message_class: Any) -> bytes:
    """The protobuf bytes of a message in JSON. Raises Refusal."""
    name = message_class.DESCRIPTOR.full_name
    if not text.strip():
        raise Refusal(
            Reason.MALFORMED_REQUEST,
            f"the body is empty where JSON of a {name} is expected; a request without fields is {{}}",
        )
    try:
        tree = json.loads(text.decode(), object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
        return await _filled(tree, message_class)
    except UnicodeDecodeError:
        raise Refusal(Reason.MALFORMED_REQUEST, "the JSON is not UTF-8") from None
    except Exception as error:  # whatever a text makes of a parser: the text is to blame, for nothing else was given
        raise Refusal(Reason.MALFORMED_REQUEST, f"the JSON is not a {name}: {_why(error)}") from None


def _why(error: Exception) -> str:
    match error:
        case RecursionError():
            return "it is nested too deep"
        case UnicodeError() | SystemError():
            return "it has half of a surrogate pair, which is no text"
    return " ".join(str(error).split()).encode(errors="replace").decode()


async def _filled(tree: Any, message_class: Any) -> bytes:
    taken: list[tuple[Path, str, Sequence[Any]]] = []
    if not isinstance(tree, dict):
        raise ValueError("an object is expected")
    await in_turns(_take_out(tree, message_class.DESCRIPTOR, (), taken))
    message: Message = json_format.ParseDict(tree, message_class())
    await in_turns(_put_in(message, taken))
    found: bytes = message.SerializeToString()
    return found


def _take_out(
    tree: dict[str, Any], descriptor: Descriptor, path: Path, taken: list[tuple[Path, str, Sequence[Any]]]
) -> Iterator[None]:
    """Takes plain long lists out of a tree; one step for each that was looked at."""
    for name, field in _fields(descriptor):
        value = tree.get(name)
        if isinstance(value, list) and len(value) >= LONG and field.is_repeated and field.message_type is None:
            plain = _PLAIN.get(field.type)
            if plain is not None and (values := plain(value)) is not None:
                del tree[name]
                taken.append((path, field.name, values))
            yield
        elif isinstance(value, dict) and field.message_type is not None and not field.is_repeated:
            yield from _take_out(value, field.message_type, (*path, field.name), taken)
        elif isinstance(value, list) and field.message_type is not None:
            for at, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _take_out(item, field.message_type, (*path, field.name, at), taken)


def _fields(descriptor: Descriptor) -> Iterator[tuple[str, FieldDescriptor]]:
    """The fields by each of the names that they have in JSON."""
    for field in descriptor.fields:
        yield field.json_name, field
        if field.json_name != field.name:
            yield field.name, field


def _put_in(message: Any, taken: list[tuple[Path, str, Sequence[Any]]]) -> Iterator[None]:
    """Puts the lists where they belong; one step for each."""
    for path, name, values in taken:
        place = message
        for step in path:
            place = place[step] if isinstance(step, int) else getattr(place, step)
        getattr(place, name).extend(values)
        yield


def _integers(values: list[Any]) -> list[int] | None:
    kinds = set(map(type, values))
    if kinds == {int}:
        return values
    if kinds == {str} and _NUMBERS.fullmatch(" ".join(values)):
        return list(map(int, values))
    return None


def _doubles(values: list[Any]) -> list[Any] | None:
    return values if set(map(type, values)) <= {int, float} and all(map(math.isfinite, values)) else None


def _of(kind: type) -> Callable[[list[Any]], list[Any] | None]:
    return lambda values: values if set(map(type, values)) == {kind} else None


_Kind = FieldDescriptor
_PLAIN: Mapping[int, Callable[[list[Any]], list[Any] | None]] = {
    _Kind.TYPE_SFIXED64: _integers,
    _Kind.TYPE_FIXED32: _integers,
    _Kind.TYPE_UINT32: _integers,
    _Kind.TYPE_DOUBLE: _doubles,
    _Kind.TYPE_STRING: _of(str),
    _Kind.TYPE_BOOL: _of(bool),
}
"""What makes a plain list of a type out of one; None where it is not plain."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f'{name} is no JSON: write "{name}"')
