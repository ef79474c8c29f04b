"""Reads: queries and windows as requests, and responses as `Rows`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import (
    query_pb2,
    session_service_pb2,
    table_service_pb2,
)

from .arguments import names, whole_number
from .batch import Block, decode
from .errors import invalid
from .filters import FilterLike, SortLike, filter_of, sort_of
from .names import table_name
from .rows import Rows
from .schema import Schema
from .writes import TableLike

PAGE_ROWS = 10_000
"""The most rows that one answer holds; more come as a stream, at one version all the same."""

Page = (
    table_service_pb2.QueryResponse
    | table_service_pb2.QueryStreamResponse
    | session_service_pb2.QuerySessionResponse
    | session_service_pb2.QuerySessionStreamResponse
)


def query_of(
    hub: str,
    table: TableLike,
    filter: FilterLike | None = None,
    columns: Sequence[str] | None = None,
    sort: SortLike | None = None,
    grouping: query_pb2.Grouping | None = None,
    having: FilterLike | None = None,
) -> query_pb2.Query:
    """What is asked, as the wire has it."""
    chosen = names(columns, "columns") if columns is not None else None
    name = table if isinstance(table, str) else table.name
    return query_pb2.Query(
        table=table_name(hub, name),
        filter=filter_of(filter),
        columns=chosen,
        sort=sort_of(sort),
        group=grouping,
        having=filter_of(having),
    )


def window_of(start: int, limit: int | None) -> query_pb2.Window:
    """The rows from `start`, at most `limit` of them."""
    whole_number(start, "start", 0, "BAD_WINDOW")
    if limit is not None:
        whole_number(limit, "limit", 0, "BAD_WINDOW")
    return query_pb2.Window(offset=start, limit=limit)


def watch_window_of(window: object) -> query_pb2.Window | None:
    """The window of a watch: (start, limit); None for the whole result."""
    if window is None:
        return None
    if not isinstance(window, tuple | list) or len(window) != 2:
        raise invalid("BAD_WINDOW", f"a window is (start, limit), not {window!r}", "window")
    return window_of(*window)


class Pages:
    """Gathers the pieces of one result."""

    def __init__(self) -> None:
        self._schema: Schema | None = None
        self._blocks: list[Block] = []
        self._total_count = 0
        self._version = 0

    def take(self, page: Page) -> None:
        """One more piece. The first has the columns."""
        if self._schema is None:
            self._schema = Schema.of(page.columns)
        self._total_count, self._version = page.total_count, page.version
        if page.rows.row_count:
            self._blocks.append(decode(page.rows, self._schema.types))

    def rows(self) -> Rows:
        """All of them."""
        types = {} if self._schema is None else self._schema.types
        return Rows(self._blocks, types, total_count=self._total_count, version=self._version)


def rows_by_key(response: table_service_pb2.GetRowsResponse, schema: Schema, columns: Sequence[str]) -> Rows:
    """The rows of a read by key. The answer does not repeat the columns, so the table's schema has to tell them."""
    wanted = set(columns or schema.types) | set(schema.key)
    block = decode(response.rows, schema.types)
    known = {name: type for name, type in schema.types.items() if name in wanted}
    types: dict[str, Any] = known | {name: v.type for name, v in block.columns.items() if name not in known}
    blocks = [block] if len(block) else []
    return Rows(blocks, types, total_count=len(block), version=response.version, row_versions=response.row_versions)
