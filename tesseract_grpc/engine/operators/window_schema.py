"""What window columns add to a relation: checked, with the type of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.operators.aggregate.contract import AggregateFunction, result_type
from tesseract_grpc.engine.query.query import Limits
from tesseract_grpc.engine.query.window_column import WindowColumn, WindowFunction

MAX_WINDOW_COLUMNS = 100
"""The most window columns of one query."""

NUMBERING = frozenset({WindowFunction.ROW_NUMBER, WindowFunction.RANK, WindowFunction.DENSE_RANK})
SHIFTING = frozenset({WindowFunction.LAG, WindowFunction.LEAD})
AGGREGATING: Mapping[WindowFunction, AggregateFunction] = {
    WindowFunction.SUM: AggregateFunction.SUM,
    WindowFunction.AVG: AggregateFunction.AVG,
    WindowFunction.COUNT: AggregateFunction.COUNT_VALUES,
    WindowFunction.MIN: AggregateFunction.MIN,
    WindowFunction.MAX: AggregateFunction.MAX,
}
_LIMITS = Limits()


def window_schema(
    columns: Sequence[WindowColumn],
    schema: TableSchema,
    limits: Limits = _LIMITS,
    field: str = "query.window_columns",
    start: int = 0,
) -> tuple[ColumnSchema, ...]:
    """The columns that window columns add to a relation; the first is the one at `start`. Raises InvalidRequest."""
    added: list[ColumnSchema] = []
    for index, column in enumerate(columns, start):
        where = f"{field}[{index}]"
        _check_place(column, schema, limits, where)
        added.append(_result_column(column, schema, where))
        try:
            schema.extended(added)
        except InvalidRequest as error:  # the name is taken, or is none
            raise InvalidRequest(error.reason, error.message, field=f"{where}.name") from None
    return tuple(added)


def _check_place(column: WindowColumn, schema: TableSchema, limits: Limits, field: str) -> None:
    """Checks by what rows are parted and ordered."""
    for index, name in enumerate(column.partition_by):
        where = f"{field}.partition_by[{index}]"
        if schema.column(name, field=where).type is DataType.JSON:
            raise InvalidRequest(
                Reason.WRONG_TYPE, f"column '{name}' is JSON, and rows cannot be partitioned by it", field=where
            )
        if name in column.partition_by[:index]:
            raise InvalidRequest(Reason.DUPLICATE_COLUMN, f"column '{name}' is named twice", field=where)
    if len(column.order_by) > limits.max_sort_keys:
        raise InvalidRequest(
            Reason.BAD_SORT,
            f"{len(column.order_by)} sort keys; the limit is {limits.max_sort_keys}",
            field=f"{field}.order_by",
        )
    for index, key in enumerate(column.order_by):
        where = f"{field}.order_by[{index}].column"
        if schema.column(key.column, field=where).type is DataType.JSON:
            raise InvalidRequest(Reason.BAD_SORT, f"column '{key.column}' is JSON and cannot be sorted by", field=where)


def _result_column(column: WindowColumn, schema: TableSchema, field: str) -> ColumnSchema:
    """What the function gives. An option that it does not have is refused, not ignored."""
    name = column.function.name
    source = schema.column(column.column, field=f"{field}.column") if column.column else None
    if column.function in NUMBERING:
        if source is not None:
            raise _malformed(f"{name} takes no column", f"{field}.column")
    elif source is None and column.function is not WindowFunction.COUNT:
        raise _malformed(f"{name} needs a column", f"{field}.column")
    if column.function not in SHIFTING and column.offset != 1:
        raise _malformed(f"{name} has no offset; LAG and LEAD have", f"{field}.offset")
    if column.offset < 1:
        raise _malformed(f"the offset is {column.offset}; it must be at least 1", f"{field}.offset")
    if column.rows is not None:
        if column.function not in AGGREGATING:
            raise _malformed(f"{name} is not over a number of rows", f"{field}.rows")
        if column.rows < 1:
            raise _malformed(f"rows is {column.rows}; the row itself is always one of them", f"{field}.rows")
    if source is None:
        return ColumnSchema(column.name, DataType.INT64, derived=True)
    kind = source.type
    if column.function in AGGREGATING:
        try:
            kind = result_type(AGGREGATING[column.function], source)
        except InvalidRequest as error:
            raise InvalidRequest(error.reason, error.message, field=f"{field}.column", hint=error.hint) from None
    values = source.enum_values if kind is DataType.ENUM else ()
    return ColumnSchema(column.name, kind, enum_values=values, derived=True)


def _malformed(message: str, field: str) -> InvalidRequest:
    return InvalidRequest(Reason.MALFORMED_REQUEST, message, field=field)
