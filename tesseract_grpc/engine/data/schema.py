"""What a table is made of: columns, their types, the primary key, secondary indexes.

Schemas are frozen values that validate themselves: a `TableSchema` that exists is sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from tesseract_grpc.engine.data.documents import is_json
from tesseract_grpc.engine.data.errors import InvalidRequest, NotFound, Reason

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,127}\Z")
"""What the id of a table or of a session looks like."""

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

Scalar: TypeAlias = bool | int | float | str | None
"""One value as Python has it; timestamps are whole microseconds since 1970 UTC, JSON is its text."""


class DataType(IntEnum):
    """The type of a column. The numbers are those of the wire."""

    BOOL = 1
    INT64 = 2
    FLOAT64 = 3
    TIMESTAMP = 4
    STRING = 5
    JSON = 6
    ENUM = 7

    @property
    def is_text(self) -> bool:
        """Whether values are codes into a dictionary of texts."""
        return self >= DataType.STRING

    @property
    def is_number(self) -> bool:
        """Whether values can be added."""
        return self in (DataType.INT64, DataType.FLOAT64)


class IndexKind(IntEnum):
    """What an index can answer. The numbers are those of the wire."""

    UNSPECIFIED = 0
    HASH = 1
    SORTED = 2


@dataclass(frozen=True, slots=True)
class ColumnSchema:
    """One column."""

    name: str
    type: DataType
    primary_key: bool = False
    required: bool = False
    default: Scalar = None
    enum_values: tuple[str, ...] = ()
    expression: str = ""  # what computes the column, which then cannot be written
    description: str = ""
    default_expression: str = ""  # what an insert stores that does not mention the column
    inferred: bool = False  # the type is to be that of the expression; tables resolve it when they are created
    derived: bool = False  # made by an operator: what names its rows may be null and of any type
    hidden: bool = False  # made for an operator: clients do not see it, and its name is of no matter
    gone: bool = False  # was dropped: its place is kept, because positions never change, and nothing is in it

    @property
    def nullable(self) -> bool:
        """Whether the column may hold nulls."""
        return self.derived or not (self.primary_key or self.required)


@dataclass(frozen=True, slots=True)
class IndexSchema:
    """A secondary index over one column; a column has at most one."""

    column: str
    kind: IndexKind = IndexKind.UNSPECIFIED

    def resolved(self, schema: TableSchema) -> IndexSchema:
        """This index with its kind chosen, checked against the table. Raises InvalidRequest."""
        column = schema.column(self.column, field="indexes.column")
        if column.type is DataType.JSON:
            raise InvalidRequest(
                Reason.BAD_SCHEMA, f"column '{column.name}' is JSON and cannot be indexed", field="indexes.column"
            )
        if self.kind is not IndexKind.UNSPECIFIED:
            return self
        ordered = column.type in (DataType.INT64, DataType.FLOAT64, DataType.TIMESTAMP)
        return IndexSchema(self.column, IndexKind.SORTED if ordered else IndexKind.HASH)


def _bad(message: str, where: str, reason: Reason = Reason.BAD_SCHEMA) -> InvalidRequest:
    return InvalidRequest(reason, message, field=where)


def check_name(name: str, what: str, where: str) -> None:
    """Raises InvalidRequest unless `name` is a valid id."""
    if not NAME_PATTERN.match(name):
        raise _bad(
            f"'{name[:140]}' is not a valid {what} id: 1 to 128 characters of [A-Za-z0-9_.-], "
            "starting with a letter or '_'",
            where,
            Reason.BAD_NAME,
        )


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a table by position. Raises InvalidRequest when they make no table.

    A column keeps its position for good, whatever is done to the table. So in a table that was altered the order in
    which columns stand for users is another one (`order`: the positions of those that are there), and some positions
    are of columns that are gone. `shown` and `visible` say what users see.

    >>> key = ColumnSchema("id", DataType.INT64, primary_key=True)
    >>> schema = TableSchema((key, ColumnSchema("name", DataType.STRING)))
    >>> schema.position("name")
    1
    """

    columns: tuple[ColumnSchema, ...]
    order: tuple[int, ...] = ()
    key: tuple[int, ...] = field(init=False)
    shown: tuple[int, ...] = field(init=False, repr=False, compare=False, hash=False)
    """The positions of the columns that users see, in their order."""
    _positions: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        if not self.columns:
            raise _bad("a table needs at least one column", "columns")
        positions: dict[str, int] = {}
        for index, column in enumerate(self.columns):
            where = f"columns[{index}]"
            if column.gone:
                continue
            if column.name in positions:
                raise _bad(f"column '{column.name}' is defined twice", f"{where}.name", Reason.DUPLICATE_COLUMN)
            _check_column(column, where)
            positions[column.name] = index
        object.__setattr__(self, "_positions", positions)
        order = self.order or tuple(positions.values())
        object.__setattr__(self, "key", tuple(i for i in order if self.columns[i].primary_key))
        object.__setattr__(self, "shown", tuple(i for i in order if not self.columns[i].hidden))
        if not self.key:
            raise _bad("a table needs a primary key: mark one or more columns with primary_key", "columns")

    @property
    def positions(self) -> Mapping[str, int]:
        """The index of each column by name."""
        return self._positions

    @property
    def visible(self) -> tuple[ColumnSchema, ...]:
        """The columns that users see, in their order."""
        return tuple(self.columns[i] for i in self.shown)

    @property
    def compact(self) -> TableSchema:
        """The same columns, as a table has them that was made so and never altered. O(columns)."""
        return TableSchema(self.visible) if self.order else self

    def extended(self, more: Iterable[ColumnSchema]) -> TableSchema:
        """These columns with more behind them. O(columns). Raises InvalidRequest."""
        columns = (*self.columns, *more)
        return TableSchema(columns, (*self.order, *range(len(self.columns), len(columns))) if self.order else ())

    @property
    def key_columns(self) -> tuple[ColumnSchema, ...]:
        """The columns of the primary key, in order."""
        return tuple(self.columns[i] for i in self.key)

    def position(self, name: str, *, field: str = "column") -> int:
        """The index of a column. Raises InvalidRequest with UNKNOWN_COLUMN."""
        try:
            return self._positions[name]
        except KeyError:
            raise InvalidRequest(
                Reason.UNKNOWN_COLUMN,
                f"there is no column '{name[:140]}'; the columns are {', '.join(c.name for c in self.visible[:40])}",
                field=field,
            ) from None

    def column(self, name: str, *, field: str = "column") -> ColumnSchema:
        """A column by name. Raises InvalidRequest with UNKNOWN_COLUMN."""
        return self.columns[self.position(name, field=field)]

    def __contains__(self, name: str) -> bool:
        return name in self._positions


def _check_column(column: ColumnSchema, where: str) -> None:
    if not column.hidden and (not 1 <= len(column.name) <= 128 or column.name.startswith("__")):
        raise _bad(
            f"'{column.name[:140]}' is not a valid column name: 1 to 128 characters, not starting with '__'",
            f"{where}.name",
            Reason.BAD_NAME,
        )
    if (column.expression or column.default_expression) and not column.derived:
        _check_worked_out(column, where)
    if column.inferred and not column.expression:
        raise _bad(
            f"column '{column.name}' needs a type; only that of a computed column can be left out", f"{where}.type"
        )
    if column.primary_key and column.type in (DataType.FLOAT64, DataType.JSON) and not column.derived:
        raise _bad(f"column '{column.name}': a {column.type.name} column cannot be a key", f"{where}.primary_key")
    if column.primary_key and column.default is not None:
        raise _bad(f"column '{column.name}': a key column cannot have a default", f"{where}.default_value")
    if (column.type is DataType.ENUM) != bool(column.enum_values) and not column.inferred:
        raise _bad(
            f"column '{column.name}': enum_values are required for ENUM columns and only for them",
            f"{where}.enum_values",
        )
    if len(set(column.enum_values)) != len(column.enum_values):
        raise _bad(f"column '{column.name}': enum_values has a name twice", f"{where}.enum_values")
    if column.default is not None:
        check_scalar(column, column.default, f"{where}.default_value")


def _check_worked_out(column: ColumnSchema, where: str) -> None:
    """What a column may not be beside computed, or beside having a default that is."""
    which = "expression" if column.expression else "default_expression"
    if column.primary_key:
        raise _bad(f"column '{column.name}': a key column cannot be worked out", f"{where}.{which}")
    if column.default is not None:
        raise _bad(f"column '{column.name}': it has both a default_value and {which}", f"{where}.default_value")
    if column.expression and column.default_expression:
        raise _bad(f"column '{column.name}' is computed and cannot have a default", f"{where}.default_expression")


_PYTHON_TYPES: dict[DataType, tuple[type, ...]] = {
    DataType.BOOL: (bool,),
    DataType.INT64: (int,),
    DataType.FLOAT64: (float, int),
    DataType.TIMESTAMP: (int,),
    DataType.STRING: (str,),
    DataType.JSON: (str,),
    DataType.ENUM: (str,),
}


def check_scalar(column: ColumnSchema, value: Scalar, where: str) -> None:
    """Raises InvalidRequest unless `value` can be stored in `column`. Null is judged by the caller."""
    wanted = _PYTHON_TYPES[column.type]
    if not isinstance(value, wanted) or (isinstance(value, bool) and column.type is not DataType.BOOL):
        raise _bad(
            f"column '{column.name}' is {column.type.name} and cannot hold a {type(value).__name__}",
            where,
            Reason.WRONG_TYPE,
        )
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        raise _bad(f"column '{column.name}': {value} does not fit INT64", where, Reason.INT64_OVERFLOW)
    if column.type is DataType.ENUM and value not in column.enum_values:
        raise _bad(
            f"column '{column.name}': '{value}' is not one of {', '.join(column.enum_values[:20])}",
            where,
            Reason.BAD_ENUM_VALUE,
        )
    if column.type is DataType.JSON and not is_json(str(value)):
        raise _bad(f"column '{column.name}': the text is not a JSON document", where, Reason.BAD_JSON)


def project(schema: TableSchema, names: Iterable[str]) -> tuple[int, ...]:
    """The positions of the named columns, or of all when none are named; a name given twice is refused."""
    wanted = tuple(names)
    if not wanted:
        return schema.shown
    positions = tuple(schema.position(name, field="query.columns") for name in wanted)
    if len(set(positions)) != len(positions):
        raise InvalidRequest(Reason.DUPLICATE_COLUMN, "a column is selected twice", field="query.columns")
    return positions


def missing_table(name: str) -> NotFound:
    """The error for a table that does not exist."""
    return NotFound(Reason.UNKNOWN_TABLE, f"there is no table '{name[:140]}'", field="table")
