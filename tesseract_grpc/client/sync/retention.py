# Generated from tesseract_grpc/client/aio/retention.py by tools/generate_sync_client.py: edit that file and run it.
"""Which rows leave a table by themselves, and how much memory it may take: setting it on a table that is in use.

A handle of a table inherits these methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import schema_pb2, table_service_pb2

from ..core.request_id import new_request_id
from ..core.retention import MemoryLimitLike, RetentionLike, RetentionWords, memory_limit_of, retention_of

if TYPE_CHECKING:
    from .rpc import Rpc


class Retained:
    """The part of a table's handle that says which rows leave, and how much memory it may take."""

    _rpc: Rpc
    _table: schema_pb2.Table

    def set_retention(self, retention: RetentionLike | None = None, **words: Unpack[RetentionWords]) -> int:
        """Says which rows leave by themselves from now on: a dict, or its words by name; nothing at all takes the
        retention away. Rows that are too many leave at once, those that are too old at the next tick. Returns the
        version. Raises InvalidRequest."""
        given = {**(retention or {}), **words}
        table = schema_pb2.Table(name=self._table.name)
        if given:
            table.retention.CopyFrom(retention_of(given))
        return self._set(table, "retention")

    def set_memory_limit(self, memory_limit: MemoryLimitLike | None) -> int:
        """Says how much memory the table may take from now on: bytes, or a dict with a policy; None for no limit.
        Returns the version. Raises InvalidRequest."""
        table = schema_pb2.Table(name=self._table.name)
        if memory_limit is not None:
            table.memory_limit.CopyFrom(memory_limit_of(memory_limit))
        return self._set(table, "memory_limit")

    def _set(self, table: schema_pb2.Table, path: str) -> int:
        request = table_service_pb2.UpdateTableRequest(
            table=table, update_mask=FieldMask(paths=[path]), request_id=new_request_id()
        )
        response = self._rpc.call(self._rpc.tables.UpdateTable, request)
        self._remember(response.table)
        return response.version

    def _remember(self, table: schema_pb2.Table) -> None:
        raise NotImplementedError
