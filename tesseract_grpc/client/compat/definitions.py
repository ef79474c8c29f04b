"""Files of definitions: the tables and sessions of a program as JSON.

    {"tables": {"users": {"columns": [...]}},            or a list: [{"name": "users", "columns": [...]}]
     "sessions": {"adults": {"table": "users", ...}},    or a list: [{"id": "adults", "table": "users", ...}]
     "data": {"users": [{...}]}}                         rows for tables that are empty

A session may read what stands before it. A directory is all its .json files in the order of their names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .refusal import NotCarriedOver, read

if TYPE_CHECKING:
    from .session import Session

_WORDS = {"tables": "tables", "tesseracts": "tables", "sessions": "sessions", "data": "data"}


@dataclass(slots=True)
class Definitions:
    """What a file defines, by name."""

    tables: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Session] = field(default_factory=dict)
    """The sessions, once they are made."""


def definitions_of(source: Any) -> Definitions:
    """What a file, a directory of files, or an object that was read from one defines.

    Raises NotCarriedOver, with the place, for what is not of this form."""
    found = Definitions()
    if isinstance(source, Mapping):
        _take(found, source, "")
        return found
    path = Path(source)
    for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
        try:
            given = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            hint = "functions and comments are not JSON; write expressions"
            raise NotCarriedOver(f"not JSON: {error}", file.name, hint, "MALFORMED_REQUEST") from None
        _take(found, given, file.name)
    return found


def _take(found: Definitions, given: Any, field: str) -> None:
    words = read(given, _WORDS, {}, "a file of definitions", field)
    for kind, id, into in (("tables", "name", found.tables), ("sessions", "id", found.sessions)):
        for name, config in _named(words.get(kind, {}), id, f"{field}.{kind}" if field else kind):
            if name in into:
                where = f"{field}.{kind}.{name}"
                raise NotCarriedOver(f"{name!r} is defined twice", where, "keep one of them", "MALFORMED_REQUEST")
            into[name] = config
    data = words.get("data", {})
    if not isinstance(data, Mapping):
        raise NotCarriedOver("data is an object of lists of rows", f"{field}.data", "write {table: [rows]}")
    found.data.update(data)


def _named(given: Any, id: str, field: str) -> list[tuple[str, Any]]:
    """Definitions by name, from an object or a list."""
    if isinstance(given, Mapping):
        return [(str(name), config) for name, config in given.items()]
    named = []
    for at, config in enumerate(given):
        name = config.get(id, config.get("id")) if isinstance(config, Mapping) else None
        if not isinstance(name, str):
            raise NotCarriedOver(f"needs its {id}", f"{field}[{at}].{id}", f"write {id}: '..'", "MALFORMED_REQUEST")
        named.append((name, {word: value for word, value in config.items() if word not in (id, "id")}))
    return named
