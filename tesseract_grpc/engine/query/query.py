"""What is asked: a table, a filter, columns, an order; and which part of the result is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, Scalar, TableSchema, project
from tesseract_grpc.engine.query.computed import ComputedColumn
from tesseract_grpc.engine.query.filter import AllOf, Filter, check_filter
from tesseract_grpc.engine.query.grouping import Grouping
from tesseract_grpc.engine.query.sort_key import SortKey
from tesseract_grpc.engine.query.source import Join, RowSource
from tesseract_grpc.engine.query.tree import Tree
from tesseract_grpc.engine.query.window_column import WindowColumn


@dataclass(frozen=True, slots=True)
class Expansion:
    """Which nodes of a tree are open: those down to a depth (None: all), those expanded and not those collapsed.

    A node of a rollup is named by the values of its grouping columns, another by its primary key.
    """

    depth: int | None = None
    expanded: frozenset[tuple[Scalar, ...]] = frozenset()
    collapsed: frozenset[tuple[Scalar, ...]] = frozenset()


@dataclass(frozen=True, slots=True)
class Window:
    """The rows [offset, offset + limit) of an ordered result; all from `offset` on when `limit` is None."""

    offset: int = 0
    limit: int | None = None
    expansion: Expansion | None = None  # of a tree: only rows below open nodes are counted

    def __post_init__(self) -> None:
        for name, value in (("offset", self.offset), ("limit", self.limit)):
            if value is not None and value < 0:
                raise InvalidRequest(
                    Reason.BAD_WINDOW, f"the {name} is {value}; it cannot be negative", field=f"window.{name}"
                )

    @property
    def whole(self) -> bool:
        """Whether this is the whole result."""
        return self.offset == 0 and self.limit is None and self.expansion is None

    def bounds(self, count: int) -> tuple[int, int]:
        """The first and one past the last position within a result of `count` rows."""
        start = min(self.offset, count)
        return start, count if self.limit is None else min(count, start + self.limit)


WHOLE = Window()


@dataclass(frozen=True, slots=True)
class Query:
    """A query.

    Its parts work in this order: table or source, joins, computed, filter, group, having, window_columns, then columns
    and sort.
    """

    table: str = ""
    filter: Filter | None = None
    columns: tuple[str, ...] = ()
    sort: tuple[SortKey, ...] = ()
    group: Grouping | None = None  # then columns and sort speak of the grouped result
    having: Filter | None = None  # a condition on the grouped result
    source: RowSource | None = None  # in the place of a table
    joins: tuple[Join, ...] = ()
    computed: tuple[ComputedColumn, ...] = ()
    window_columns: tuple[WindowColumn, ...] = ()
    tree: str = ""  # the column that holds the key of a row's parent: the result is in the order of a tree
    sub_sessions: tuple[tuple[str, Query], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What the query layer accepts."""

    max_filter_depth: int = 64
    max_filter_nodes: int = 10_000
    max_sort_keys: int = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked query in normal form. Equal plans are one maintained result: all but the columns is the fingerprint."""

    filter: Filter | None
    sort: tuple[SortKey, ...]
    positions: tuple[int, ...]
    tree: Tree | None = None  # the order is that of a tree, in which siblings are sorted

    @property
    def fingerprint(self) -> tuple[Filter | None, tuple[SortKey, ...], Tree | None]:
        """What makes two results on one table the same, whatever columns of them are shown."""
        return self.filter, self.sort, self.tree


def plan_filter(where: Filter | None, schema: TableSchema, limits: Limits, field: str) -> Filter | None:
    """Checks a filter and brings it into normal form; None when it keeps every row."""
    if where is None:
        return None
    where = check_filter(
        where, schema, field=field, max_depth=limits.max_filter_depth, max_nodes=limits.max_filter_nodes
    )
    return None if isinstance(where, AllOf) and not where.filters else where


def plan_rows(
    where: Filter | None, columns: Sequence[str], sort: tuple[SortKey, ...], schema: TableSchema, limits: Limits
) -> Plan:
    """The plan of a checked filter, of columns and of an order. Raises InvalidRequest."""
    positions = project(schema, columns)
    # A change names its row by key, so the key is always there.
    positions = tuple(p for p in schema.key if p not in positions) + positions
    return Plan(where, _plan_sort(sort, schema, limits), positions)


def plan_query(query: Query, schema: TableSchema, limits: Limits, field: str = "query.filter") -> Plan:
    """The plan of a query over one table. Raises InvalidRequest, FeatureNotAvailable."""
    return plan_rows(plan_filter(query.filter, schema, limits, field), query.columns, query.sort, schema, limits)


def _plan_sort(sort: tuple[SortKey, ...], schema: TableSchema, limits: Limits) -> tuple[SortKey, ...]:
    if len(sort) > limits.max_sort_keys:
        raise InvalidRequest(
            Reason.BAD_SORT, f"{len(sort)} sort keys; the limit is {limits.max_sort_keys}", field="query.sort"
        )
    kept: list[SortKey] = []
    seen: set[str] = set()
    for index, key in enumerate(sort):
        column: ColumnSchema = schema.column(key.column, field=f"query.sort[{index}].column")
        if column.type is DataType.JSON:
            raise InvalidRequest(
                Reason.BAD_SORT,
                f"column '{column.name}' is JSON and cannot be sorted by",
                field=f"query.sort[{index}].column",
            )
        if key.column in seen:
            continue  # a later key on the same column can decide nothing
        seen.add(key.column)
        kept.append(key if column.nullable else SortKey(key.column, key.descending))
    return tuple(kept)
