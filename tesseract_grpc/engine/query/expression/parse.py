"""Text to syntax tree, by the grammar beside this file.

The parser is LALR(1): it keeps its own stack, so no text can exhaust Python's. What walks the tree afterwards does
recurse, so the tree's depth is limited (`limits.py`). Brackets are counted before anything else, so that thousands of
nested parentheses are refused at once.

Trees do not change, and a query is asked again and again with the same texts: those of the last texts are kept, each as
long as others are not asked for more recently. What is long is parsed anew, so what is kept is bounded in size, too.

A template's holes are parsed by the same parser on the same line and column that they have in the whole text.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from tesseract_grpc.engine.query.expression import literals, syntax
from tesseract_grpc.engine.query.expression.limits import LIMITS, ExpressionLimits, check_text, check_tree
from tesseract_grpc.engine.query.expression.problem import BadExpression, Problem
from tesseract_grpc.engine.query.expression.syntax_error import explain

_KEPT = 512
"""So many trees are kept,"""
_LONG = 512
"""of texts of at most so many characters."""


@dataclass(frozen=True, slots=True)
class ParseCounts:
    """How often a text that is short enough was known, how often it was not, and how many are."""

    hits: int
    misses: int
    kept: int
    evicted: int
    """How many were forgotten to make room."""


class _Past:
    """What the cache does not say of itself: how many trees it took, and the counts of before it was emptied."""

    taken = 0
    forgotten = 0
    hits = 0
    misses = 0


def parse_counts() -> ParseCounts:
    """The counts since the process began. O(1)."""
    info = _kept.cache_info()
    evicted = _Past.taken - _Past.forgotten - info.currsize
    return ParseCounts(_Past.hits + info.hits, _Past.misses + info.misses, info.currsize, evicted)


def forget_parsed() -> int:
    """Forgets all trees that are kept; returns how many there were. The counts go on."""
    info = _kept.cache_info()
    _Past.hits += info.hits
    _Past.misses += info.misses
    _Past.forgotten += info.currsize
    _kept.cache_clear()
    return info.currsize


def parse(text: str, field: str = "", limits: ExpressionLimits = LIMITS) -> syntax.Node:
    """The syntax tree of an expression. O(n).

    Raises BadExpression where the text does not follow the grammar, and LimitExceeded.

    >>> parse("1 + x").op
    '+'
    """
    check_text(text, field, limits)
    try:
        tree = _parse(text)
    except BadExpression as error:
        raise BadExpression(error.problems, field) from None
    check_tree(tree, field, limits)
    return tree


def parse_template(text: str, field: str = "", limits: ExpressionLimits = LIMITS) -> syntax.Node:
    """The syntax tree of a text that is a template as a whole: `${lastName}, ${firstName}`."""
    check_text(text, field, limits, template=True)
    try:
        tree = _template(text, 1, 1)
    except BadExpression as error:
        raise BadExpression(error.problems, field) from None
    check_tree(tree, field, limits)
    return tree


def warm_up() -> None:
    """Reads the grammar, which takes the time of many expressions, before anybody waits for one."""
    _parse("1 + 1")


def _parse(text: str) -> syntax.Node:
    return _kept(text) if len(text) <= _LONG else _parsed(text)


@functools.lru_cache(_KEPT)
def _kept(text: str) -> syntax.Node:
    tree = _parsed(text)
    _Past.taken += 1
    return tree


def _parsed(text: str) -> syntax.Node:
    try:
        # The transformer is part of the parser: what comes out is the finished tree.
        tree: Any = _grammar().parse(text)
    except (UnexpectedCharacters, UnexpectedToken, UnexpectedEOF) as error:
        raise BadExpression([explain(error, text)]) from None
    except VisitError as error:
        raise error.orig_exc from None
    return tree  # type: ignore[no-any-return]


@functools.cache
def _grammar() -> Lark:
    return Lark.open_from_package(
        __package__,
        "grammar.lark",
        parser="lalr",
        lexer="contextual",
        maybe_placeholders=False,
        transformer=_Builder(),
    )


def _template(raw: str, line: int, column: int) -> syntax.Node:
    """The tree of a template's raw text, which begins at this line and column."""
    parts: list[syntax.Node] = []
    for is_hole, part, offset in literals.template_parts(raw):
        before = raw[:offset]
        lines = before.count("\n")
        here = line + lines
        place = column + offset if not lines else offset - before.rfind("\n")
        if not is_hole:
            parts.append(syntax.Literal(here, place, literals.unescape(part, here, place)))
            continue
        if offset + len(part) >= len(raw):
            raise BadExpression([Problem("the '${' is not closed", here, place - 2, "close it with '}'")])
        if not part.strip():
            raise BadExpression([Problem("there is nothing between '${' and '}'", here, place, "name a column")])
        # Blank lines and columns before it give the part the place that it has in the whole text.
        parts.append(_parse("\n" * (here - 1) + " " * (place - 1) + part))
    return syntax.Template(line, column, tuple(parts))


Children = Sequence[Any]


def _at(token: Token) -> tuple[int, int]:
    return token.line or 1, token.column or 1


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """The nodes of the tree, made as the parser recognises them. One method a rule of the grammar."""

    def number(self, token: Token) -> syntax.Node:
        if len(token) > literals.MAX_DIGITS:
            raise BadExpression([Problem(f"a number has at most {literals.MAX_DIGITS} characters", *_at(token))])
        return syntax.Literal(*_at(token), literals.number(token))

    def duration(self, token: Token) -> syntax.Node:
        value = literals.duration(token)
        if value is None:
            raise BadExpression([Problem("the duration is too long", *_at(token))])
        return syntax.Literal(*_at(token), value)

    def quoted(self, token: Token) -> syntax.Node:
        line, column = _at(token)
        if token[0] == '"' and "${" in token:
            return _template(token[1:-1], line, column + 1)
        return syntax.Literal(line, column, literals.unescape(token[1:-1], line, column))

    def template(self, token: Token) -> syntax.Node:
        line, column = _at(token)
        return _template(token[1:-1], line, column + 1)

    def pattern(self, token: Token) -> syntax.Node:
        text, _, flags = token[1:].rpartition("/")
        return syntax.Pattern(*_at(token), text.replace("\\/", "/"), flags)

    def constant(self, token: Token) -> syntax.Node:
        return syntax.Literal(*_at(token), {"true": True, "false": False, "null": None}[token])

    def name(self, token: Token) -> syntax.Node:
        return syntax.Name(*_at(token), str(token))

    def array(self, bracket: Token, items: tuple[syntax.Node, ...] = ()) -> syntax.Node:
        return syntax.Array(*_at(bracket), items)

    def list(self, *parts: Any) -> tuple[syntax.Node, ...]:
        return parts[-1] if parts and isinstance(parts[-1], tuple) else ()

    def arguments(self, *items: syntax.Node) -> tuple[syntax.Node, ...]:
        return items

    def arrow(self, head: Token, body: syntax.Node) -> syntax.Node:
        names = head.removesuffix("=>").strip().strip("()").strip()
        return syntax.Function(*_at(head), tuple(name.strip() for name in names.split(",")) if names else (), body)

    def function(self, name: Token, given: tuple[syntax.Node, ...] = ()) -> syntax.Node:
        return syntax.Invoke(*_at(name), None, str(name), given)

    def construct(self, new: Token, name: Token, given: tuple[syntax.Node, ...] = ()) -> syntax.Node:
        return syntax.Construct(*_at(new), str(name), given)

    def member(self, target: syntax.Node, dot: Token, name: Token) -> syntax.Node:
        return syntax.Member(*_at(name), target, str(name))

    def method(self, target: syntax.Node, dot: Token, name: Token, given: tuple[syntax.Node, ...] = ()) -> syntax.Node:
        return syntax.Invoke(*_at(name), target, str(name), given)

    def index(self, target: syntax.Node, bracket: Token, place: syntax.Node) -> syntax.Node:
        return syntax.Index(*_at(bracket), target, place)

    def unary(self, op: Token, operand: syntax.Node) -> syntax.Node:
        return syntax.Unary(*_at(op), str(op), operand)

    def binary(self, left: syntax.Node, op: Token, right: syntax.Node) -> syntax.Node:
        return syntax.Binary(*_at(op), str(op), left, right)

    def not_like(self, left: syntax.Node, word: Token, like: Token, right: syntax.Node) -> syntax.Node:
        return syntax.Binary(*_at(word), "notlike", left, right)

    def logical(self, *parts: Any) -> syntax.Node:
        return syntax.Logical(*_at(parts[1]), str(parts[1]), tuple(parts[::2]))

    coalesce = logical

    def choose(
        self, condition: syntax.Node, mark: Token, then: syntax.Node, colon: Token, otherwise: syntax.Node
    ) -> syntax.Node:
        return syntax.Choose(*_at(mark), condition, then, otherwise)

    def membership(self, target: syntax.Node, word: Token, items: tuple[syntax.Node, ...]) -> syntax.Node:
        place = _at(word)
        return syntax.Membership(*place, target, syntax.Array(*place, items), word == "notin")

    def not_in(self, target: syntax.Node, word: Token, within: Token, items: tuple[syntax.Node, ...]) -> syntax.Node:
        place = _at(word)
        return syntax.Membership(*place, target, syntax.Array(*place, items), True)

    def between(
        self, target: syntax.Node, word: Token, lower: syntax.Node, middle: Token, upper: syntax.Node
    ) -> syntax.Node:
        return syntax.Range(*_at(word), target, lower, upper, False)

    def not_between(
        self, target: syntax.Node, no: Token, word: Token, lower: syntax.Node, middle: Token, upper: syntax.Node
    ) -> syntax.Node:
        return syntax.Range(*_at(no), target, lower, upper, True)

    def between_list(self, target: syntax.Node, word: Token, bounds: syntax.Node) -> syntax.Node:
        return _range_of(target, word, bounds, False)

    def not_between_list(self, target: syntax.Node, no: Token, word: Token, bounds: syntax.Node) -> syntax.Node:
        return _range_of(target, no, bounds, True)


def _range_of(target: syntax.Node, word: Token, bounds: syntax.Node, negated: bool) -> syntax.Node:
    if not isinstance(bounds, syntax.Array) or len(bounds.items) != 2:
        raise BadExpression(
            [Problem("between needs two bounds", *_at(word), "write `x between 1 and 5` or `x between [1, 5]`")]
        )
    return syntax.Range(*_at(word), target, bounds.items[0], bounds.items[1], negated)
