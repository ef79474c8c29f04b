"""The words of the dicts that users write: one table of each kind, in snake_case or camelCase.

`{"primaryKey": True}` and `{"primary_key": True}` say the same. A word that a table does not have is refused with the
place where it stands, so that nothing is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import InvalidRequest, invalid

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake(word: str) -> str:
    """The word in snake_case."""
    return _HUMP.sub("_", word).lower()


def words_of(given: object, known: Mapping[str, str] | Iterable[str], what: str, field: str) -> dict[str, Any]:
    """The entries of a dict under the names that we use; `known` maps words to names, or is the names themselves."""
    if not isinstance(given, Mapping):
        raise malformed(f"{what} is a dict, not {given!r:.60}", field)
    names = known if isinstance(known, Mapping) else {name: name for name in known}
    found: dict[str, Any] = {}
    for word, value in given.items():
        name = names.get(snake(word)) if isinstance(word, str) else None
        if name is None:
            all_known = ", ".join(dict.fromkeys(names.values()))
            raise malformed(f"{word!r} is not a word of {what}; known are {all_known}", f"{field}.{word}")
        if name in found:
            raise malformed(f"{what} says {name} twice", f"{field}.{word}")
        found[name] = value
    return found


def text_of(words: Mapping[str, Any], word: str, field: str) -> str:
    """An optional text; empty when it is not there."""
    value = words.get(word)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed(f"{word} is a text, not {value!r:.60}", f"{field}.{word}")
    return value


def name_of(words: Mapping[str, Any], what: str, field: str) -> str:
    """The name that a thing must have."""
    value = words.get("name")
    if not isinstance(value, str) or not value:
        raise malformed(f"{what} needs a name", f"{field}.name")
    return value


def flag_of(value: object, field: str) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise malformed(f"needs True or False, not {value!r:.60}", field)
    return value


def list_of(value: object, what: str, field: str) -> list[Any]:
    """A list of anything; one text, dict or nothing is not one."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise malformed(f"{what} is a list, not {value!r:.60}", field)
    return list(value)


def texts_of(value: object, what: str, field: str) -> list[str]:
    """One name or a list of names."""
    found = [value] if isinstance(value, str) else list_of(value, what, field)
    for at, each in enumerate(found):
        if not isinstance(each, str):
            raise malformed(f"{what} is a list of names, not {each!r:.60}", f"{field}[{at}]")
    return found


def malformed(message: str, field: str) -> InvalidRequest:
    """The refusal of a dict that says nothing that can be asked."""
    return invalid("MALFORMED_REQUEST", message, field)
