"""Resource names: `hubs/{hub}`, `hubs/{hub}/tables/{table}`, `hubs/{hub}/sessions/{session}`.

A bare id means the hub `default`, and so does an empty parent. What is parsed here has the right form; whether it
exists is for the caller to find out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import Reason
from tesseract_grpc.engine.data.schema import NAME_PATTERN
from tesseract_grpc.server.errors import Refusal, invalid

DEFAULT_HUB = "default"


@dataclass(frozen=True, slots=True)
class ResourceName:
    """A table or session of a hub."""

    hub: str
    id: str


def hub_id(text: str, field: str) -> str:
    """The id in `hubs/{hub}`, in a bare id, or in an empty text."""
    if not text:
        return DEFAULT_HUB
    return _id(text.removeprefix("hubs/"), text, "hub", "hubs/{hub}", field)


def table_name(text: str, field: str) -> ResourceName:
    """The parts of the name of a table."""
    return _parse(text, "tables", "table", field)


def session_name(text: str, field: str) -> ResourceName:
    """The parts of the name of a session."""
    return _parse(text, "sessions", "session", field)


def table_in(text: str, hub: str, field: str) -> str:
    """The id of a table that must be in `hub`: a bare id is read as one of that hub."""
    if "/" not in text:
        return table_name(text, field).id
    name = table_name(text, field)
    if name.hub != hub:
        raise invalid(f"table '{text[:200]}' is not in hubs/{hub}: one request, one hub", field, Reason.BAD_NAME)
    return name.id


def session_in(text: str, hub: str, field: str) -> str:
    """The id of a session that must be in `hub`: a bare id is read as one of that hub."""
    if "/" not in text:
        return session_name(text, field).id
    name = session_name(text, field)
    if name.hub != hub:
        raise invalid(f"session '{text[:200]}' is not in hubs/{hub}: one request, one hub", field, Reason.BAD_NAME)
    return name.id


def of_hub(hub: str) -> str:
    """The resource name of a hub."""
    return f"hubs/{hub}"


def of_table(hub: str, table: str) -> str:
    """The resource name of a table."""
    return f"hubs/{hub}/tables/{table}"


def of_session(hub: str, session: str) -> str:
    """The resource name of a session."""
    return f"hubs/{hub}/sessions/{session}"


def _parse(text: str, collection: str, what: str, field: str) -> ResourceName:
    form = f"hubs/{{hub}}/{collection}/{{{what}}}"
    if not text:
        raise invalid(f"the name of the {what} is missing: give {form} or a bare id", field, Reason.BAD_NAME)
    if "/" not in text:
        return ResourceName(DEFAULT_HUB, _id(text, text, what, form, field))
    match text.split("/"):
        case ["hubs", hub, found, name] if found == collection:
            return ResourceName(_id(hub, text, what, form, field), _id(name, text, what, form, field))
    raise _bad(text, what, form, field)


def _id(id: str, text: str, what: str, form: str, field: str) -> str:
    if not NAME_PATTERN.match(id):
        raise _bad(text, what, form, field)
    return id


def _bad(text: str, what: str, form: str, field: str) -> Refusal:
    return invalid(
        f"'{text[:200]}' does not name a {what}: give {form} or a bare id; an id is 1 to 128 characters of "
        "[A-Za-z0-9_.-], starting with a letter or '_'",
        field,
        Reason.BAD_NAME,
    )
