"""What the parser stumbled over, said so that a person can mend it."""

from __future__ import annotations

from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from tesseract_grpc.engine.query.expression.problem import Problem

_HINTS = {
    "=": "compare with `==`; an expression assigns nothing",
    "&": "write `&&`",
    "|": "write `||`",
    "#": 'an odd column name is written as row["name"]',
    "@": 'an odd column name is written as row["name"]',
    ";": "an expression is one value; it has no statements",
    "{": "an expression has no blocks and no objects; in a template write `${name}` in double quotes or backticks",
    '"': "the text is not closed, or goes over the end of the line",
    "'": "the text is not closed, or goes over the end of the line",
    "`": "the template is not closed",
}
_WORDS = {"and": "write `&&`", "or": "write `||`", "AND": "write `&&`", "OR": "write `||`", "is": "write `== null`"}
_MIXED = {"??", "||", "&&"}

_OPERAND = {"NUMBER", "NAME"}


def explain(error: UnexpectedCharacters | UnexpectedToken | UnexpectedEOF, text: str) -> Problem:
    """The problem that a parser's exception tells of."""
    if isinstance(error, UnexpectedCharacters):
        character = str(error.char)
        hint = _HINTS.get(character, "")
        return Problem(f"{character!r} cannot stand here", error.line, error.column, hint)
    if isinstance(error, UnexpectedEOF) or error.token.type == "$END":
        return _at_end(error, text)
    token = error.token
    return Problem(f"'{str(token)[:40]}' cannot stand here", token.line or 1, token.column or 1, _hint(error))


def _at_end(error: UnexpectedToken | UnexpectedEOF, text: str) -> Problem:
    ended = text.rstrip()
    line = ended.count("\n") + 1
    column = len(ended) - (ended.rfind("\n") + 1) + 1
    if not ended:
        return Problem("the expression is empty", 1, 1, "write a value, for example a column's name")
    expected = set(error.accepts or ()) if isinstance(error, UnexpectedToken) else set(error.expected)
    if expected >= _OPERAND:
        return Problem("the expression ends where a value must follow", line, column)
    if "_CLOSE" in expected:
        return Problem("the expression ends before a ')'", line, column, "close the parenthesis")
    if "_BRACKET_CLOSE" in expected:
        return Problem("the expression ends before a ']'", line, column, "close the bracket")
    if "COLON" in expected:
        return Problem("the expression ends before a ':'", line, column, "write `condition ? a : b`")
    return Problem("the expression ends too early", line, column)


def _hint(error: UnexpectedToken) -> str:
    token = error.token
    if token.type == "POWER":
        return "a sign before ** is ambiguous: write (-2) ** 2, or -(2 ** 2)"
    if token in _MIXED:
        return "`??` does not mix with `&&` and `||`: use parentheses"
    if token in _WORDS:
        return _WORDS[token]
    expected = set(error.accepts or error.expected or ())
    if expected >= _OPERAND:
        return "a value must stand here"
    if token.type in ("NAME", "NUMBER", "QUOTED", "TEMPLATE"):
        return "an operator is missing before it"
    return ""
