"""The computed columns of a query: in the order in which they use each other, as one node.

Columns may be written in any order; a circle is refused. All expressions of a query that stand between the same lookups
are one node, over all rows of its source: so sessions with the same columns share their values whatever they filter,
and the column of a million rows is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.live.clearing import cleared
from tesseract_grpc.engine.live.resolve_lookups import lookup_columns
from tesseract_grpc.engine.live.stage import Stage
from tesseract_grpc.engine.operators.compute import ComputeOperator, Formula, extended_schema
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.computed_order import computed_order
from tesseract_grpc.engine.query.expression.check import check_expression, check_template
from tesseract_grpc.engine.query.expression.names import names_in
from tesseract_grpc.engine.query.expression.typed import ColumnRef, Type, Typed, columns_of, spelling

if TYPE_CHECKING:
    from tesseract_grpc.engine.live.resolve import Planner


def computed_columns(planner: Planner, stage: Stage, columns: Sequence[ComputedColumn], field: str) -> Stage:
    """The rows with these columns. Raises InvalidRequest, BadExpression, FeatureNotAvailable."""
    names = tuple(column.name for column in columns)
    stage = cleared(planner, stage, names)
    shown = stage.shown + names
    uses = [(column.name, _uses(column, f"{field}[{index}]")) for index, column in enumerate(columns)]
    rest = computed_order(uses, stage.shown, field)
    while rest:
        missing = {columns[index].name for index in rest}
        now = [index for index in rest if columns[index].lookup is not None and not missing & set(uses[index][1])]
        if now:
            lookups = [(columns[index], f"{field}[{index}]") for index in now]
            stage = lookup_columns(planner, stage, lookups, _looked_up)
        else:
            for index in rest:
                if columns[index].lookup is None and not missing & set(uses[index][1]):
                    now.append(index)
                    missing.discard(columns[index].name)
            stage = _formulas(planner, stage, [(columns[index], f"{field}[{index}]") for index in now])
        rest = [index for index in rest if index not in now]
    return replace(stage, shown=shown)


def _formulas(planner: Planner, stage: Stage, columns: Sequence[tuple[ComputedColumn, str]]) -> Stage:
    """The rows with columns that expressions and templates give, each of which may use the ones before it."""
    formulas: list[Formula] = []
    schema = stage.schema
    for column, field in columns:
        formula = formula_of(column, schema, field)
        stage.see([name for name in columns_of(formula.root) if name in stage.schema], field)
        formulas.append(formula)
        schema = extended_schema(schema, [formula.column])
    return compute(planner, stage, formulas)


def _looked_up(planner: Planner, right: Stage, column: ComputedColumn, field: str) -> tuple[Stage, str]:
    """A source with the expression or template that a lookup takes from it, and the name of that column."""
    assert column.lookup is not None
    name = column.name
    while name in right.schema:
        name += "'"
    value = ComputedColumn(name, column.lookup.expression, column.lookup.template)
    return _formulas(planner, right, [(value, field)]), name


def _uses(column: ComputedColumn, field: str) -> frozenset[str]:
    if column.lookup is not None:
        return frozenset(key.left for key in column.lookup.on)
    if column.template:
        return names_in(column.template, f"{field}.template", template=True)
    return names_in(column.expression, f"{field}.expression") if column.expression else frozenset()


def formula_of(column: ComputedColumn, schema: TableSchema, field: str) -> Formula:
    """The checked formula of a column that an expression or a template gives."""
    if bool(column.expression) == bool(column.template):
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST,
            f"the computed column '{column.name[:140]}' needs either an expression, a template or a lookup",
            field=field,
        )
    if column.expression:
        root = check_expression(column.expression, schema, field=f"{field}.expression").root
    else:
        root = check_template(column.template, schema, field=f"{field}.template").root
    return Formula(column_of(column.name, root, schema), root)


def column_of(name: str, root: Typed, schema: TableSchema, *, hidden: bool = False) -> ColumnSchema:
    """The column that holds an expression's values: an enum stays one only where a column is repeated."""
    kind = root.type.data_type
    values: tuple[str, ...] = ()
    if root.type is Type.ENUM:
        if isinstance(root, ColumnRef):
            values = schema.column(root.name).enum_values
        else:
            kind = DataType.STRING
    return ColumnSchema(name, kind, enum_values=values, derived=True, hidden=hidden)


def compute(planner: Planner, stage: Stage, formulas: Sequence[Formula]) -> Stage:
    """The rows with the columns of these formulas, which may use the ones before them."""
    if not formulas:
        return stage
    base = stage.source.table
    fingerprint = ("compute", tuple((f.column, spelling(f.root)) for f in formulas))

    def make() -> ComputeOperator:
        return ComputeOperator(base.name, base, formulas, planner.line, planner.history)

    names = ", ".join(formula.column.name for formula in formulas)
    node = planner.node("compute", names, fingerprint, [stage.source], make)
    shown = stage.shown + tuple(formula.column.name for formula in formulas if not formula.column.hidden)
    return Stage(node.source, stage.where, shown)
