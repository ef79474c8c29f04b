"""Groupings in terms of groups on one level of plain columns.

What a grouping may say beyond that is rewritten, so that equal parts of different queries are maintained once:

* an aggregate of an expression reads a hidden column that is computed below the group, one with a filter a hidden
  column that is null where the filter is not true;
* a pivot is the groups and the same groups split by its column, side by side (`operators/pivot.py`);
* a rollup is the union of the groups by each number of columns, and of the rows themselves;
* an aggregate that is an expression of other aggregates is a column that is computed above the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import InvalidRequest, LimitExceeded, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.live.resolve_computed import column_of, compute
from tesseract_grpc.engine.live.resolve_pivot import Pivoted, pivoted, renamed, spread
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.live.tree_plan import LEVEL
from tesseract_grpc.engine.operators.compute import Formula, extended_schema
from tesseract_grpc.engine.operators.filter import routed_filter
from tesseract_grpc.engine.operators.group import group_schema
from tesseract_grpc.engine.operators.masked import Mask, MaskOperator
from tesseract_grpc.engine.operators.union import Constant, UnionOperator
from tesseract_grpc.engine.query.expression.check import check_expression
from tesseract_grpc.engine.query.expression.typed import ColumnRef, Typed, columns_of, spelling
from tesseract_grpc.engine.query.filter import Filter
from tesseract_grpc.engine.query.grouping import Aggregate, Grouping, GroupMode
from tesseract_grpc.engine.query.query import plan_filter

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner

MOST_LEVELS = 32
"""The most columns of a rollup: each is a grouping of all rows."""

_EXPRESSION = "expression"
_ORDERED_BY_VALUE = frozenset(("min_by", "max_by"))
_FIELD = "query.group"


def grouped(planner: Planner, stage: Stage, grouping: Grouping) -> Stage:
    """The rows of a grouping. Raises InvalidRequest, BadExpression, LimitExceeded."""
    _check(stage, grouping)
    plain = tuple(aggregate for aggregate in grouping.aggregates if aggregate.function != _EXPRESSION)
    below, plain = _arguments(planner, stage, grouping, plain)
    pivot = pivoted(planner, stage, grouping)
    levels = []
    for by in _levels(grouping):
        flat = Grouping(by, plain)
        levels.append(planner.group(below, flat) if pivot is None else spread(planner, below, flat, pivot))
    result = levels[0] if grouping.mode is GroupMode.FLAT else _united(planner, stage, grouping, levels)
    return _expressions(planner, below, result, grouping, plain, pivot)


def _check(stage: Stage, grouping: Grouping) -> None:
    if grouping.include_leafs and grouping.mode is not GroupMode.ROLLUP:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST,
            "include_leafs needs the mode ROLLUP, which makes a tree",
            field=f"{_FIELD}.include_leafs",
        )
    if grouping.mode is GroupMode.ROLLUP and len(grouping.by) > MOST_LEVELS:
        raise LimitExceeded(
            Reason.LIMIT_EXCEEDED,
            f"a rollup by {len(grouping.by)} columns; the limit is {MOST_LEVELS}",
            field=f"{_FIELD}.by",
            metadata={"limit": "max_rollup_columns", "maximum": str(MOST_LEVELS)},
        )
    names = [*grouping.by, *(aggregate.name for aggregate in grouping.aggregates)]
    if grouping.mode is not GroupMode.FLAT:
        names.insert(0, LEVEL)
    if grouping.include_leafs:
        names += [name for name in stage.shown if name not in grouping.by]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRequest(
                Reason.DUPLICATE_COLUMN,
                f"the grouped result would have two columns '{name[:140]}'",
                field=_FIELD,
                hint="give the aggregate another name, or compute a column with another name",
            )
        seen.add(name)
    stage.see(grouping.by, f"{_FIELD}.by")


def _levels(grouping: Grouping) -> list[tuple[str, ...]]:
    """The columns of each level, the group of all rows first."""
    by = grouping.by
    if grouping.mode is GroupMode.ROLLUP:
        return [by[:count] for count in range(len(by) + 1)]
    return [(), by] if grouping.mode is GroupMode.TOTAL and by else [by]


# What is aggregated


def _arguments(
    planner: Planner, stage: Stage, grouping: Grouping, plain: tuple[Aggregate, ...]
) -> tuple[Stage, tuple[Aggregate, ...]]:
    """The rows with the hidden columns that aggregates need, and the aggregates in terms of columns."""
    fields = {id(each): f"{_FIELD}.aggregates[{index}]" for index, each in enumerate(grouping.aggregates)}
    formulas: dict[str, Formula] = {}
    found: list[Aggregate] = []
    for aggregate in plain:
        field = fields[id(aggregate)]
        for name, where in (
            (aggregate.column, "column"),
            (aggregate.order_by, "order_by"),
            (aggregate.weight, "weight"),
        ):
            if name:
                stage.see([name], f"{field}.{where}")
        found.append(_of_column(stage, aggregate, formulas, field))
    below = compute(planner, stage, list(formulas.values()))
    return _filtered(planner, below, stage, found, [fields[id(each)] for each in plain])


def _of_column(stage: Stage, aggregate: Aggregate, formulas: dict[str, Formula], field: str) -> Aggregate:
    """An aggregate of an expression as one of a hidden column; equal expressions are one column."""
    if not aggregate.expression:
        return aggregate
    if aggregate.column:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST,
            f"aggregate '{aggregate.name[:140]}' has both a column and an expression; give one",
            field=f"{field}.expression",
        )
    root = check_expression(aggregate.expression, stage.schema, field=f"{field}.expression").root
    stage.see(columns_of(root), f"{field}.expression")
    if isinstance(root, ColumnRef):
        return replace(aggregate, column=root.name, expression="")
    name = "=" + spelling(root)
    formulas.setdefault(name, Formula(column_of(name, root, stage.schema, hidden=True), root))
    return replace(aggregate, column=name, expression="")


def _filtered(
    planner: Planner, below: Stage, stage: Stage, aggregates: Sequence[Aggregate], fields: Sequence[str]
) -> tuple[Stage, tuple[Aggregate, ...]]:
    """Aggregates with filters as ones of masked columns."""
    masks: dict[tuple[object, str], Mask] = {}
    found: list[Aggregate] = []
    for aggregate, field in zip(aggregates, fields, strict=True):
        where = plan_filter(aggregate.filter, stage.schema, planner.limits, f"{field}.filter")
        if where is None:
            found.append(replace(aggregate, filter=None))
            continue

        def masked(column: str, where: Filter = where) -> str:
            mask = masks.setdefault((where, column), Mask(f"?{len(masks)}", where, column))
            return mask.name

        if aggregate.function == "count":
            found.append(replace(aggregate, function="count_values", column=masked(""), filter=None))
            continue
        ordered = aggregate.function in _ORDERED_BY_VALUE and aggregate.order_by
        order_by = masked(aggregate.order_by) if ordered else aggregate.order_by
        found.append(replace(aggregate, column=masked(aggregate.column), order_by=order_by, filter=None))
    if not masks:
        return below, tuple(found)
    base = below.source.table
    kept = tuple(masks.values())

    def make() -> MaskOperator:
        return MaskOperator(base.name, base, kept, planner.line, planner.history)

    what = ", ".join(dict.fromkeys(mask.column for mask in kept if mask.column)) or "rows"
    node = planner.node("mask", f"{what} where filters of aggregates are true", ("mask", kept), [below.source], make)
    return replace(below, source=node.source), tuple(found)


# Levels


@dataclass(frozen=True, slots=True)
class _Part:
    """One input of a rollup: its rows, its level, and where each column of the result is in it."""

    stage: Stage
    level: int
    columns: tuple[int | Constant, ...]


def _united(planner: Planner, stage: Stage, grouping: Grouping, levels: Sequence[Stage]) -> Stage:
    """The groups of all levels, and the rows below them, told apart by their level."""
    base = stage.source.table.schema
    last = levels[-1].schema
    by = tuple(replace(base.column(name), primary_key=True) for name in grouping.by)
    values = tuple(column for column in last.columns if not column.primary_key)
    leafs = (
        tuple(base.column(name) for name in stage.shown if name not in grouping.by) if grouping.include_leafs else ()
    )
    parts = []
    for level, names in zip(levels, _levels(grouping), strict=True):
        schema = level.schema
        where: list[int | Constant] = [schema.position(name) if name in names else Constant() for name in grouping.by]
        where += [schema.position(column.name) for column in values] + [Constant()] * len(leafs)
        parts.append(_Part(level, len(names), tuple(where)))
    if grouping.include_leafs:
        where = [base.position(name) for name in grouping.by] + [Constant()] * len(values)
        where += [base.position(column.name) for column in leafs]
        parts.append(_Part(stage, len(grouping.by) + 1, tuple(where)))

    def make() -> UnionOperator:
        return UnionOperator(
            f"{stage.source.table.name} by {', '.join(grouping.by)}",
            [routed_filter(part.stage.source.table, part.stage.where, frozenset()) for part in parts],
            [part.columns for part in parts],
            (*by, *values, *leafs),
            planner.line.current,
            planner.history,
            branch_column=LEVEL,
            branches=[part.level for part in parts],
        )

    fingerprint = (
        "rollup",
        grouping.by,
        grouping.mode,
        tuple(column.name for column in values),
        tuple(column.name for column in leafs),
        tuple(part.stage.source for part in parts),
        stage.where,
    )
    kind = "rollup" if grouping.mode is GroupMode.ROLLUP else "total"
    node = planner.node(kind, f"by {', '.join(grouping.by)}", fingerprint, [p.stage.source for p in parts], make)
    return Stage.of(node.source)


# Expressions of aggregates


def _expressions(
    planner: Planner,
    below: Stage,
    result: Stage,
    grouping: Grouping,
    plain: tuple[Aggregate, ...],
    pivot: Pivoted | None,
) -> Stage:
    """The groups with the aggregates that are expressions, all aggregates in the order in which they are written."""
    prefixes = [""] if pivot is None else pivot.prefixes
    names = [aggregate.name for aggregate in grouping.aggregates]
    formulas: list[Formula] = []
    schema = result.schema
    roots = _roots(below, grouping, plain)
    for prefix in prefixes:
        for name, root in roots.items():
            own = renamed(root, {each: prefix + each for each in names})
            formula = Formula(column_of(prefix + name, own, schema), own)
            formulas.append(formula)
            schema = extended_schema(schema, [formula.column])
    stage = compute(planner, result, formulas)
    first = [*grouping.by] if grouping.mode is GroupMode.FLAT else [LEVEL, *grouping.by]
    first = first or ["group"]
    made = [prefix + name for prefix in prefixes for name in names]
    named = {*first, *made}
    return replace(stage, shown=(*first, *made, *(name for name in result.shown if name not in named)))


def _roots(below: Stage, grouping: Grouping, plain: tuple[Aggregate, ...]) -> dict[str, Typed]:
    """The checked expressions over the grouping columns and the aggregates before each."""
    groups = group_schema(Grouping(grouping.by, plain), below.schema)
    known = TableSchema(groups.key_columns)
    leafs = len(grouping.by) if grouping.include_leafs else None
    roots: dict[str, Typed] = {}
    for index, aggregate in enumerate(grouping.aggregates):
        if aggregate.function != _EXPRESSION:
            known = extended_schema(known, [groups.column(aggregate.name)])
            continue
        field = f"{_FIELD}.aggregates[{index}].expression"
        root = check_expression(aggregate.expression, known, field=field).root
        if leafs is not None:
            # Rows that are no groups have no aggregates. The text has just been found right by itself.
            level = ColumnSchema(LEVEL, DataType.INT64, derived=True)
            text = f"{LEVEL} <= {leafs} ? ({aggregate.expression}) : null"
            root = check_expression(text, extended_schema(known, [level]), field=field).root
        roots[aggregate.name] = root
        known = extended_schema(known, [column_of(aggregate.name, root, known)])
    return roots
