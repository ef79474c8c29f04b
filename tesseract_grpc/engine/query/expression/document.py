"""JSON documents as Python values: read, written, compared.

A document is read with the numbers that it has: whole numbers are exact, of any size, and others are doubles. What
was read is never changed, because many share it. A document with more than `MAX_LEVELS` levels is not read, and one
that would become too long or too deep is not written: null both times. So no document can exhaust the stack, and a
value that holds itself many times over (`reduce((a, b) => [a, a])`) costs no more than what is written of it.
"""

from __future__ import annotations

import functools
import json
import re
from json.encoder import encode_basestring
from typing import Any

from tesseract_grpc.engine.data.documents import levels_exceed
from tesseract_grpc.engine.query.expression.scalar_text import MAX_TEXT, number_text
from tesseract_grpc.engine.query.expression.typed import Constant, Type

Document = Any
"""None, a bool, an int, a float, a str, a list or a dict."""

MAX_LEVELS = 100
"""The most levels of arrays and objects of a document that is read."""

MAX_WRITTEN_LEVELS = 200
"""The most levels of a document that is written: functions may wrap what was read."""

MAX_COMPARED = 20_000
"""The most parts of two documents that one comparison looks at."""

_SHORT = 4_096
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_document(text: str) -> Document:
    """The document that a text stands for; null when it stands for none."""
    return _read_short(text) if len(text) <= _SHORT else _read_long(text)


def _read(text: str) -> Document:
    if levels_exceed(text, MAX_LEVELS):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _whole_characters(value) if _HALF.search(text) else value


# One change of a row is looked at by many expressions, and mostly its document is a short one.
_read_short = functools.lru_cache(maxsize=512)(_read)
# Expressions read a document in each place where they name it, and rows with the same one are looked at together.
_read_long = functools.lru_cache(maxsize=2)(_read)


def _whole_characters(value: Document) -> Document:
    """The document with halves of characters, which JSON can write and no text can hold, replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {str(_whole_characters(key)): _whole_characters(item) for key, item in value.items()}
    return value


def document_text(value: Document) -> str | None:
    """A document as JSON without spaces; what is no number is null.

    Null when it is too long or too deep.

    >>> document_text([1.0, {"a": None}, "x", float("nan")])
    '[1,{"a":null},"x",null]'
    """
    writer = _Writer()
    return "".join(writer.parts) if writer.write(value, 0) else None


class _Writer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0

    def add(self, text: str) -> bool:
        self.parts.append(text)
        self.length += len(text)
        return self.length <= MAX_TEXT

    def write(self, value: Document, level: int) -> bool:
        """Writes a value; False when there is no more room."""
        if isinstance(value, str):
            return self.add(encode_basestring(value))
        if value is None:
            return self.add("null")
        if isinstance(value, bool):
            return self.add("true" if value else "false")
        if isinstance(value, int | float):
            return self.add(_number(value))
        if level >= MAX_WRITTEN_LEVELS:
            return False
        if isinstance(value, list):
            for place, item in enumerate(value):
                if not (self.add("," if place else "[") and self.write(item, level + 1)):
                    return False
            return self.add("]" if value else "[]")
        for place, (key, item) in enumerate(value.items()):
            head = f"{',' if place else '{'}{encode_basestring(key)}:"
            if not (self.add(head) and self.write(item, level + 1)):
                return False
        return self.add("}" if value else "{}")


def _number(value: float) -> str:
    """A number such that reading it gives the same number."""
    if value - value != 0:
        return "null"
    return str(int(value)) if abs(value) < 1e21 and value == int(value) else number_text(value)


def text_of(value: Document) -> str | None:
    """`String(x)`: a text as it is, other values as JSON."""
    if isinstance(value, str):
        return value
    return document_text(value) if isinstance(value, list | dict | bool) else number_text(value)


def kind(value: Document) -> type:
    """What values can be compared with each other: those of one kind."""
    found = type(value)
    return int if found is float else found


def equal(left: Document, right: Document) -> bool | None:
    """Whether two documents are the same, deeply; null when that would take too long to find out."""
    return Comparison().equal(left, right)


class Comparison:
    """One or more comparisons that together look at no more than `MAX_COMPARED` parts; what would is null."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_COMPARED

    def equal(self, left: Document, right: Document) -> bool | None:
        """Whether two documents are the same, deeply."""
        pairs = [(left, right)]
        while pairs:
            one, other = pairs.pop()
            if one is other:
                continue
            if kind(one) is not kind(other):
                return False
            if isinstance(one, list):
                if len(one) != len(other):
                    return False
                pairs.extend(zip(one, other, strict=True))
            elif isinstance(one, dict):
                if one.keys() != other.keys():
                    return False
                pairs.extend((item, other[key]) for key, item in one.items())
            elif one != other and (one == one or other == other):
                return False
            self.left -= 1
            if self.left < len(pairs):
                return None
        return True


def size(value: Document, most: int) -> int:
    """How much there is to look at in a value: its parts, or the length of a text. More than `most` is not counted."""
    if isinstance(value, str):
        return len(value) >> 8
    if not isinstance(value, list | dict):
        return 0
    count, left = 0, [value]
    while left and count <= most:
        each = left.pop()
        count += 1 + len(each)
        items = each if isinstance(each, list) else each.values()
        left.extend(item for item in items if isinstance(item, list | dict))
    return count


def held(constant: Constant) -> Any:
    """The value of a constant as operations take it."""
    value = constant.value
    return json.loads(str(value)) if constant.type is Type.JSON and value is not None else value


def constant_of(type: Type, value: Any, line: int, column: int) -> Constant:
    """A value that an operation gave as a constant."""
    if type is Type.JSON and value is not None:
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Constant(type, value, line, column)
