"""What a query reads: the tables and sessions that it names, and the same query with other names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ..core.names import id_of, session_name, table_name

Name = tuple[str, str]
"""A kind, "table" or "session", and an id."""

_NAMED: Mapping[str, tuple[str, ...]] = {
    "tesseract.v1.Query": ("table",),
    "tesseract.v1.Source": ("table", "session"),
}
"""The fields that hold names, by message."""


def names_in(message: Message) -> set[Name]:
    """The tables and sessions that a definition reads. O(its parts)."""
    found: set[Name] = set()
    _visit(message, lambda part, field: found.add((field, id_of(getattr(part, field)))))
    return found


def rename(message: Message, hub: str, tables: Mapping[str, str], sessions: Mapping[str, str]) -> None:
    """Makes a definition read from `hub`, under other names where there are any. O(its parts)."""

    def change(part: Message, field: str) -> None:
        name = id_of(getattr(part, field))
        if field == "table":
            setattr(part, field, table_name(hub, tables.get(name, name)))
        else:
            setattr(part, field, session_name(hub, sessions.get(name, name)))

    _visit(message, change)


def _visit(message: Message, visit: Callable[[Message, str], object]) -> None:
    """Calls `visit` with every part that names something, and the field that does."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for part in _parts(field, value):
                _visit(part, visit)
        elif field.name in _NAMED.get(message.DESCRIPTOR.full_name, ()):
            visit(message, field.name)


def _parts(field: FieldDescriptor, value: object) -> Iterator[Message]:
    """The messages in a field."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if kind.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
            yield from value.values()  # type: ignore[attr-defined]  # it is a map
    elif isinstance(value, Message):
        yield value
    else:
        yield from value  # type: ignore[misc]  # it is repeated
