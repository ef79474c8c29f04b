"""What hubs and servers say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, table_service_pb2

from .names import id_of


@dataclass(frozen=True, slots=True)
class HubInfo:
    """One hub: its place on its line of versions, its size, and the work that it did."""

    name: str
    version: int
    epoch: str
    table_count: int
    session_count: int
    watcher_count: int
    memory_bytes: int
    durability: str
    counters: Mapping[str, int]

    @classmethod
    def of(cls, hub: hub_service_pb2.Hub) -> HubInfo:
        """From the wire."""
        durability = table_service_pb2.Durability.Name(hub.durability).removeprefix("DURABILITY_").lower()
        return cls(
            id_of(hub.name),
            hub.version,
            hub.epoch,
            hub.table_count,
            hub.session_count,
            hub.watcher_count,
            hub.memory_bytes,
            durability,
            dict(hub.counters),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests must keep to."""

    max_message_bytes: int
    max_rows_per_write: int
    max_rows_per_table: int
    max_tables: int
    max_sessions: int
    max_watchers: int
    max_string_bytes: int
    max_columns: int
    max_filter_depth: int
    max_filter_nodes: int
    max_query_depth: int
    max_query_parts: int

    @classmethod
    def of(cls, limits: hub_service_pb2.ServerLimits) -> Limits:
        """From the wire."""
        return cls(**{field.name: getattr(limits, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is and can do."""

    software_version: str
    features: frozenset[str]
    limits: Limits
    progress_seconds: float
    """How often Progress comes on a quiet watch."""
    server_time: datetime

    @classmethod
    def of(cls, response: hub_service_pb2.GetServerInfoResponse) -> ServerInfo:
        """From the wire."""
        interval = response.progress_interval
        return cls(
            response.software_version,
            frozenset(response.features),
            Limits.of(response.limits),
            interval.seconds + interval.nanos / 1e9,
            response.server_time.ToDatetime(UTC),
        )


@dataclass(frozen=True, slots=True)
class TableInfo:
    """How large a table is, and when it was last written."""

    name: str
    row_count: int
    memory_bytes: int
    create_version: int
    update_version: int
    description: str
