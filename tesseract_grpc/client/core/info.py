"""What hubs and servers say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from tesseract_grpc._proto.tesseract.v1 import hub_service_pb2, schema_pb2, table_service_pb2

from .names import id_of
from .retention import TableMemory, memory_limit_words, retention_words


@dataclass(frozen=True, slots=True)
class LogInfo:
    """The log of a hub's commits."""

    position: int
    """The number of records since the beginning."""
    since: int
    """The records that can still be read begin after this one."""
    bytes: int
    """What it takes on the disk, with its snapshots."""
    snapshot_position: int
    """The position of the newest snapshot; 0 when there is none."""
    recovered_records: int
    """How many records were read when the server started."""
    recovery_seconds: float
    """How long that took."""
    cut_records: int
    """Records at the end that were torn by a crash and cut off. None of them was acknowledged."""

    @classmethod
    def of(cls, log: hub_service_pb2.LogStatus) -> LogInfo:
        """From the wire."""
        return cls(
            log.position,
            log.since,
            log.bytes,
            log.snapshot_position,
            log.recovered_records,
            log.recovery_time.seconds + log.recovery_time.nanos / 1e9,
            log.cut_records,
        )


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
    state: str
    """serving, or read_only: its log cannot be written, and nothing new is taken."""
    state_message: str
    """Why it is read-only."""
    log: LogInfo | None
    """Its log; None for a hub in memory."""

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
            hub_service_pb2.HubState.Name(hub.state).removeprefix("HUB_STATE_").lower(),
            hub.state_message,
            LogInfo.of(hub.log) if hub.HasField("log") else None,
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
    retention: Mapping[str, Any] | None = None
    """Which rows leave by themselves, in the form that `create_tesseract` takes; None where all stay."""
    memory_limit: Mapping[str, Any] | None = None
    """How much memory it may take; None for no limit."""
    memory: TableMemory | None = None
    """What holds its memory; None where the server does not tell."""

    @classmethod
    def of(cls, table: schema_pb2.Table) -> TableInfo:
        """From the wire."""
        return cls(
            id_of(table.name),
            table.row_count,
            table.memory_bytes,
            table.create_version,
            table.update_version,
            table.description,
            retention_words(table),
            memory_limit_words(table),
            TableMemory.of(table.memory) if table.HasField("memory") else None,
        )
