"""How much an expression may be, and the measuring of it.

Length and nesting of brackets are measured before anything else, in one pass over the text; depth, size and cost on
the syntax tree, without recursion. Cost is what a row may have to pay: a part costs 1, a function, a pattern and a long
text more, and what stands in a function eight times as much for each function around it, because it is done for many
items.
"""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import LimitExceeded, Reason
from tesseract_grpc.engine.query.expression import syntax


@dataclass(frozen=True, slots=True)
class ExpressionLimits:
    """The limits of one expression or template."""

    max_length: int = 10_000
    """Characters."""
    max_depth: int = 64
    """Levels, of its brackets and of its tree. A chain of `&&` or of `||` is one level."""
    max_nodes: int = 2_000
    """Parts."""
    max_cost: int = 20_000
    """Cost, as told above."""


LIMITS = ExpressionLimits()

_FUNCTION, _IN_FUNCTION = 100, 8
_PATTERN, _TEXT = 8, 64


def check_text(text: str, field: str, limits: ExpressionLimits, *, template: bool = False) -> None:
    """Raises LimitExceeded when the text is too long, or its brackets are nested too deeply. O(n)."""
    if len(text) > limits.max_length:
        raise exceeded("max_expression_length", limits.max_length, "characters", field)
    if not template and _nesting(text) > limits.max_depth:
        raise exceeded("max_expression_depth", limits.max_depth, "levels", field)


def check_tree(root: syntax.Node, field: str, limits: ExpressionLimits) -> None:
    """Raises LimitExceeded when the tree is too large or too deep for what walks it, or costs too much."""
    count = depth = cost = 0
    level = [(root, 1)]
    while level:
        depth += 1
        count += len(level)
        cost += sum(_weight(node) * factor for node, factor in level)
        if depth > limits.max_depth:
            raise exceeded("max_expression_depth", limits.max_depth, "levels", field)
        if count > limits.max_nodes:
            raise exceeded("max_expression_nodes", limits.max_nodes, "parts", field)
        if cost > limits.max_cost:
            raise exceeded("max_expression_cost", limits.max_cost, "units of cost", field)
        level = [
            (below, factor * _IN_FUNCTION if isinstance(node, syntax.Function) else factor)
            for node, factor in level
            for below in syntax.children(node)
        ]


def _weight(node: syntax.Node) -> int:
    if isinstance(node, syntax.Function):
        return _FUNCTION
    if isinstance(node, syntax.Pattern):
        return 1 + len(node.text) // _PATTERN
    if isinstance(node, syntax.Literal) and isinstance(node.value, str):
        return 1 + len(node.value) // _TEXT
    return 1


def _nesting(text: str) -> int:
    """The deepest nesting of brackets, quoted texts left out. O(n)."""
    deepest = depth = 0
    quote = ""
    skip = False
    for character in text:
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "\"'`":
            quote = character
        elif character in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]":
            depth -= 1
    return deepest


def exceeded(name: str, most: int, what: str, field: str) -> LimitExceeded:
    """The refusal of what is more than a limit allows."""
    return LimitExceeded(
        Reason.LIMIT_EXCEEDED,
        f"an expression may have at most {most} {what}",
        field=field,
        metadata={"limit": name, "maximum": str(most)},
    )
