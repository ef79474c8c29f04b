"""The text of an expression after columns that it names were given other names.

Only the names are exchanged: what else stands there, spaces and quotes included, is as it was written. What is no word
of the language is written as `row['name']`, which can stand wherever a name can.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from tesseract_grpc.engine.query.expression import syntax
from tesseract_grpc.engine.query.expression.parse import parse, parse_template

Names = Mapping[str, str | None]
"""What columns are called now; None for those that are gone. Others keep their names."""

_WORDS = frozenset(
    ("true", "false", "null", "new", "NaN", "Infinity", "undefined", "in", "not", "like", "between", "and")
)
_WORDS_OF_VALUE = frozenset(("NaN", "Infinity", "undefined"))
_NAME = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_IN_QUOTES = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
_Place = tuple[int, int]


class ColumnGone(Exception):
    """What is asked names a column that is gone."""

    def __init__(self, column: str) -> None:
        super().__init__(f"it asks for the column '{column}', which is gone")
        self.column = column


def new_name(name: str, names: Names) -> str:
    """What a column is called now. Raises ColumnGone."""
    found = names.get(name, name)
    if found is None:
        raise ColumnGone(name)
    return found


def renamed_text(text: str, names: Names, field: str = "", *, template: bool = False) -> str:
    """The expression with columns under their new names. O(text). Raises ColumnGone, BadExpression, LimitExceeded.

    >>> renamed_text("price * row.count + tags.filter(price => price).length", {"price": "cost", "count": "number of"})
    "cost * row['number of'] + tags.filter(price => price).length"
    """
    if not names or not text:
        return text
    root = parse_template(text, field) if template else parse(text, field)
    found = sorted(set(_mentions(root, frozenset(), names)), reverse=True)
    if not found:
        return text
    starts = [0]
    for line in text.split("\n")[:-1]:
        starts.append(starts[-1] + len(line) + 1)
    for (row, column), old, kind in found:
        start = starts[row - 1] + column - 1
        text = _replaced(text, start, old, new_name(old, names), kind)
    return text


def columns_mentioned(text: str, known: Collection[str], field: str = "", *, template: bool = False) -> frozenset[str]:
    """Which of the columns an expression names. O(text). Raises BadExpression, LimitExceeded."""
    root = parse_template(text, field) if template else parse(text, field)
    return frozenset(old for _, old, _ in _mentions(root, frozenset(), dict.fromkeys(known)))


def _mentions(node: syntax.Node, hidden: frozenset[str], names: Names) -> Iterator[tuple[_Place, str, str]]:
    """Where columns of `names` stand: the place, the column, and how it is written."""
    match node:
        case syntax.Name(line=line, column=column, name=name):
            if name in names and name not in hidden and name not in _WORDS_OF_VALUE:
                yield (line, column), name, "name"
            return
        case syntax.Member(target=syntax.Name(name="row"), name=name, line=line, column=column) if "row" not in hidden:
            if "row" not in names:
                if name in names:
                    yield (line, column), name, "member"
                return
        case syntax.Index(target=syntax.Name(name="row"), place=syntax.Literal(value=str(name)) as place):
            if "row" not in hidden:
                if name in names:
                    yield (place.line, place.column), name, "quoted"
                return
        case syntax.Function(parameters=parameters):
            hidden = hidden | frozenset(parameters)
    for below in syntax.children(node):
        yield from _mentions(below, hidden, names)


def _replaced(text: str, start: int, old: str, new: str, kind: str) -> str:
    """The text with one mention that begins at `start` exchanged."""
    if kind == "quoted":
        match = _IN_QUOTES.match(text, start)
        assert match is not None, "a quoted name begins with a quote"
        return text[:start] + _quoted(new, match[0][0]) + text[match.end() :]
    stop = start + len(old)
    assert text[start:stop] == old, "a name stands where the parser has found it"
    plain = _NAME.fullmatch(new) is not None and new not in _WORDS
    if kind == "name":
        return text[:start] + (new if plain else f"row[{_quoted(new)}]") + text[stop:]
    if plain:
        return text[:start] + new + text[stop:]
    dot = text.rindex(".", 0, start)
    return text[: dot - (text[dot - 1] == "?")] + f"[{_quoted(new)}]" + text[stop:]


def _quoted(name: str, quote: str = "'") -> str:
    escaped = name.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    return f"{quote}{escaped}{quote}"
