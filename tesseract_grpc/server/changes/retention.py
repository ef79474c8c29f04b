"""Which rows leave tables by themselves, how much memory tables may take, and rows that leave because it is short."""

from __future__ import annotations

from collections.abc import Collection

from tesseract_grpc.engine.data.retention import MemoryLimit, Retention
from tesseract_grpc.engine.data.table import Table
from tesseract_grpc.server.codec import twin
from tesseract_grpc.server.codec.retention import decode_memory_limit, decode_retention
from tesseract_grpc.server.errors import fields_under
from tesseract_grpc.server.host import Host
from tesseract_grpc.server.records import Moment

pb = twin.schema

PATHS = ("retention", "memory_limit")
"""What UpdateTable takes of this."""


def asked_retention(
    table: Table, message: pb.Table, paths: Collection[str]
) -> tuple[Retention | None, MemoryLimit | None] | None:
    """What a table's retention and memory limit are to be; None where nothing is said of them. Raises Refusal."""
    if not any(path in paths for path in PATHS):
        return None
    retention = decode_retention(message, "table") if "retention" in paths else table.retention
    limit = decode_memory_limit(message, "table") if "memory_limit" in paths else table.memory_limit
    return retention, limit


def set_retention(
    host: Host, id: str, asked: tuple[Retention | None, MemoryLimit | None] | None, *, validate_only: bool
) -> None:
    """Puts retention and memory limit of a table in force; rows that are too many leave at once."""
    if asked is None:
        return
    with fields_under("table"):
        host.committed(host.hub.set_retention(id, *asked, validate_only=validate_only))


def evict(host: Host, request: pb.Eviction, moment: Moment, aside: object = None) -> pb.Eviction:
    """Rows leave because memory is short; a table that is there no more needs no room."""
    if request.table in host.hub.tables and request.table not in host.hub.derived_tables:
        before = host.hub.counters.rows_expired
        host.committed(host.hub.evict(request.table, request.rows))
        gone = host.hub.counters.rows_expired - before
        host.log.info("table.evicted", hub=host.name, table=request.table, rows=gone)
    return request
