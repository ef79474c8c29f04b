"""The operations on texts, for one text. Places count characters (code points) from 0.

No operation can take more than linear time, and no text can grow beyond `MAX_TEXT` characters: what would is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import re2

from tesseract_grpc.engine.query.filter_tree import Like, Regex
from tesseract_grpc.engine.query.text_pattern import text_test

Scalar = Callable[..., Any]

MAX_TEXT = 1 << 20
"""The most characters of a text that an expression makes."""

# What JavaScript's trim takes away: its white space and its line ends.
_SPACES = (
    " \t\n\r\v\f\u00a0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_NUMBER = re.compile(r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")


def number_text(value: float) -> str:
    """A number as JavaScript writes it.

    >>> number_text(1.0), number_text(0.1), number_text(1e21), number_text(1e-7), number_text(12)
    ('1', '0.1', '1e+21', '1e-7', '12')
    """
    if isinstance(value, int):
        return str(value)
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    short = repr(value)
    if "e" not in short:
        return short.removesuffix(".0")  # where Python writes no exponent, both write the same
    sign, digits, exponent = Decimal(short).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).rstrip("0")
    point = len(digits) + exponent  # where the point stands, in digits
    minus = "-" if sign else ""
    if 0 < point <= 21:
        text = text.ljust(point, "0")
        return minus + text[:point] + ("." + text[point:] if len(text) > point else "")
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{text}"
    fraction = "." + text[1:] if len(text) > 1 else ""
    return f"{minus}{text[0]}{fraction}e{point - 1:+d}"


def fixed_text(value: float, digits: int) -> str | None:
    """`toFixed`: a number with so many digits after the point, halves away from zero."""
    if not 0 <= digits <= 100:
        return None
    if not math.isfinite(value) or abs(value) >= 1e21:
        return number_text(value)
    scaled = abs(value) * 10.0**digits
    if scaled < 1e9 and not 0.4999 < scaled % 1 < 0.5001:
        return format(value + 0.0, f".{digits}f")  # far from a half, all ways of rounding agree
    with localcontext() as context:
        context.prec = 400
        result = format(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP), "f")
    return result.removeprefix("-") if value == 0 else result


def parse_number(text: str) -> float:
    """`Number(text)`: the whole text is a number, or NaN; empty is 0."""
    text = text.strip(_SPACES)
    if not text:
        return 0.0
    if _RADIX.fullmatch(text):
        return float(int(text, 0)) if len(text) < 250 else math.inf
    return float(text.replace("Infinity", "inf")) if _NUMBER.fullmatch(text) else math.nan


def parse_float(text: str) -> float:
    """`parseFloat(text)`: the number that the text begins with, or NaN."""
    match = _NUMBER.match(text.lstrip(_SPACES))
    return float(match[0].replace("Infinity", "inf")) if match else math.nan


def parse_int(text: str, radix: int = 10) -> int | None:
    """`parseInt(text, radix)`: the whole number that the text begins with; null when there is none in INT64."""
    text = text.lstrip(_SPACES)
    negative = text[:1] == "-"
    text = text[1:] if text[:1] in ("-", "+") else text
    if radix == 16 and text[:2] in ("0x", "0X"):
        text = text[2:]
    value = digits = 0
    for character in text[:400]:
        digit = int(character, 36) if character.isascii() and character.isalnum() else 36
        if digit >= radix:
            break
        value, digits = value * radix + digit, digits + 1
    value = -value if negative else value
    return value if digits and -(2**63) <= value < 2**63 else None


def concat(*texts: str) -> str | None:
    """The texts joined; null when the result is too long."""
    return "".join(texts) if sum(map(len, texts)) <= MAX_TEXT else None


def _clamp(place: int, length: int) -> int:
    return max(0, min(place, length))


def substring(text: str, start: int, stop: int | None = None) -> str:
    """From one place to another, in whichever order they are given."""
    low, high = _clamp(start, len(text)), len(text) if stop is None else _clamp(stop, len(text))
    return text[min(low, high) : max(low, high)]


def slice_text(text: str, start: int, stop: int | None = None) -> str:
    """From one place to another; negative places count from the end."""
    return text[start:] if stop is None else text[start:stop]


def char_at(text: str, place: int) -> str:
    """The character at a place, or the empty text."""
    return text[place] if 0 <= place < len(text) else ""


def index_of(text: str, wanted: str, start: int = 0) -> int:
    """The first place of a text at or after `start`, or -1."""
    return text.find(wanted, _clamp(start, len(text)))


def last_index_of(text: str, wanted: str) -> int:
    """The last place of a text, or -1."""
    return text.rfind(wanted)


def replace_first(text: str, old: str, new: str) -> str | None:
    """The first occurrence replaced; null when the result is too long."""
    fits = len(text) - len(old) + len(new) <= MAX_TEXT or old not in text
    return text.replace(old, new, 1) if fits else None


def replace_all(text: str, old: str, new: str) -> str | None:
    """All occurrences replaced; null when the result is too long."""
    fits = len(text) + text.count(old) * (len(new) - len(old)) <= MAX_TEXT
    return text.replace(old, new) if fits else None


def split_item(text: str, separator: str, place: int) -> str | None:
    """One item of the text split by a separator; null when there is no such item."""
    if not separator:
        return text[place] if 0 <= place < len(text) else None
    if not 0 <= place <= len(text):
        return None
    items = text.split(separator, place + 1)
    return items[place] if place < len(items) else None


def pad(text: str, length: int, fill: str, at_start: bool) -> str | None:
    """The text filled up to a length with repetitions of `fill`."""
    if length > MAX_TEXT:
        return None
    missing = length - len(text)
    if missing <= 0 or not fill:
        return text
    padding = (fill * (missing // len(fill) + 1))[:missing]
    return padding + text if at_start else text + padding


SCALARS: Mapping[str, Scalar] = {
    "number_text": number_text,
    "bool_text": lambda a: "true" if a else "false",
    "fixed_text": fixed_text,
    "parse_number": parse_number,
    "parse_float": parse_float,
    "parse_int": parse_int,
    "concat": concat,
    "same_text": lambda a: a,
    "length": len,
    "char_at": char_at,
    "substring": substring,
    "slice": slice_text,
    "index_of": index_of,
    "last_index_of": last_index_of,
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda a: a.strip(_SPACES),
    "trim_start": lambda a: a.lstrip(_SPACES),
    "trim_end": lambda a: a.rstrip(_SPACES),
    "replace": replace_first,
    "replace_all": replace_all,
    "starts_with": lambda a, b: a.startswith(b),
    "ends_with": lambda a, b: a.endswith(b),
    "includes": lambda a, b: b in a,
    "split_item": split_item,
    "pad_start": lambda a, n, fill: pad(a, n, fill, True),
    "pad_end": lambda a, n, fill: pad(a, n, fill, False),
}


def compiled(pattern: str, flags: str) -> Any:
    """The RE2 program of a pattern that `text_test` has accepted."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    options.case_sensitive = "i" not in flags
    options.one_line = "m" not in flags
    return re2.compile(pattern, options)


def spelled(pattern: str, flags: str) -> str:
    """The pattern with the flags that RE2 takes inside of it."""
    inner = "".join(flag for flag in "ms" if flag in flags)
    return f"(?{inner}:{pattern})" if inner else pattern


def _like(pattern: str) -> Scalar:
    return text_test(Like("", pattern), "")


def _regex(pattern: str, flags: str) -> Scalar:
    return text_test(Regex("", spelled(pattern, flags), "i" in flags), "")


def _regex_group(pattern: str, flags: str, group: int) -> Scalar:
    program = compiled(spelled(pattern, flags), flags)

    def find(text: str) -> str | None:
        match = program.search(text)
        found: str | None = match.group(group) if match is not None else None
        return found

    return find


_GROUP = re.compile(r"\$(?:(\$)|(&)|(\d))")


def _regex_replace(pattern: str, flags: str, replacement: str) -> Scalar:
    """Replaces matches; `$1` to `$9` are groups, `$&` is the match, `$$` is a dollar sign."""
    program = compiled(spelled(pattern, flags), flags)
    groups = program.groups

    def expand(match: Any) -> str:
        def part(mark: re.Match[str]) -> str:
            if mark[1]:
                return "$"
            number = 0 if mark[2] else int(mark[3])
            return (match.group(number) or "") if number <= groups else mark[0]

        return _GROUP.sub(part, replacement)

    def replace(text: str) -> str | None:
        parts: list[str] = []
        length = end = 0
        for match in program.finditer(text):
            parts += (text[end : match.start()], expand(match))
            length += len(parts[-1]) + len(parts[-2])
            end = match.end()
            if length > MAX_TEXT:
                return None
            if "g" not in flags:
                break
        parts.append(text[end:])
        return concat(*parts)

    return replace


MAKERS: Mapping[str, Callable[..., Scalar]] = {
    "like": _like,
    "regex": _regex,
    "regex_group": _regex_group,
    "regex_replace": _regex_replace,
}
"""Operations whose arguments after the first are constants, prepared from these."""
