"""Debug records and settings, as a hub tells them, and the file into which they are exported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2

from .arguments import duration_of
from .errors import invalid
from .moments import micros_of
from .names import hub_name, id_of, session_name, table_name

pb = diagnosis_service_pb2

LEVELS = ("debug", "info", "warning", "error")
"""From what matters least to what matters most."""

KindsLike: TypeAlias = "str | Sequence[str] | None"
"""One kind of record, or several."""

_TYPES = {"debug": "log", "info": "log", "warning": "warn", "error": "error"}
"""The words of the ancestor's export for the levels."""


@dataclass(frozen=True, slots=True)
class DebugSettings:
    """How a hub's debug mode is set, and how many records it has."""

    enabled: bool
    level: str
    """The least level of what is recorded: debug, info, warning or error."""
    capacity: int
    """The most records that are kept."""
    include_values: bool
    """Whether records may hold values of rows, filters, keys and expressions."""
    slow_query: float
    """Queries that take at least so many seconds are recorded with their plan."""
    record_count: int = 0
    dropped_count: int = 0
    """How many records left because there were too many."""


@dataclass(frozen=True, slots=True)
class DebugRecord:
    """One thing that happened in a hub. What it does not have is empty."""

    sequence: int
    """Rises by one with each record of the hub."""
    time: datetime
    level: str
    """debug, info, warning or error."""
    kind: str
    """call, commit, query, slow_query, session, table, watch, log, snapshot, hub, refusal or error."""
    message: str
    version: int
    """The version of the hub then."""
    request_id: str
    table: str
    """The id of the table."""
    session: str
    """The id of the session."""
    duration: float | None
    """How long it took, in seconds."""
    details: Mapping[str, str]
    """More, by name: of a slow query its plan, of a refusal its reason."""
    missed: int = 0
    """Of what is followed: how many records were lost before this one because the reader was slow."""

    @classmethod
    def of(cls, record: diagnosis_service_pb2.DebugRecord, missed: int = 0) -> DebugRecord:
        """From the wire."""
        took = record.duration.seconds + record.duration.nanos / 1e9 if record.HasField("duration") else None
        return cls(
            record.sequence,
            record.time.ToDatetime(UTC),
            level_name(record.level),
            record.kind,
            record.message,
            record.version,
            record.request_id,
            id_of(record.table),
            id_of(record.session),
            took,
            dict(record.details),
            missed,
        )


def level_name(number: int) -> str:
    """A level by its number on the wire; 0 is the default."""
    return LEVELS[number - 1] if 0 < number <= len(LEVELS) else "info"


def level_of(level: str, field: str = "level") -> diagnosis_service_pb2.DebugLevel.ValueType:
    """The number of a level. Raises InvalidRequest."""
    if level not in LEVELS:
        raise invalid("MALFORMED_REQUEST", f"there is no level {level!r}; known are {', '.join(LEVELS)}", field)
    return pb.DebugLevel.ValueType(LEVELS.index(level) + 1)


def settings_of(
    response: diagnosis_service_pb2.GetDebugSettingsResponse | diagnosis_service_pb2.UpdateDebugSettingsResponse,
) -> DebugSettings:
    """From the wire."""
    found = response.settings
    counted = response if isinstance(response, pb.GetDebugSettingsResponse) else pb.GetDebugSettingsResponse()
    return DebugSettings(
        found.enabled,
        level_name(found.level),
        found.capacity,
        found.include_values,
        found.slow_query.seconds + found.slow_query.nanos / 1e9,
        counted.record_count,
        counted.dropped_count,
    )


def update_of(
    hub: str,
    *,
    enabled: bool,
    level: str | None = None,
    slow_query: float | None = None,
    include_values: bool | None = None,
    capacity: int | None = None,
) -> diagnosis_service_pb2.UpdateDebugSettingsRequest:
    """The request that changes what is given. Raises InvalidRequest."""
    settings = pb.DebugSettings(enabled=enabled)
    paths = ["enabled"]
    if level is not None:
        settings.level = level_of(level)
        paths.append("level")
    if slow_query is not None:
        settings.slow_query.CopyFrom(duration_of(slow_query, "slow_query") or Duration())  # 0: all of them
        paths.append("slow_query")
    if include_values is not None:
        settings.include_values = include_values
        paths.append("include_values")
    if capacity is not None:
        settings.capacity = capacity
        paths.append("capacity")
    return pb.UpdateDebugSettingsRequest(parent=hub_name(hub), settings=settings, update_mask=FieldMask(paths=paths))


def filter_of(
    hub: str, level: str | None, kind: KindsLike, table: str | None, session: str | None, since: datetime | None = None
) -> diagnosis_service_pb2.DebugFilter:
    """Which records somebody wants. Raises InvalidRequest."""
    kinds = [kind] if isinstance(kind, str) else list(kind or ())
    found = pb.DebugFilter(
        kinds=kinds,
        table=table_name(hub, table) if table else "",
        session=session_name(hub, session) if session else "",
    )
    if level is not None:
        found.level = level_of(level)
    if since is not None:
        found.since.FromMicroseconds(micros_of(since) or 0)
    return found


def export_text(hub: str, records: Iterable[DebugRecord]) -> tuple[str, int]:
    """The file of an export, as the guide lays it out, and how many records it has. Each record has the guide's words
    (type, timestamp, message), and all that is known of it."""
    logs = [_exported(record) for record in records]
    content = {"exportDate": _iso(datetime.now(UTC)), "logCount": len(logs), "hub": hub, "logs": logs}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n", len(logs)


def record_object(record: DebugRecord) -> dict[str, Any]:
    """A record as JSON has it; what is empty is left out."""
    found = asdict(record)
    found["time"] = _iso(record.time)
    return {name: value for name, value in found.items() if value not in ("", None, {}) and (name != "missed" or value)}


def _exported(record: DebugRecord) -> dict[str, Any]:
    rest = record_object(record)
    time = rest.pop("time")
    return {"type": _TYPES.get(record.level, "log"), "timestamp": time, "message": rest.pop("message"), **rest}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
