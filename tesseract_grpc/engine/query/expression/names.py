"""The names that an expression mentions, before anything is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from tesseract_grpc.engine.query.expression import syntax
from tesseract_grpc.engine.query.expression.parse import parse, parse_template


def names_in(text: str, field: str, *, template: bool = False) -> frozenset[str]:
    """What may be a column in it; also words of the language. Raises BadExpression, LimitExceeded."""
    return frozenset(_names(parse_template(text, field) if template else parse(text, field)))


def _names(node: object) -> Iterator[str]:
    if isinstance(node, syntax.Name):
        yield node.name
    elif isinstance(node, tuple):
        for each in node:
            yield from _names(each)
    elif is_dataclass(node):
        for each in fields(node):
            yield from _names(getattr(node, each.name))
