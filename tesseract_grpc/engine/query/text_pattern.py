"""Text conditions as functions of one text: `like` and regular expressions.

All of them are linear in the text: plain searches, or RE2, which has no backtracking, so no pattern that a client sends
can take exponential time. Patterns that would need much memory are refused when the query is created.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import re2

from tesseract_grpc.engine.data.errors import InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.query.filter_tree import Like, Regex
from tesseract_grpc.engine.query.like_pattern import LikePattern

TextTest: TypeAlias = Callable[[str], bool]

MAX_REGEX = 1_000
"""The most characters of a regular expression."""

MAX_LIKE = 10_000
"""The most characters of a like pattern."""

_RE2_MEMORY = 1 << 20
"""Bytes that one compiled expression may take; RE2 refuses what needs more, for example `(\\pL{50}){20}`."""


def text_test(node: Like | Regex, field: str) -> TextTest:
    """Whether a text matches, negation left aside.

    Raises InvalidRequest with BAD_REGEX or MALFORMED_FILTER, and LimitExceeded.
    """
    field = f"{field}.pattern"
    limit = MAX_LIKE if isinstance(node, Like) else MAX_REGEX
    if len(node.pattern) > limit:
        name = "max_like_length" if isinstance(node, Like) else "max_regex_length"
        raise LimitExceeded(
            Reason.LIMIT_EXCEEDED,
            f"a pattern may have at most {limit} characters here",
            field=field,
            metadata={"limit": name, "maximum": str(limit)},
        )
    if isinstance(node, Regex):
        try:
            return _search(node.pattern, node.case_insensitive)
        except (re2.error, UnicodeEncodeError) as error:
            raise _bad_regex(error, field) from None
    pattern = LikePattern.parse(node.pattern, field)
    if not pattern.has_single:
        return pattern.test()
    try:
        search = _search(pattern.regex(), False)
    except (re2.error, UnicodeEncodeError):
        raise InvalidRequest(Reason.MALFORMED_FILTER, "the pattern is too large", field=field) from None
    return lambda text: search(text.casefold())


def _search(pattern: str, case_insensitive: bool) -> TextTest:
    options = re2.Options()
    options.max_mem = _RE2_MEMORY
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not case_insensitive
    # On bytes it is twice as fast: offsets into the text need not be counted in characters.
    search: Callable[[bytes], Any] = re2.compile(pattern.encode(), options).search
    return lambda text: search(text.encode("utf-8", "surrogatepass")) is not None


def _bad_regex(error: Exception, field: str) -> InvalidRequest:
    what = error.args[0] if isinstance(error, re2.error) and error.args else "it is not valid Unicode"
    if isinstance(what, bytes):
        what = what.decode("utf-8", "replace")
    return InvalidRequest(
        Reason.BAD_REGEX,
        f"the pattern is not a regular expression that can be used: {str(what)[:200]}",
        field=field,
        hint="the syntax is RE2's: no look-around, no back-references, repetitions up to 1000",
    )
