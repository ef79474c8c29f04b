"""Reads: responses as `Rows`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import (
    session_service_pb2,
    table_service_pb2,
)

from .batch import Block, decode
from .rows import Rows
from .schema import Schema

PAGE_ROWS = 10_000
"""The most rows that one answer holds; more come as a stream, at one version all the same."""

Page = (
    table_service_pb2.QueryResponse
    | table_service_pb2.QueryStreamResponse
    | session_service_pb2.QuerySessionResponse
    | session_service_pb2.QuerySessionStreamResponse
)


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
