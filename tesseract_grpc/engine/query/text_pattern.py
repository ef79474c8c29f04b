"""Text patterns as functions of one text: contains, SQL patterns, regular expressions.

All of them are linear in the text: `contains` folds case and searches, the others run in RE2, which has no
backtracking, so no pattern that a client sends can take exponential time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.query.filter_tree import Like, Regex

TextTest = Callable[[str], bool]

MAX_PATTERN = 1_000
"""The most characters of a regular expression; of a like pattern that is a SQL pattern, too."""

_RE2_MEMORY = 1 << 20
"""Bytes that one compiled pattern may take. RE2 refuses patterns that need more, for example `((a{99}){99}){99}`."""


def text_test(node: Like | Regex, field: str) -> TextTest:
    """Whether a text matches, negation left aside. Raises InvalidRequest with BAD_REGEX or MALFORMED_FILTER."""
    if isinstance(node, Regex):
        return _search(node.pattern, node.case_insensitive, f"{field}.pattern")
    if "%" in node.pattern:
        return _search(_sql_pattern(node.pattern, f"{field}.pattern"), True, f"{field}.pattern")
    wanted = node.pattern.casefold()
    return lambda text: wanted in text.casefold()


def _sql_pattern(pattern: str, field: str) -> str:
    """The regular expression over the whole text for a SQL pattern."""
    parts = [r"(?s)\A"]
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            parts.append(".*")
        elif character == "_":
            parts.append(".")
        elif character == "\\":
            literal = next(characters, None)
            if literal is None:
                raise InvalidRequest(
                    Reason.MALFORMED_FILTER,
                    "the pattern ends with '\\', which must escape a character",
                    field=field,
                    hint="write '\\\\' for a backslash",
                )
            parts.append(re2.escape(literal))
        else:
            parts.append(re2.escape(character))
    parts.append(r"\z")
    return "".join(parts)


def _search(pattern: str, case_insensitive: bool, field: str) -> TextTest:
    if len(pattern) > MAX_PATTERN * 4:
        raise InvalidRequest(Reason.BAD_REGEX, f"the pattern has more than {MAX_PATTERN} characters", field=field)
    options = re2.Options()
    options.max_mem = _RE2_MEMORY
    options.log_errors = False
    options.case_sensitive = not case_insensitive
    try:
        search: Callable[[str], Any] = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        what = error.args[0] if error.args else error
        what = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        raise InvalidRequest(
            Reason.BAD_REGEX,
            f"the pattern is not a regular expression that this server takes: {what[:200]}",
            field=field,
            hint="the syntax is RE2's: no look-around, no back-references, repetitions up to 1000",
        ) from None
    return lambda text: search(text) is not None
