"""What an aggregate is to the operator that groups rows.

A *state* holds, for every group, what one aggregate of one column needs to be maintained: numbers in arrays by group
number, never the rows. The operator numbers the groups, tells the states which rows come and which leave, and asks for
the results of the groups that changed.

**What the caller guarantees**

1. `reserve` is called before a group number is used. A number whose group has vanished is cleared before it is used
   again (a group all of whose rows were removed one by one is empty by itself, too).
2. Only rows that were added are removed, with the values with which they were added.
3. Stored values are those of the column the state was made for: texts as codes into its dictionary.
4. Before results are read, groups that are `stale` are rebuilt from all of their rows.

**What a state guarantees**

5. The result of a group depends on nothing but its rows: not on their order, not on how they were batched, not on rows
   that came and left. Results computed from scratch have the same bits.
6. Nulls are skipped. What is not a number, too large or too small is exactly that only while it is there.
7. `add` and `remove` cost time in proportion to the rows, `result` to the groups asked for, never to all groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from tesseract_grpc.engine.data.column import Column
from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar
from tesseract_grpc.engine.operators.aggregate.arrays import Groups
from tesseract_grpc.engine.operators.aggregate.count import RowCount, ValueCount
from tesseract_grpc.engine.operators.aggregate.extreme import Maximum, Minimum
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped
from tesseract_grpc.engine.operators.aggregate.state import ColumnState
from tesseract_grpc.engine.operators.aggregate.sums import Average, Sum
from tesseract_grpc.engine.operators.aggregate.variance import Deviation, Variance


class AggregateFunction(StrEnum):
    """What can be said about the values of a group."""

    COUNT = "count"
    COUNT_VALUES = "count_values"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    VAR = "var"
    STDDEV = "stddev"


class AggregateState(Protocol):
    """One aggregate of one column, for all groups."""

    @property
    def type(self) -> DataType:
        """The type of the results."""

    def reserve(self, groups: int) -> None:
        """Makes room for this many groups; new groups are empty."""

    def add(self, groups: Groups, stored: Stored, grouped: Grouped | None = None) -> None:
        """Takes in rows: the group of each, repeats allowed in any order, and their stored values.

        `grouped`, made of the same groups, is shared by the states that take in the batch; it saves time and changes
        nothing.
        """

    def remove(self, groups: Groups, stored: Stored, grouped: Grouped | None = None) -> None:
        """Takes out rows that were added; otherwise as `add`."""

    def add_one(self, group: int, value: Scalar) -> None:
        """Takes in one row, given its stored value, None for null. The same as `add` of one row, without arrays."""

    def remove_one(self, group: int, value: Scalar) -> None:
        """Takes out one row."""

    def result_one(self, group: int) -> Scalar:
        """The result of one group as a stored value, None for null."""

    def clear(self, groups: Groups) -> None:
        """Makes distinct groups empty."""

    def stale(self) -> Groups:
        """The distinct groups whose result can only be found by looking at their rows again."""

    def rebuild(self, groups: Groups, row_groups: Groups, stored: Stored) -> None:
        """Looks at all rows of these stale groups again; `row_groups` has the group of each row."""

    def result(self, groups: Groups) -> Stored:
        """The results of distinct groups; null where an aggregate of no values is null. Raises OutOfRange."""

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""

    def check(self, groups: Groups, row_groups: Groups, stored: Stored) -> None:
        """Proves that these groups are what their rows make; asserts."""


_COUNTS = frozenset({AggregateFunction.COUNT, AggregateFunction.COUNT_VALUES})
_EXTREMES = frozenset({AggregateFunction.MIN, AggregateFunction.MAX})
_STATES: Mapping[AggregateFunction, type[ColumnState]] = {
    AggregateFunction.COUNT_VALUES: ValueCount,
    AggregateFunction.SUM: Sum,
    AggregateFunction.AVG: Average,
    AggregateFunction.MIN: Minimum,
    AggregateFunction.MAX: Maximum,
    AggregateFunction.VAR: Variance,
    AggregateFunction.STDDEV: Deviation,
}


def result_type(function: AggregateFunction, column: ColumnSchema | None) -> DataType:
    """The type of an aggregate's results. Raises InvalidRequest when the column's type has no such aggregate."""
    if function is AggregateFunction.COUNT:
        return DataType.INT64
    if column is None:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST, f"'{function}' needs a column", hint="name the column to aggregate"
        )
    if function in _COUNTS:
        return DataType.INT64
    if function in _EXTREMES:
        if column.type is DataType.JSON:
            raise _wrong_type(function, column, "JSON values have no order")
        return column.type
    if not column.type.is_number:
        raise _wrong_type(function, column, "it takes INT64 and FLOAT64")
    return column.type if function is AggregateFunction.SUM else DataType.FLOAT64


def _wrong_type(function: AggregateFunction, column: ColumnSchema, why: str) -> InvalidRequest:
    return InvalidRequest(
        Reason.WRONG_TYPE,
        f"column '{column.name}' is {column.type.name}, of which there is no '{function}': {why}",
        field=column.name,
        hint="aggregate another column, or use count",
    )


def make_state(function: AggregateFunction, column: Column | None) -> AggregateState:
    """An empty state. Raises InvalidRequest as `result_type` does."""
    result_type(function, None if column is None else column.schema)
    if function is AggregateFunction.COUNT or column is None:
        return RowCount()
    return _STATES[function](column)
