"""Alterations of a table as words on a command line: one argument each, applied in their order.

    add COLUMN TYPE [required] [= EXPRESSION]     type COLUMN TYPE [= EXPRESSION]     rename COLUMN NAME
    drop COLUMN     key COLUMN ...     index COLUMN [hash|sorted]     unindex COLUMN

An expression works out the value that the rows get which are there. What these words cannot say (defaults, enums, names
with blanks in them) is said in a file of alterations, as the Python client takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tesseract_grpc.cli.errors import BadArgument
from tesseract_grpc.client import Alterations, InvalidRequest

FORMS = {
    "add": "add COLUMN TYPE [required] [= EXPRESSION]",
    "type": "type COLUMN TYPE [= EXPRESSION]",
    "rename": "rename COLUMN NAME",
    "drop": "drop COLUMN",
    "key": "key COLUMN ...",
    "index": "index COLUMN [hash|sorted]",
    "unindex": "unindex COLUMN",
}


def alterations_of(texts: Sequence[str]) -> Alterations:
    """The alterations that the arguments say."""
    found = Alterations()
    for text in texts:
        said, equals, expression = text.partition("=")
        verb, *words = said.split() or [""]
        read = _READERS.get(verb)
        if read is None:
            raise BadArgument(f"cannot read {text!r}", field="ALTERATION", hint="; ".join(FORMS.values()))
        if (equals and verb not in ("add", "type")) or not read(found, words, expression.strip() or None):
            raise BadArgument(f"cannot read {text!r}", field="ALTERATION", hint=f"write {FORMS[verb]}")
    return found


def _add(into: Alterations, words: list[str], expression: str | None) -> bool:
    if len(words) == 3 and words[2] == "required":
        into.add_column(words[0], words[1], backfill=expression, required=True)
    elif len(words) == 2:
        into.add_column(words[0], words[1], backfill=expression)
    else:
        return False
    return True


def _type(into: Alterations, words: list[str], expression: str | None) -> bool:
    if len(words) == 2:
        into.change_column(words[0], type=words[1], using=expression)
    return len(words) == 2


def _rename(into: Alterations, words: list[str], _: str | None) -> bool:
    if len(words) == 2:
        into.rename_column(words[0], words[1])
    return len(words) == 2


def _drop(into: Alterations, words: list[str], _: str | None) -> bool:
    if len(words) == 1:
        into.drop_column(words[0])
    return len(words) == 1


def _key(into: Alterations, words: list[str], _: str | None) -> bool:
    if words:
        into.set_key(*words)
    return bool(words)


def _index(into: Alterations, words: list[str], _: str | None) -> bool:
    try:
        into.add_index(words[0], words[1] if len(words) == 2 else True)
    except (IndexError, InvalidRequest):
        return False
    return len(words) in (1, 2)


def _unindex(into: Alterations, words: list[str], _: str | None) -> bool:
    if len(words) == 1:
        into.drop_index(words[0])
    return len(words) == 1


_READERS: dict[str, Callable[[Alterations, list[str], str | None], bool]] = {
    "add": _add,
    "type": _type,
    "rename": _rename,
    "drop": _drop,
    "key": _key,
    "index": _index,
    "unindex": _unindex,
}
