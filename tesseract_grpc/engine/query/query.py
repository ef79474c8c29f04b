"""What is asked: a table, a filter, columns, an order; and which part of the result is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from tesseract_grpc.engine.data.errors import InvalidRequest, Reason
from tesseract_grpc.engine.data.schema import ColumnSchema, DataType, TableSchema, project
from tesseract_grpc.engine.query.filter import AllOf, Filter, check_filter
from tesseract_grpc.engine.query.grouping import Grouping


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of a sort. Nulls stand last in both directions unless `nulls_first`."""

    column: str
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """The rows [offset, offset + limit) of an ordered result; all from `offset` on when `limit` is None."""

    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("offset", self.offset), ("limit", self.limit)):
            if value is not None and value < 0:
                raise InvalidRequest(
                    Reason.BAD_WINDOW, f"the {name} is {value}; it cannot be negative", field=f"window.{name}"
                )

    @property
    def whole(self) -> bool:
        """Whether this is the whole result."""
        return self.offset == 0 and self.limit is None

    def bounds(self, count: int) -> tuple[int, int]:
        """The first and one past the last position within a result of `count` rows."""
        start = min(self.offset, count)
        return start, count if self.limit is None else min(count, start + self.limit)


WHOLE = Window()


@dataclass(frozen=True, slots=True)
class Query:
    """A query over one table."""

    table: str
    filter: Filter | None = None
    columns: tuple[str, ...] = ()
    sort: tuple[SortKey, ...] = ()
    group: Grouping | None = None  # then columns and sort speak of the grouped result
    having: Filter | None = None  # a condition on the grouped result


@dataclass(frozen=True, slots=True)
class Limits:
    """What the query layer accepts."""

    max_filter_depth: int = 64
    max_filter_nodes: int = 10_000
    max_sort_keys: int = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked query in normal form. Equal plans are one maintained result: filter and sort are the fingerprint."""

    filter: Filter | None
    sort: tuple[SortKey, ...]
    positions: tuple[int, ...]

    @property
    def fingerprint(self) -> tuple[Filter | None, tuple[SortKey, ...]]:
        """What makes two results on one table the same, whatever columns of them are shown."""
        return self.filter, self.sort


def plan_filter(where: Filter | None, schema: TableSchema, limits: Limits, field: str) -> Filter | None:
    """Checks a filter and brings it into normal form; None when it keeps every row."""
    if where is None:
        return None
    where = check_filter(
        where, schema, field=field, max_depth=limits.max_filter_depth, max_nodes=limits.max_filter_nodes
    )
    return None if isinstance(where, AllOf) and not where.filters else where


def plan_query(query: Query, schema: TableSchema, limits: Limits, field: str = "query.filter") -> Plan:
    """Checks a query against its table and brings it into normal form. Raises InvalidRequest, FeatureNotAvailable."""
    where = plan_filter(query.filter, schema, limits, field)
    positions = project(schema, query.columns)
    # A change names its row by key, so the key is always there.
    positions = tuple(p for p in schema.key if p not in positions) + positions
    return Plan(where, _plan_sort(query.sort, schema, limits), positions)


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
