"""What an aggregate is to the operator that groups rows.

A *state* holds, for every group, what one aggregate needs to be maintained, in arrays by group number. The operator
numbers the groups, tells the states which rows come and which leave, and asks for the results of the groups that
changed. An aggregate has *inputs*: no column (count), one, or two (the value, and what weighs it or orders it). States
that need rows in order are told rows by slot, too, and keep no values but what orders them; all others keep no rows.

**What the caller guarantees**

1. `reserve` is called before a group number is used. A number whose group has vanished is cleared before it is used
   again (a group all of whose rows were removed one by one is empty by itself, too).
2. Only rows that were added are removed, with the values with which they were added; a row is added once.
3. Stored values are those of the columns the state was made for: texts as codes into their dictionaries. When rows
   enter or results are read, a row that has entered and not left has the values in its slot with which it entered.
4. Before results are read, groups that are `stale` are rebuilt from all of their rows.

**What a state guarantees**

5. The result of a group depends on nothing but its rows: not on how they were batched, not on rows that came and left,
   and on their order only where the aggregate speaks of it. Results computed from scratch have the same bits.
6. Nulls are skipped. What is not a number, too large or too small is exactly that only while it is there.
7. `enter` and `leave` cost time in proportion to the rows, `result` to the groups asked for, never to all groups; where
   rows are kept in order, each at most as many steps more as the root of its group's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from tesseract_grpc.engine.data.delta import Stored
from tesseract_grpc.engine.data.dictionary import Dictionary
from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar
from tesseract_grpc.engine.operators.aggregate.arrays import Groups
from tesseract_grpc.engine.operators.aggregate.grouped import Grouped


class AggregateFunction(StrEnum):
    """What can be said about the values of a group."""

    COUNT = "count"
    COUNT_VALUES = "count_values"
    COUNT_IF = "count_if"
    DISTINCT_COUNT = "distinct_count"
    SUM = "sum"
    AVG = "avg"
    WEIGHTED_AVG = "weighted_avg"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    PERCENTILE = "percentile"
    VAR = "var"
    STDDEV = "stddev"
    FIRST = "first"
    LAST = "last"
    MIN_BY = "min_by"
    MAX_BY = "max_by"
    UNIQUE = "unique"
    ANY = "any"
    EVERY = "every"
    JOIN = "join"
    ARRAY = "array"


class AggregateState(Protocol):
    """One aggregate, for all groups."""

    @property
    def type(self) -> DataType:
        """The type of the results."""

    @property
    def in_blocks(self) -> bool:
        """Whether many rows may as well come block by block; otherwise it costs less to take them in at once."""

    @property
    def dictionary(self) -> Dictionary | None:
        """What the results are codes into, where they are texts."""

    def reserve(self, groups: int) -> None:
        """Makes room for this many groups; new groups are empty."""

    def enter(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes in rows: the group of each, repeats allowed in any order, and their stored values, input by input.

        `rows` and the arrays of `inputs` are shared by the states that take in the batch, which saves time.
        """

    def leave(self, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Takes out rows that were added; otherwise as `enter`."""

    def enter_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes in one row, given its stored values, None for null. The same as `enter` of one row."""

    def leave_one(self, group: int, slot: int, values: Sequence[Scalar]) -> None:
        """Takes out one row."""

    def result_one(self, group: int) -> Scalar:
        """The result of one group as a stored value, None for null."""

    def clear(self, groups: Groups) -> None:
        """Makes distinct groups empty."""

    def stale(self) -> Groups:
        """The distinct groups whose result can only be found by looking at their rows again."""

    def rebuild(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Looks at all rows of these stale groups again."""

    def result(self, groups: Groups) -> Stored:
        """The results of distinct groups; null where an aggregate of no values is null. Raises OutOfRange."""

    def memory_bytes(self) -> int:
        """The memory held, in bytes."""

    def check(self, groups: Groups, rows: Grouped, inputs: Sequence[Stored]) -> None:
        """Proves that these groups are what their rows make; asserts."""


_F = AggregateFunction
_WHOLE = frozenset({_F.COUNT, _F.COUNT_VALUES, _F.COUNT_IF, _F.DISTINCT_COUNT})
_CONDITIONS = frozenset({_F.COUNT_IF, _F.ANY, _F.EVERY})
_EXTREMES = frozenset({_F.MIN, _F.MAX})
_OF_NUMBERS = frozenset({_F.SUM, _F.AVG, _F.WEIGHTED_AVG, _F.MEDIAN, _F.PERCENTILE, _F.VAR, _F.STDDEV})
_OF_A_ROW = frozenset({_F.MIN, _F.MAX, _F.SUM, _F.FIRST, _F.LAST, _F.MIN_BY, _F.MAX_BY, _F.UNIQUE})
_MADE = {_F.ANY: DataType.BOOL, _F.EVERY: DataType.BOOL, _F.JOIN: DataType.STRING, _F.ARRAY: DataType.JSON}


def result_type(function: AggregateFunction, column: ColumnSchema | None) -> DataType:
    """The type of an aggregate's results. Raises InvalidRequest when the column's type has no such aggregate."""
    if function is AggregateFunction.COUNT:
        return DataType.INT64
    if column is None:
        raise InvalidRequest(
            Reason.MALFORMED_REQUEST, f"'{function}' needs a column", hint="name the column to aggregate"
        )
    if function in _CONDITIONS and column.type is not DataType.BOOL:
        raise wrong_type(function, column, "it takes BOOL")
    if function in _EXTREMES and column.type is DataType.JSON:
        raise wrong_type(function, column, "JSON values have no order")
    if function in _OF_NUMBERS and not column.type.is_number:
        raise wrong_type(function, column, "it takes INT64 and FLOAT64")
    if function in _WHOLE:
        return DataType.INT64
    if function in _OF_A_ROW:
        return column.type
    return _MADE.get(function, DataType.FLOAT64)


def wrong_type(function: AggregateFunction, column: ColumnSchema, why: str) -> InvalidRequest:
    """What is said of a column of which there is no such aggregate."""
    return InvalidRequest(
        Reason.WRONG_TYPE,
        f"column '{column.name}' is {column.type.name}, of which there is no '{function}': {why}",
        field=column.name,
        hint="aggregate another column, or use count",
    )
