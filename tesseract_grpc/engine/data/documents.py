"""Which texts are JSON documents that a column may hold.

The answer must be the same wherever and whenever it is asked: a write that was accepted is judged again when the log is
replayed. Python's parser takes a document as deep as the stack has room just then, so depth has a bound of its own,
which is far below that.
"""

from __future__ import annotations

import json
import re

MOST_LEVELS = 512
"""The most arrays and objects in each other."""

_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def is_json(text: str) -> bool:
    """Whether the text is one JSON document of at most `MOST_LEVELS` levels. O(length)."""
    if levels_exceed(text, MOST_LEVELS):
        return False
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def levels_exceed(text: str, most: int) -> bool:
    """Whether a text has more levels than so many. Mostly it has not even so many brackets. O(length)."""
    if text.count("[") + text.count("{") <= most:
        return False
    level = 0
    for mark in _MARKS.finditer(text):
        if mark[0] in "[{":
            level += 1
            if level > most:
                return True
        elif mark[0] in "]}":
            level -= 1
    return False


def _refuse_constant(name: str) -> None:
    # json.loads accepts NaN and Infinity, which no other reader does.
    raise ValueError(name)
