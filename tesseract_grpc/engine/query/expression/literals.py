"""The values of literals: what numbers, durations and quoted texts stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tesseract_grpc.engine.query.expression.problem import BadExpression, Problem

_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|\r\n|([\s\S]))")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")

MAX_DIGITS = 400
"""The most characters of a number."""


def number(text: str) -> int | float:
    """The value of a number: a whole number without a point or an exponent, else a double."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    return int(text) if text.isdecimal() else float(text)


def duration(text: str) -> int | float | None:
    """The milliseconds of a duration such as 90s, 1.5h or 7d; None when the text is none.

    >>> duration("1.5h"), duration("7d"), duration("soon")
    (5400000, 604800000, None)
    """
    match = _DURATION.fullmatch(text)
    if match is None or len(match[1]) > 18:
        return None
    exact = number(match[1]) * _UNITS[match[2]]
    return int(exact) if isinstance(exact, float) and exact.is_integer() else exact


def unescape(text: str, line: int, column: int) -> str:
    """The text that a quoted text stands for. Raises BadExpression for half a surrogate pair."""
    if "\\" in text:
        text = _ESCAPE.sub(_replacement, text)
        # "\ud83d\ude00" writes one character as the two halves that UTF-16 makes of it.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "\ufffd" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise BadExpression([Problem("the text is not valid Unicode", line, column)])
    return text


def _replacement(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code is not None:
        value = int(code, 16)
        return chr(value) if value <= 0x10FFFF else "\ufffd"
    single = match[4]
    return "" if single is None else _SIMPLE.get(single, single)


def template_parts(text: str) -> Iterator[tuple[bool, str, int]]:
    """The parts of a template: whether a part is an expression, its raw text, and its place in the text.

    >>> list(template_parts("a ${b} c"))
    [(False, 'a ', 0), (True, 'b', 4), (False, ' c', 6)]
    """
    start = place = 0
    while place < len(text):
        if text[place] == "\\":
            place += 2
        elif text.startswith("${", place):
            if place > start:
                yield False, text[start:place], start
            end = _end_of_hole(text, place + 2)
            yield True, text[place + 2 : end], place + 2
            start = place = end + 1
        else:
            place += 1
    if start < len(text):
        yield False, text[start:], start


def _end_of_hole(text: str, place: int) -> int:
    """Where the `}` stands that closes a `${`; the end of the text when there is none. Braces inside are balanced."""
    quote, depth = "", 0
    while place < len(text):
        character = text[place]
        if character == "\\":
            place += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == "}":
            return place
        place += 1
    return len(text)
