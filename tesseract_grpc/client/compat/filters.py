"""Filters and sorts in the ancestor's spelling, to those that the client takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .javascript import is_function, refuse_function
from .refusal import NotCarriedOver, read

_CONDITION = {
    "field": "field",
    "property": "field",
    "data_index": "field",
    "comparison": "comparison",
    "operator": "comparison",
    "value": "value",
    "type": "type",
    "case_insensitive": "case_insensitive",
}
_SORT = {
    "field": "field",
    "property": "field",
    "data_index": "field",
    "direction": "direction",
    "nulls": "nulls",
}
_ORDER = (
    "leave it out: texts are ordered by code point, numbers and dates by value, and nulls come last; for another "
    "order, sort by a computed column, as in columns: [{'name': 'folded', 'expression': 'name.toLowerCase()'}]"
)
_NOT_OF_SORTS = {"compare_fn": _ORDER, "comparer": _ORDER, "compare_function": _ORDER, "compare": _ORDER}
_CONDITION_HINT = "write the condition as an expression: 'age > 17 && name ~ \"ad\"'"
_TREES = ("and", "or", "all", "any")


def filter_of(given: Any, field: str = "filter") -> Any:
    """A filter. The kind of a value (`type: 'number'`), which the ancestor's grids send along, is given to the value.

    Raises NotCarriedOver for what cannot be meant."""
    refuse_function(given, field, "filter", _CONDITION_HINT)
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        return _condition(given, field)
    return [filter_of(each, f"{field}[{at}]") for at, each in enumerate(given)]


def _condition(given: Mapping[str, Any], field: str) -> dict[str, Any]:
    if len(given) == 1:
        ((word, inner),) = given.items()
        if word in _TREES:
            return {word: [filter_of(each, f"{field}.{word}[{at}]") for at, each in enumerate(inner)]}
        if word == "not":
            return {"not": filter_of(inner, f"{field}.not")}
    words = read(given, _CONDITION, {}, "a filter", field)
    value, kind = words.get("value"), words.pop("type", None)
    refuse_function(
        value, f"{field}.value", "value", "write the condition as an expression: 'age > 17 && name ~ \"ad\"'"
    )
    if kind == "custom" or words.get("comparison") == "custom":
        return {"type": "custom", "value": value}
    if kind is not None:
        convert = _KINDS.get(str(kind).lower())
        if convert is None:
            hint = f"known are custom, {', '.join(_KINDS)}"
            raise NotCarriedOver(f"{kind!r} is no type of a filter", f"{field}.type", hint, "MALFORMED_REQUEST")
        words["value"] = _converted(convert, value, f"{field}.value")
    return words


def _converted(convert: Callable[[Any], Any], value: Any, field: str) -> Any:
    if isinstance(value, list | tuple):
        return [_converted(convert, each, f"{field}[{at}]") for at, each in enumerate(value)]
    try:
        return None if value is None else convert(value)
    except ValueError:
        raise NotCarriedOver(f"{value!r:.60} is not of that type", field, "correct the value") from None


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _boolean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() not in ("true", "false"):
        raise ValueError(value)
    return value.lower() == "true"


def _same(value: Any) -> Any:
    return value


_KINDS: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "numeric": _number,
    "boolean": _boolean,
    "string": str,
    "text": str,
    "date": _same,  # a text in ISO 8601 compares with a timestamp
    "list": _same,
    "enum": _same,
}
"""What a grid says about the value of a condition, and how that is made of it."""


def sort_of(given: Any, field: str = "sort") -> Any:
    """A sort. Functions that compare are refused: how values compare is one rule, everywhere."""
    if is_function(given):
        raise NotCarriedOver("a function cannot travel to the server", field, _ORDER)
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        return read(given, _SORT, _NOT_OF_SORTS, "a sort", field)
    return [sort_of(each, f"{field}[{at}]") for at, each in enumerate(given)]
