"""Resource names: `hubs/{hub}/tables/{table}` and `hubs/{hub}/sessions/{session}`, from ids and back."""

from __future__ import annotations


def hub_name(hub: str) -> str:
    """The resource name of a hub."""
    return f"hubs/{hub}"


def table_name(hub: str, table: str) -> str:
    """The resource name of a table; a full name stays as it is."""
    return table if "/" in table else f"hubs/{hub}/tables/{table}"


def session_name(hub: str, session: str) -> str:
    """The resource name of a session; a full name stays as it is."""
    return session if "/" in session else f"hubs/{hub}/sessions/{session}"


def id_of(name: str) -> str:
    """The last part of a resource name: the id that the user chose."""
    return name.rpartition("/")[2]
