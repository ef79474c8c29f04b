"""Filters: what a client may ask of a row, checked against a table's schema and brought to normal form.

`check_filter` is the gate. What comes out of it fits the schema, has every literal in the column's own type, and is
the same object value for filters that mean the same, as far as the rules of `normal_form` and `combine` go.
"""

from __future__ import annotations

from tesseract_grpc.engine.data.errors import InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.query.combine import all_of, any_of, settled
from tesseract_grpc.engine.query.expression import fold
from tesseract_grpc.engine.query.expression.check import check_condition
from tesseract_grpc.engine.query.expression.lower import PATTERNS, lowered
from tesseract_grpc.engine.query.expression.typed import Call, Type, walk
from tesseract_grpc.engine.query.filter_tree import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Between,
    Compare,
    CompareOp,
    Custom,
    Expression,
    Filter,
    In,
    Like,
    Negate,
    NullTest,
    Regex,
)
from tesseract_grpc.engine.query.like_pattern import LikePattern
from tesseract_grpc.engine.query.literal import bind_literal, bind_literals
from tesseract_grpc.engine.query.normal_form import NEGATED, compare, members
from tesseract_grpc.engine.query.text_pattern import text_test

__all__ = [
    "FALSE",
    "MAX_DEPTH",
    "MAX_MEMBERS",
    "MAX_NODES",
    "MAX_PATTERNS",
    "TRUE",
    "AllOf",
    "AnyOf",
    "Between",
    "Compare",
    "CompareOp",
    "Custom",
    "Expression",
    "Filter",
    "In",
    "Like",
    "Negate",
    "NullTest",
    "Regex",
    "check_filter",
]

MAX_DEPTH = 64
"""The most levels of a filter."""

MAX_NODES = 10_000
"""The most nodes of a filter."""

MAX_MEMBERS = 100_000
"""The most values of one membership test."""

MAX_PATTERNS = 64
"""The most patterns (like, regex) of a filter; each is compiled, and looks once at each distinct text."""


def check_filter(
    filter: Filter | None,
    schema: TableSchema,
    *,
    field: str = "filter",
    max_depth: int = MAX_DEPTH,
    max_nodes: int = MAX_NODES,
) -> Filter:
    """The normal form of a filter. None, which keeps every row, becomes TRUE.

    What asks for the present stays an expression: no index, no routing and no bound knows it. Raises InvalidRequest
    with the path of the wrong field, and LimitExceeded. O(n log n).
    """
    return TRUE if filter is None else _Check(schema, max_depth, max_nodes).normal(filter, False, field, 1)


class _Check:
    """One run of `check_filter`: walks the tree, carrying down whether the part is negated."""

    def __init__(self, schema: TableSchema, max_depth: int, max_nodes: int) -> None:
        self.schema = schema
        self.max_depth = max_depth
        self.max_nodes = max_nodes
        self.nodes = 0
        self.patterns = 0

    def normal(self, node: Filter, negated: bool, field: str, depth: int) -> Filter:
        """The normal form of a part, or of its negation."""
        self.nodes += 1
        if depth > self.max_depth:
            raise _limit("max_filter_depth", self.max_depth, "levels", field)
        if self.nodes > self.max_nodes:
            raise _limit("max_filter_nodes", self.max_nodes, "nodes", field)
        if isinstance(node, (AllOf, AnyOf)):
            conjunction = isinstance(node, AllOf)
            name = "all_of" if conjunction else "any_of"
            parts = [
                self.normal(f, negated, f"{field}.{name}.filters[{i}]", depth + 1) for i, f in enumerate(node.filters)
            ]
            # De Morgan: the negation of a conjunction is the disjunction of the negations, also where some are unknown.
            return (all_of if conjunction is not negated else any_of)(parts, self.schema)
        if isinstance(node, Negate):
            return self.normal(node.filter, not negated, f"{field}.negate", depth + 1)
        if isinstance(node, Custom):
            return self.custom(node, negated, f"{field}.custom", depth)
        if isinstance(node, Expression):
            return self.expression(node, negated, field)
        return self.leaf(node, negated, field)

    def custom(self, node: Custom, negated: bool, field: str, depth: int) -> Filter:
        """What the text says, as far as possible in the nodes that indexes and routing know."""
        condition = check_condition(node.text, self.schema, field=field).root
        if negated:
            condition = fold.call(Type.BOOL, "not", (condition,))
        return self.normal(lowered(condition, self.schema), False, field, depth)

    def expression(self, node: Expression, negated: bool, field: str) -> Filter:
        parts = list(walk(node.condition))
        self.nodes += len(parts) - 1
        if self.nodes > self.max_nodes:
            raise _limit("max_filter_nodes", self.max_nodes, "nodes", field)
        self.patterns += sum(isinstance(each, Call) and each.op in PATTERNS for each in parts)
        if self.patterns > MAX_PATTERNS:
            raise _limit("max_filter_patterns", MAX_PATTERNS, "patterns", field)
        return Expression(fold.call(Type.BOOL, "not", (node.condition,))) if negated else node

    def leaf(self, node: Compare | In | Between | Like | Regex | NullTest, negated: bool, field: str) -> Filter:
        if isinstance(node, Compare):
            return self.compare(node, negated, f"{field}.comparison")
        if isinstance(node, In):
            return self.membership(node, negated, f"{field}.membership")
        if isinstance(node, Between):
            return self.between(node, negated, f"{field}.between")
        if isinstance(node, NullTest):
            column = self.column(node.column, f"{field}.null_test")
            return self.null_test(column, node.negated is not negated)
        return self.text(node, negated, f"{field}.{'like' if isinstance(node, Like) else 'regex'}")

    def column(self, name: str, field: str) -> ColumnSchema:
        return self.schema.column(name, field=f"{field}.column")

    def null_test(self, column: ColumnSchema, negated: bool) -> Filter:
        return settled(NullTest(column.name, negated), self.schema)

    def compare(self, node: Compare, negated: bool, field: str) -> Filter:
        column = self.column(node.column, field)
        try:
            op = CompareOp(node.op)
        except ValueError:
            raise InvalidRequest(
                Reason.MALFORMED_FILTER, "a comparison needs an operator", field=f"{field}.operator"
            ) from None
        if node.value is None:
            if op not in (CompareOp.EQUAL, CompareOp.NOT_EQUAL):
                raise InvalidRequest(
                    Reason.MALFORMED_FILTER,
                    f"column '{column.name}': null can be compared only with EQUAL and NOT_EQUAL",
                    field=f"{field}.value",
                )
            return self.null_test(column, (op is CompareOp.NOT_EQUAL) is not negated)
        value = bind_literal(column, node.value, f"{field}.value")
        return self.combined(compare(column, NEGATED[op] if negated else op, value))

    def membership(self, node: In, negated: bool, field: str) -> Filter:
        column = self.column(node.column, field)
        if column.type is DataType.JSON:
            bind_literal(column, "", f"{field}.column")  # refuses it, whatever the values are
        if len(node.values) > MAX_MEMBERS:
            raise _limit("max_membership_values", MAX_MEMBERS, "values in a list", f"{field}.values")
        bound = bind_literals(column, node.values, f"{field}.values")
        present = [value for value in bound if value is not None]
        negated = node.negated is not negated
        if negated and len(present) < len(bound):
            return FALSE  # a null in the list makes every row that is not found unknown
        return self.combined(members(column, present, negated))

    def between(self, node: Between, negated: bool, field: str) -> Filter:
        column = self.column(node.column, field)
        sides = ((CompareOp.GREATER_OR_EQUAL, node.lower, "lower"), (CompareOp.LESS_OR_EQUAL, node.upper, "upper"))
        parts = [
            Compare(node.column, op, bind_literal(column, value, f"{field}.{name}"))
            for op, value, name in sides
            if value is not None
        ]
        if not parts:
            raise InvalidRequest(
                Reason.MALFORMED_FILTER, f"column '{column.name}': between needs at least one bound", field=field
            )
        return (any_of if negated else all_of)([self.compare(part, negated, field) for part in parts], self.schema)

    def text(self, node: Like | Regex, negated: bool, field: str) -> Filter:
        column = self.column(node.column, field)
        if column.type not in (DataType.STRING, DataType.ENUM):
            raise InvalidRequest(
                Reason.WRONG_TYPE,
                f"column '{column.name}' is {column.type.name}; only STRING and ENUM columns match patterns",
                field=f"{field}.column",
            )
        self.patterns += 1
        if self.patterns > MAX_PATTERNS:
            raise _limit("max_filter_patterns", MAX_PATTERNS, "patterns", field)
        test = text_test(node, field)
        negated = node.negated is not negated
        if column.type is DataType.ENUM:
            return self.combined(members(column, [name for name in column.enum_values if test(name)], negated))
        if isinstance(node, Regex):
            return Regex(node.column, node.pattern, node.case_insensitive, negated)
        pattern = LikePattern.parse(node.pattern, field)
        if pattern.matches_all:
            return FALSE if negated else self.null_test(column, True)
        return Like(node.column, pattern.spelling, negated)

    def combined(self, form: Filter) -> Filter:
        """The normal form of what a leaf became: a leaf, or a small tree of leaves."""
        if isinstance(form, (AllOf, AnyOf)):
            return (all_of if isinstance(form, AllOf) else any_of)(form.filters, self.schema)
        return settled(form, self.schema)


def _limit(name: str, most: int, what: str, field: str) -> LimitExceeded:
    return LimitExceeded(
        Reason.LIMIT_EXCEEDED,
        f"a filter may have at most {most} {what}",
        field=field,
        metadata={"limit": name, "maximum": str(most)},
    )
