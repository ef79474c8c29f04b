"""The operations on JSON values, for one value.

A JSON value is dynamic: what it is, is known only when it is there. Where it is used as a number, a text, a BOOL or a
time, it is that if it is of that kind, and else null. Arithmetic takes its numbers as doubles; passed on, compared and
written, whole numbers keep all their digits.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tesseract_grpc.engine.data.schema import INT64_MAX, INT64_MIN
from tesseract_grpc.engine.query.expression.document import (
    Comparison,
    Document,
    document_text,
    equal,
    kind,
    read_document,
    text_of,
)
from tesseract_grpc.engine.query.expression.ordering import sort_key
from tesseract_grpc.engine.query.expression.scalar_text import MAX_TEXT, concat, parse_float, parse_int, parse_number
from tesseract_grpc.engine.query.expression.scalar_time import from_millis, parse_time

Scalar = Callable[..., Any]

MAX_ITEMS = 100_000
"""The most items of an array that `split` makes."""

_MAX_BITS = 14_000
"""The most bits of a whole number that sums make; Python writes no more than 4,300 digits."""


def is_number(value: Document) -> bool:
    """Whether a value is a number; true and false are none."""
    return type(value) in (int, float)


def number(value: Document) -> float | None:
    """The value as a double, if it is a number."""
    if type(value) is float:
        return value + 0.0
    if type(value) is not int:
        return None
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def string(value: Document) -> str | None:
    """The value, if it is a text."""
    return value if isinstance(value, str) else None


def boolean(value: Document) -> bool | None:
    """The value, if it is true or false."""
    return value if isinstance(value, bool) else None


def time(value: Document) -> int | None:
    """The point in time, if the value is ISO 8601 text."""
    return parse_time(value) if isinstance(value, str) else None


def moment(value: Document) -> int | None:
    """`new Date(x)`: of ISO 8601 text, or of milliseconds."""
    return from_millis(value) if is_number(value) else time(value)


def to_number(value: Document) -> float:
    """`Number(x)`: of a number, a text, or true and false; NaN of others."""
    if isinstance(value, str):
        return parse_number(value)
    found = number(int(value) if isinstance(value, bool) else value)
    return math.nan if found is None else found


def to_float(value: Document) -> float | None:
    """`parseFloat(x)`."""
    return parse_float(value) if isinstance(value, str) else number(value)


def to_int(value: Document, radix: int = 10) -> int | None:
    """`parseInt(x, radix)`: exact for whole numbers; null outside of INT64."""
    if isinstance(value, str):
        return parse_int(value, radix)
    if not is_number(value) or not math.isfinite(number(value) or 0.0):
        return None
    whole = int(value)
    return whole if INT64_MIN <= whole <= INT64_MAX else None


def _comparison(op: str, test: Callable[[Any, Any], bool]) -> Scalar:
    """Values of one kind compare as such values do; arrays and objects know only whether they are equal."""

    def compare(left: Document, right: Document) -> bool | None:
        kinds = kind(left)
        if kinds is not kind(right):
            return None
        if kinds is not list and kinds is not dict:
            return test(sort_key(left), sort_key(right))
        if op not in ("eq", "ne"):
            return None
        same = equal(left, right)
        return None if same is None else same is (op == "eq")

    return compare


def _one_of(*items: Any) -> Scalar:
    """Whether the value equals an item: null when it does not, and one of them is of another kind."""
    listed = {(kind(item), sort_key(item)) for item in items}
    kinds = {kind(item) for item in items}

    def test(value: Document) -> bool | None:
        if isinstance(value, list | dict):
            return None
        if (kind(value), sort_key(value)) in listed:
            return True
        return False if kinds == {kind(value)} else None

    return test


def add(left: Document, right: Document) -> Document:
    """`a + b` of two JSON values: a sum of numbers, or texts joined when one is a text."""
    if isinstance(left, str) or isinstance(right, str):
        texts = text_of(left), text_of(right)
        return None if texts[0] is None or texts[1] is None else concat(texts[0], texts[1])
    if not is_number(left) or not is_number(right):
        return None
    if type(left) is int and type(right) is int:
        total = left + right
        return total if total.bit_length() <= _MAX_BITS else None
    return (number(left) or 0.0) + (number(right) or 0.0)


def length(value: Document) -> int | None:
    """How many items an array has, or characters a text."""
    return len(value) if isinstance(value, list | str) else None


def at(value: Document, key: Any) -> Document:
    """An item of an array or a character of a text by its place, a member of an object by its name."""
    if isinstance(value, dict):
        return value.get(key if isinstance(key, str) else text_of(key))
    if not isinstance(value, list | str) or not is_number(key) or key != key or not 0 <= key < len(value):
        return None
    return value[int(key)] if key == int(key) else None


def _path(*keys: Any) -> Scalar:
    def find(value: Document) -> Document:
        for key in keys:
            value = value.get(key) if type(value) is dict and type(key) is str else at(value, key)
            if value is None:
                return None
        return value

    return find


def index_of(value: Document, item: Document) -> int | None:
    """The first place of an item in an array or of a text in a text, or -1."""
    if isinstance(value, str):
        return value.find(item) if isinstance(item, str) else None
    return _search(value, item, range(len(value))) if isinstance(value, list) else None


def last_index_of(value: Document, item: Document) -> int | None:
    """The last place of an item in an array or of a text in a text, or -1."""
    if isinstance(value, str):
        return value.rfind(item) if isinstance(item, str) else None
    return _search(value, item, range(len(value) - 1, -1, -1)) if isinstance(value, list) else None


def _search(items: list[Document], item: Document, places: Iterable[int]) -> int | None:
    """The first of the places where the item is, or -1; null when that would take too long to find out."""
    comparison, wanted = Comparison(), kind(item)
    compound = wanted in (list, dict)
    for place in places:
        each = items[place]
        if kind(each) is not wanted:
            continue
        same = comparison.equal(each, item) if compound else each == item or (each != each and item != item)
        if same is None:
            return None
        if same:
            return place
    return -1


def includes(value: Document, item: Document) -> bool | None:
    """Whether an array has an item, or a text a text."""
    place = index_of(value, item)
    return None if place is None else place >= 0


def slice_value(value: Document, start: int, stop: int | None = None) -> Document:
    """Items of an array or characters of a text, from one place to another; negative places count from the end."""
    return value[start:stop] if isinstance(value, list | str) else None


def join(value: Document, separator: str) -> str | None:
    """The items of an array as texts, with separators between them; a null item is the empty text."""
    if not isinstance(value, list):
        return None
    texts: list[str] = []
    length = 0
    for item in value:
        text = "" if item is None else text_of(item)
        length += len(separator) + (0 if text is None else len(text))
        if text is None or length > MAX_TEXT + len(separator):
            return None
        texts.append(text)
    return separator.join(texts)


def split(text: str, separator: str) -> list[str] | None:
    """The parts of a text between separators; null when they are too many."""
    parts = text.split(separator, MAX_ITEMS) if separator else list(text[: MAX_ITEMS + 1])
    return parts if len(parts) <= MAX_ITEMS else None


_TESTS = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}

SCALARS: Mapping[str, Scalar] = {
    **{f"json_{op}": _comparison(op, test) for op, test in _TESTS.items()},
    "document": read_document,
    "json_text": document_text,
    "json_of": lambda a: a,
    "json_number": number,
    "json_string": string,
    "json_bool": boolean,
    "json_time": time,
    "json_moment": moment,
    "json_to_number": to_number,
    "json_parse_float": to_float,
    "json_parse_int": to_int,
    "json_text_of": text_of,
    "json_add": add,
    "json_length": length,
    "json_at": at,
    "json_index_of": index_of,
    "json_last_index_of": last_index_of,
    "json_includes": includes,
    "json_slice": slice_value,
    "json_join": join,
    "split": split,
}

MAKERS: Mapping[str, Callable[..., Scalar]] = {"json_path": _path, "json_one_of": _one_of}
"""Operations whose arguments after the first are constants, prepared from these."""

SMALL = frozenset(("json_path", "json_at", "json_length", "json_number", "json_string", "json_bool", "json_of"))
"""The operations whose cost does not depend on how large a value is."""
