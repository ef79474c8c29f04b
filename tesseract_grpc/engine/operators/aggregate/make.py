"""From the aggregates of a query to their states: which columns each reads, what is refused, and what maintains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema
from tesseract_grpc.engine.operators.aggregate.by_order import First, Insertion, Last, MaxBy, MinBy, OrderedState
from tesseract_grpc.engine.operators.aggregate.contract import (
    AggregateFunction,
    AggregateState,
    result_type,
    wrong_type,
)
from tesseract_grpc.engine.operators.aggregate.count import RowCount, ValueCount
from tesseract_grpc.engine.operators.aggregate.distinct import DistinctCount, Unique
from tesseract_grpc.engine.operators.aggregate.extreme import Maximum, Minimum
from tesseract_grpc.engine.operators.aggregate.flags import Any, CountIf, Every
from tesseract_grpc.engine.operators.aggregate.listed import MOST, Array, Join
from tesseract_grpc.engine.operators.aggregate.percentile import Percentile
from tesseract_grpc.engine.operators.aggregate.state import ColumnState
from tesseract_grpc.engine.operators.aggregate.sums import Average, Sum
from tesseract_grpc.engine.operators.aggregate.variance import Deviation, Variance
from tesseract_grpc.engine.operators.aggregate.weighted import WeightedAverage
from tesseract_grpc.engine.query.grouping import Aggregate

_F = AggregateFunction
_OF_ONE_COLUMN: Mapping[AggregateFunction, type[ColumnState]] = {
    _F.COUNT_VALUES: ValueCount,
    _F.COUNT_IF: CountIf,
    _F.SUM: Sum,
    _F.AVG: Average,
    _F.VAR: Variance,
    _F.STDDEV: Deviation,
    _F.ANY: Any,
    _F.EVERY: Every,
}
_CHOOSING: Mapping[AggregateFunction, type[OrderedState]] = {
    _F.FIRST: First,
    _F.LAST: Last,
    _F.MIN_BY: MinBy,
    _F.MAX_BY: MaxBy,
}
_BY_EXTREME = frozenset({_F.MIN_BY, _F.MAX_BY})
_ORDERED = frozenset({*_CHOOSING, _F.JOIN, _F.ARRAY})
_LISTING = frozenset({_F.JOIN, _F.ARRAY})


def inputs_of(aggregate: Aggregate) -> tuple[str, ...]:
    """The columns that an aggregate reads, in the order in which its state takes them."""
    second = aggregate.weight if aggregate.function == _F.WEIGHTED_AVG else ""
    if aggregate.function in _ORDERED:
        second = aggregate.order_by
    return tuple(name for name in (aggregate.column, second) if name)


def aggregate_column(aggregate: Aggregate, schema: TableSchema, field: str) -> ColumnSchema:
    """The column that an aggregate makes of rows of this schema. Raises InvalidRequest; `field` is where it stands."""
    try:
        function = AggregateFunction(aggregate.function)
    except ValueError:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST,
            f"there is no aggregate '{aggregate.function[:60]}'; there are {', '.join(AggregateFunction)}",
            field=f"{field}.function",
        ) from None
    column = schema.column(aggregate.column, field=f"{field}.column") if aggregate.column else None
    try:
        kind = result_type(function, column)
    except InvalidRequest as error:
        part = "expression" if column is not None and column.hidden else "column"
        raise InvalidRequest(error.reason, error.message, field=f"{field}.{part}", hint=error.hint) from None
    _check_second(aggregate, function, schema, field)
    _check_numbers(aggregate, function, field)
    values = column.enum_values if column is not None and kind is DataType.ENUM else ()
    return ColumnSchema(aggregate.name, kind, enum_values=values, derived=True)


def _check_second(aggregate: Aggregate, function: AggregateFunction, schema: TableSchema, field: str) -> None:
    """The column that weighs or orders."""
    for name, part, wanted, needed in (
        (aggregate.weight, "weight", function is _F.WEIGHTED_AVG, function is _F.WEIGHTED_AVG),
        (aggregate.order_by, "order_by", function in _ORDERED, function in _BY_EXTREME),
    ):
        if name and not wanted:
            raise InvalidRequest(Reason.MALFORMED_REQUEST, f"'{function}' takes no {part}", field=f"{field}.{part}")
        if needed and not name:
            raise InvalidRequest(
                Reason.MALFORMED_REQUEST, f"'{function}' needs a column as its {part}", field=f"{field}.{part}"
            )
        if not name:
            continue
        column = schema.column(name, field=f"{field}.{part}")
        if part == "weight" and not column.type.is_number:
            problem = wrong_type(function, column, "its weight is INT64 or FLOAT64")
        elif part == "order_by" and column.type is DataType.JSON:
            problem = wrong_type(function, column, "JSON values have no order")
        else:
            continue
        raise InvalidRequest(problem.reason, problem.message, field=f"{field}.{part}", hint="name another column")


def _check_numbers(aggregate: Aggregate, function: AggregateFunction, field: str) -> None:
    if function is _F.PERCENTILE and not 0.0 <= aggregate.percentile <= 1.0:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST,
            f"a percentile is from 0 to 1, not {aggregate.percentile}",
            field=f"{field}.percentile",
        )
    if function not in _LISTING and aggregate.limit is not None:
        raise InvalidRequest(Reason.MALFORMED_REQUEST, f"'{function}' takes no limit", field=f"{field}.limit")
    if function is not _F.JOIN and aggregate.separator != ",":
        raise InvalidRequest(Reason.MALFORMED_REQUEST, f"'{function}' takes no separator", field=f"{field}.separator")
    if function in _LISTING and aggregate.limit is not None and not 1 <= aggregate.limit <= MOST:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST, f"a list takes 1 to {MOST} values, not {aggregate.limit}", field=f"{field}.limit"
        )


def is_ordered(aggregate: Aggregate) -> bool:
    """Whether the order of rows decides, or may decide among equals."""
    return AggregateFunction(aggregate.function) in _ORDERED


def make_state(aggregate: Aggregate, columns: Sequence[Column], relation: Insertion) -> AggregateState:
    """An empty state of an aggregate that was checked, over its inputs, which are columns of a relation."""
    function = AggregateFunction(aggregate.function)
    if not columns or function is _F.COUNT:
        return RowCount()
    column, second = columns[0], columns[1] if len(columns) > 1 else None
    if function in _OF_ONE_COLUMN:
        return _OF_ONE_COLUMN[function](column)
    if function in (_F.MIN, _F.MAX):
        return (Minimum if function is _F.MIN else Maximum)(column, relation)
    if function in (_F.DISTINCT_COUNT, _F.UNIQUE):
        return (DistinctCount if function is _F.DISTINCT_COUNT else Unique)(column)
    if function in _CHOOSING:
        return _CHOOSING[function](column, second, relation)
    if function is _F.WEIGHTED_AVG:
        assert second is not None, "a weighted average has a weight"
        return WeightedAverage(column, second)
    if function is _F.JOIN:
        return Join(column, second, relation, aggregate.limit, aggregate.separator)
    if function is _F.ARRAY:
        return Array(column, second, relation, aggregate.limit)
    return Percentile(column, 0.5 if function is _F.MEDIAN else aggregate.percentile)
