"""In which order the parts of a filter are tested, and why.

Parts that must all hold are tested one after the other, and as soon as few rows are left, those behind look at these
rows alone. So the order decides what a filter costs, and nothing else: a condition has one answer for a row whoever
asked before it, unknown counts as false, and no expression can fail on a row (what cannot be computed is null).

* Where an index brings candidates, it comes first: everything is tested on its candidates alone.
* Conditions on one column come next, by what they cost a row; between equals, as the normal form has them.
* Branches (one of several must hold) cost what all their conditions cost together.
* Expressions come last: they cost a step an operation, and may read documents.
"""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.data.relation import Relation
from tesseract_grpc.engine.operators.predicate import compile_term
from tesseract_grpc.engine.operators.predicate_leaf import FEW, Rank, Term, in_order
from tesseract_grpc.engine.operators.routing_keys import routing_keys
from tesseract_grpc.engine.query.filter import AnyOf, Compare, Filter, In, Like, NullTest, Regex
from tesseract_grpc.engine.query.filter_parts import conjuncts
from tesseract_grpc.engine.query.filter_text import WHOLE, Wording, filter_text

MOST = 100
"""So many parts are told."""


@dataclass(frozen=True, slots=True)
class FilterPart:
    """A part of a filter at its place in the order."""

    where: Filter
    how: str
    """index, column, list, texts, branches or expression."""
    why: str

    def text(self, wording: Wording = WHOLE) -> str:
        """The part as people read it."""
        return filter_text(self.where, wording)


def filter_order(where: Filter | None, table: Relation, index: str = "") -> tuple[FilterPart, ...]:
    """The parts of a checked filter as they are tested; `index` is the column whose index brings the candidates.

    O(parts), and O(distinct texts) for patterns, as testing them has.
    """
    if where == AnyOf(()):
        return ()  # no row can satisfy it, and nothing is tested
    parts = conjuncts(where)[:MOST]
    terms = [compile_term(part, table.schema, table.columns) for part in parts]
    tested = [(parts[place], terms[place]) for place in in_order(terms)]
    found = [_by_index(part, index) for part, _ in tested if _is_of(part, table, index)]
    return (*found, *(_tested(part, term) for part, term in tested if not _is_of(part, table, index)))


def _is_of(part: Filter, table: Relation, index: str) -> bool:
    """Whether the part is a reason for which the index over this column is asked."""
    keys = routing_keys(part, table.schema, table.columns, intern=False) if index else ()
    return any(table.schema.columns[key.column].name == index for key in keys)


def _by_index(part: Filter, index: str) -> FilterPart:
    return FilterPart(
        part, "index", f"the index over {index} brings the candidates, and the others look at those alone"
    )


def _tested(part: Filter, term: Term) -> FilterPart:
    return FilterPart(part, *_manner(part, term))


def _manner(part: Filter, term: Term) -> tuple[str, str]:
    if term.rank is Rank.EXPRESSION:
        return "expression", f"expressions come last, {term.cost:g} times the cost of an equality"
    if term.rank is Rank.BRANCHES:
        branches = len(part.filters) if isinstance(part, AnyOf) else 1
        return "branches", f"{branches} branches, {term.cost:g} times the cost of an equality"
    match part:
        case NullTest():
            return "column", "looks at which rows have a value, and at no values"
        case In(values=values) if len(values) > FEW:
            return "list", f"{len(values)} values, looked up"
        case In(values=values):
            return "list", f"{len(values)} values, compared one by one"
        case Like() | Regex():
            return "texts", "looks at each distinct text once, and then at which text a row has"
        case Compare() if term.cost > _BOUND:
            return "texts", "compares each distinct text once, and then looks at which text a row has"
    return "column", "one comparison a row"


_BOUND = 2.0
"""What a comparison costs at most that looks at values and not at texts."""
