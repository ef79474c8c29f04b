"""What a request is about, read off its fields by their names: the hub, the table, the session, the request id.

It is for records alone, so it judges nothing: what has not the form of a name is left out, for it may be anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tesseract_grpc.engine.data.schema import NAME_PATTERN
from tesseract_grpc.server.debug.record import MOST_ID
from tesseract_grpc.server.names import DEFAULT_HUB

_KINDS = {"tables": "table", "sessions": "session"}
_OF_SERVICE = {"table_service.proto": "table", "session_service.proto": "session"}
"""What a bare `name` names, by the file of the request."""


@dataclass(slots=True)
class Subject:
    """What a request names; empty where it names nothing."""

    hub: str = DEFAULT_HUB
    table: str = ""
    session: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the names stand in one kind of request."""

    names: tuple[tuple[str, str], ...]  # texts: the field, and what a bare name in it is
    nested: tuple[str, ...]  # messages that have names of their own
    first_of: tuple[str, ...]  # lists of such messages


def subject_of(request: Message) -> Subject:
    """What a request is about; the hub is empty where it is about the server. O(its fields), whatever they hold."""
    places = _places(request.DESCRIPTOR)
    found = Subject() if places.names or places.nested or places.first_of else Subject(hub="")
    _read(request, found, 0)
    return found


def _read(message: Any, found: Subject, depth: int) -> None:
    places = _places(message.DESCRIPTOR)
    for field, kind in places.names:
        text = getattr(message, field)
        if text and kind == "request_id":
            found.request_id = found.request_id or text[:MOST_ID]
        elif text:
            _take(text, kind, found)
    if depth == 2:
        return
    for field in places.nested:
        if message.HasField(field):
            _read(getattr(message, field), found, depth + 1)
    for field in places.first_of:
        parts = getattr(message, field)
        if parts:
            _read(parts[0], found, depth + 1)


def _take(text: str, kind: str, found: Subject) -> None:
    parts = text.split("/") if len(text) <= 400 else ["?"]
    for part in parts:
        if not NAME_PATTERN.match(part):
            return
    if parts[0] == "hubs" and len(parts) in (2, 4):
        found.hub = parts[1]
        kind = _KINDS.get(parts[2], "") if len(parts) == 4 else ""
    elif len(parts) != 1:
        return
    elif kind == "hub":
        found.hub = parts[0]
    if kind in ("table", "session") and not getattr(found, kind):
        setattr(found, kind, parts[-1])


@cache
def _places(descriptor: Descriptor) -> _Places:
    bare = {
        "parent": "hub",
        "table": "table",
        "other": "table",
        "table_id": "table",
        "session": "session",
        "session_id": "session",
        "request_id": "request_id",
        "name": _OF_SERVICE.get(descriptor.file.name.rpartition("/")[2], "hub"),
    }
    if descriptor.name in ("Table", "Session"):
        bare["name"] = descriptor.name.lower()
    names, nested, first_of = [], [], []
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated and field.name in bare:
            names.append((field.name, bare[field.name]))
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.name in ("table", "session", "query", "write"):
            nested.append(field.name)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.name in ("operations", "sessions"):
            first_of.append(field.name)
    return _Places(tuple(names), tuple(nested), tuple(first_of))
