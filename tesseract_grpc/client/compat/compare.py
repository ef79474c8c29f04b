"""The order of values, for programs that sort by themselves: the same as that of the server.

sorted(rows, key=functools.cmp_to_key(lambda a, b: compare(a["name"], b["name"]) or compare(b["at"], a["at"])))
"""

from __future__ import annotations

from typing import Any


def compare(a: Any, b: Any) -> int:
    """-1, 0 or 1, as `a` stands before, with or behind `b` in a rising sort: texts by code point, NaN above all
    numbers, None last. (A sort of the server has None last in falling order, too; swapping `a` and `b` has it first.)

    Raises TypeError for values of different types."""
    if a is None or b is None:
        return (a is None) - (b is None)
    if a != a or b != b:  # NaN
        return int(a != a) - int(b != b)
    return int(a > b) - int(a < b)
