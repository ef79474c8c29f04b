"""The shape of a filter: what it asks, without the values that it asks for."""

from __future__ import annotations

from tesseract_grpc.engine.data.filter_uses import FilterShape
from tesseract_grpc.engine.query.filter_parts import columns_named, conjuncts
from tesseract_grpc.engine.query.filter_text import FORM, filter_text
from tesseract_grpc.engine.query.filter_tree import AllOf, AnyOf, Compare, CompareOp, Filter, In

LONGEST = 500
"""A longer text is cut: filters of ten thousand nodes are seldom alike."""
MOST_PARTS = 100
"""Of so many parts on one level a filter is written out."""

_EQUAL = CompareOp.EQUAL
_BOUNDS = (CompareOp.LESS, CompareOp.LESS_OR_EQUAL, CompareOp.GREATER, CompareOp.GREATER_OR_EQUAL)


def shape_of(where: Filter) -> FilterShape:
    """The shape of a filter in normal form. O(nodes)."""
    if isinstance(where, (AllOf, AnyOf)) and len(where.filters) > MOST_PARTS:
        kind = "all" if isinstance(where, AllOf) else "one"
        return FilterShape(f"{kind} of more than {MOST_PARTS} conditions", _columns(where))
    text = filter_text(where, FORM)
    equal: list[str] = []
    bounded: list[str] = []
    for part in conjuncts(where):
        if isinstance(part, In):
            if not part.negated:
                equal.append(part.column)
        elif isinstance(part, Compare):
            if part.op is _EQUAL:
                equal.append(part.column)
            elif part.op in _BOUNDS and not isinstance(part.value, str):  # bounds of texts are looked up by text
                bounded.append(part.column)
    cut = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return FilterShape(cut, _columns(where), tuple(dict.fromkeys(equal)), tuple(dict.fromkeys(bounded)))


def _columns(where: Filter) -> tuple[str, ...]:
    return tuple(sorted({FORM.name(name) for name in columns_named(where)}))
