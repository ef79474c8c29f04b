"""What `like` looks for: a text that is contained, or a SQL pattern over the whole text.

Both compare case-folded texts (`str.casefold`, so 'STRASSE' is found in 'straße'). In a SQL pattern '%' stands for any
run of characters, '_' for any one character of the folded text, and '\\' makes the next character stand for itself.

A SQL pattern is parsed to literals and wildcards, which gives it one spelling: '%%Ab%' is '%ab%', which is the
contained text 'ab'. Without '_' it needs no regular expression, only a search for one literal after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason


class Wild(Enum):
    """What is not a literal in a SQL pattern."""

    ANY = "%"
    ONE = "_"


Token: TypeAlias = str | Wild


@dataclass(frozen=True, slots=True)
class LikePattern:
    """A pattern as literals and wildcards over the whole text; no two literals and no two ANY follow each other."""

    tokens: tuple[Token, ...]

    @classmethod
    def parse(cls, pattern: str, field: str) -> LikePattern:
        """Raises InvalidRequest with MALFORMED_FILTER when a SQL pattern ends with a lone backslash."""
        folded = pattern.casefold()
        if "%" not in folded:
            return cls((Wild.ANY, folded, Wild.ANY) if folded else (Wild.ANY,))
        tokens: list[Token] = []
        literal: list[str] = []
        characters = iter(folded)
        for character in characters:
            if character == "\\":
                escaped = next(characters, "")
                if not escaped:
                    raise InvalidRequest(
                        Reason.MALFORMED_FILTER,
                        "the pattern ends with a backslash, which must stand before a character",
                        field=field,
                        hint="write two backslashes to match one",
                    )
                literal.append(escaped)
            elif character in "%_":
                if literal:
                    tokens.append("".join(literal))
                    literal.clear()
                wild = Wild(character)
                if wild is Wild.ONE or not tokens or tokens[-1] is not Wild.ANY:
                    tokens.append(wild)
            else:
                literal.append(character)
        if literal:
            tokens.append("".join(literal))
        return cls(tuple(tokens))

    @property
    def matches_all(self) -> bool:
        """Whether every text matches."""
        return self.tokens == (Wild.ANY,)

    @property
    def has_single(self) -> bool:
        """Whether '_' occurs."""
        return Wild.ONE in self.tokens

    @property
    def spelling(self) -> str:
        """The shortest pattern that means the same; equal patterns have equal spellings."""
        if len(self.tokens) == 3 and self.tokens[0] is self.tokens[2] is Wild.ANY:
            contained = self.tokens[1]
            if isinstance(contained, str) and "%" not in contained:
                return contained
        # There is a '%' in it, as a wildcard or escaped, or it would have been read as a contained text.
        return "".join(token.value if isinstance(token, Wild) else _escape(token) for token in self.tokens)

    def test(self) -> Callable[[str], bool]:
        """Whether a text matches; for patterns without '_'. Linear in the text for each literal."""
        assert not self.has_single
        literals = [token for token in self.tokens if isinstance(token, str)]
        if len(self.tokens) == 1 and literals:
            return lambda text: text.casefold() == literals[0]
        if len(literals) == 1 and self.tokens[0] is self.tokens[-1] is Wild.ANY:
            contained = literals[0]
            return lambda text: contained in text.casefold()
        head = literals.pop(0) if literals and self.tokens[0] is not Wild.ANY else ""
        tail = literals.pop() if literals and self.tokens[-1] is not Wild.ANY else ""
        return lambda text: _in_order(text.casefold(), head, literals, tail)

    def regex(self) -> str:
        """The same as a regular expression over the folded text."""
        parts = {Wild.ANY: ".*", Wild.ONE: "."}
        body = "".join(parts[token] if isinstance(token, Wild) else _quote(token) for token in self.tokens)
        return rf"(?s)\A{body}\z"


def _in_order(text: str, head: str, middle: list[str], tail: str) -> bool:
    """Whether the text starts with `head`, ends with `tail`, and has `middle` one after the other in between."""
    if len(text) < len(head) + len(tail) or not (text.startswith(head) and text.endswith(tail)):
        return False
    start, end = len(head), len(text) - len(tail)
    for literal in middle:
        found = text.find(literal, start, end)
        if found < 0:
            return False
        start = found + len(literal)
    return True


def _escape(literal: str) -> str:
    return literal.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _quote(literal: str) -> str:
    return "".join(c if c.isalnum() or ord(c) > 127 else f"\\x{{{ord(c):x}}}" for c in literal)
