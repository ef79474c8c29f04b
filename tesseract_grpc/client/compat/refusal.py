"""What cannot be carried over: one exception, which says what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from ..core.errors import InvalidRequest
from ..core.words import snake


class NotCarriedOver(InvalidRequest):
    """Something of a configuration that has no meaning here: a JavaScript function, an option of the process that the
    ancestor ran in, or a word that nobody knows. `.field` is where it stands, `.hint` what to write instead."""

    def __init__(self, message: str, field: str, hint: str, reason: str = "NOT_CARRIED_OVER") -> None:
        super().__init__(
            f"{field}: {message}",
            reason=reason,
            field=field,
            metadata={"hint": hint},
            code=grpc.StatusCode.INVALID_ARGUMENT,
        )

    def __str__(self) -> str:
        return f"{super().__str__()}; {self.hint}"

    @property
    def hint(self) -> str:
        """What to write instead."""
        return self.metadata["hint"]


def read(given: object, known: Mapping[str, str], refused: Mapping[str, str], what: str, field: str) -> dict[str, Any]:
    """The entries of a configuration under the names that we use.

    `known` maps words in snake_case to names; `refused` has words of the ancestor that mean nothing here, and what to
    do instead: they are passed over where they say nothing (false, null). Everything else is refused with the nearest
    known word, and nothing is silently left out."""
    if not isinstance(given, Mapping):
        raise NotCarriedOver(f"{what} is an object, not {given!r:.60}", field, "write a dict", "MALFORMED_REQUEST")
    found: dict[str, Any] = {}
    for word, value in given.items():
        spelled = snake(str(word))
        where = f"{field}.{word}" if field else str(word)
        if spelled in known:
            name = known[spelled]
            if name in found:
                raise NotCarriedOver(f"{what} says {name} twice", where, "leave one of them out", "MALFORMED_REQUEST")
            found[name] = value
        elif spelled not in refused:
            raise unknown_word(str(word), [*known, *refused], what, where)
        elif value is not None and value is not False:
            raise NotCarriedOver(f"{word} of {what} is not carried over", where, refused[spelled])
    return found


def unknown_word(word: str, known: Iterable[str], what: str, field: str) -> NotCarriedOver:
    """The refusal of a word that nobody knows, with the nearest that somebody does."""
    known = list(dict.fromkeys(known))
    near = difflib.get_close_matches(snake(word), known, n=1, cutoff=0.6)
    hint = f"did you mean {camel(near[0])}?" if near else f"known are {', '.join(map(camel, known))}"
    return NotCarriedOver(f"{word!r} is not a word of {what}", field, hint, "MALFORMED_REQUEST")


def camel(word: str) -> str:
    """The word in camelCase, as the ancestor writes it."""
    first, *others = word.split("_")
    return first + "".join(other.capitalize() for other in others)
