"""JavaScript functions in configurations: found, and refused with the expression that replaces them.

A function cannot travel to a server, and none is ever evaluated there. Most are small, though: `data => data.price *
data.qty` is the expression `price * qty`. What can be guessed of it goes into the hint; nothing is replaced by itself.
"""

from __future__ import annotations

import re
from typing import Any

from .refusal import NotCarriedOver

_ARROW = re.compile(
    r"\s*(?:async\s+)?(?:\((?P<many>[^()]*)\)|(?P<one>[A-Za-z_$][\w$]*))\s*=>\s*(?P<body>.*)", re.DOTALL
)
_FUNCTION = re.compile(
    r"\s*(?:async\s+)?function\b\s*\*?\s*[\w$]*\s*\((?P<many>[^()]*)\)\s*(?P<body>\{.*\})\s*", re.DOTALL
)
_LOOKS_LIKE = re.compile(r"\s*(?:async\s+)?(?:function\b|(?:\([^=]*\)|[A-Za-z_$][\w$]*)\s*=>)")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_MEMBER = re.compile(r"(?<![\w$.])(?P<of>[A-Za-z_$][\w$]*)\.(?P<member>[A-Za-z_$][\w$]*)")
_RETURN = re.compile(r"\{\s*(?:return\s+)(?P<value>[^;{}]*?);?\s*\}", re.DOTALL)


def is_function(value: object) -> bool:
    """Whether a value is a function: one of Python, or the text of one of JavaScript."""
    return callable(value) or (isinstance(value, str) and _LOOKS_LIKE.match(value) is not None)


def expression_in(text: object) -> str:
    """The expression that a small function works out; empty when it does more than that."""
    if not isinstance(text, str):
        return ""
    match = _ARROW.fullmatch(text) or _FUNCTION.fullmatch(text)
    if match is None:
        return ""
    groups = match.groupdict()
    names = [name.strip() for name in (groups.get("many") or groups.get("one") or "").split(",") if name.strip()]
    body = groups["body"].strip()
    if body.startswith("{"):
        returned = _RETURN.fullmatch(body)
        if returned is None:
            return ""
        body = returned["value"].strip()
    if set(names[1:]) & set(_NAME.findall(body)):
        return ""
    if names:
        body = _MEMBER.sub(lambda found: found["member"] if found["of"] == names[0] else found[0], body)
    return "" if "=>" in body or "require(" in body else body


def refuse_function(value: Any, field: str, option: str, otherwise: str) -> None:
    """Refuses a function. `option` is where an expression goes instead, if one may, and `otherwise` what to do when
    there is none to propose."""
    if not is_function(value):
        return
    found = expression_in(value) if option else ""
    hint = f"write {option}: {found!r}" if found else otherwise
    raise NotCarriedOver("a function cannot travel to the server", field, hint)
