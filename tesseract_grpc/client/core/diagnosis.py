"""What a server says of a table: what is in it, what it takes, how it is used, and what could be better."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration

from tesseract_grpc._proto.tesseract.v1 import diagnosis_service_pb2, schema_pb2

from .datatype import name_of_type
from .literals import python_of
from .names import id_of

pb = diagnosis_service_pb2


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What is in a column."""

    name: str
    type: str
    primary_key: bool
    distinct_count: int
    """Different values, null apart; exact."""
    null_count: int
    cardinality: float
    """distinct_count for each row."""
    min: Any
    max: Any
    mean: float | None
    samples: tuple[Any, ...]
    """Different values, those of the rows that came first."""
    top_values: tuple[tuple[Any, int], ...]
    """The most frequent values, and in how many rows they are."""
    histogram: tuple[int, ...]
    """The counts of numbers or times in equal steps from `histogram_range[0]` to `histogram_range[1]`."""
    histogram_range: tuple[Any, Any] | None
    value_bytes: int
    dictionary_bytes: int
    dictionary_entries: int

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory."""
        return self.value_bytes + self.dictionary_bytes

    @classmethod
    def of(cls, message: pb.ColumnProfile) -> ColumnProfile:
        """From the wire."""
        kind = name_of_type(message.column.type)
        return cls(
            message.column.name,
            kind,
            message.column.primary_key,
            message.distinct_count,
            message.null_count,
            message.cardinality,
            python_of(message.min),
            python_of(message.max),
            message.mean if message.HasField("mean") else None,
            tuple(python_of(value) for value in message.samples),
            tuple((python_of(each.value), each.count) for each in message.top_values),
            tuple(message.histogram),
            _range(kind, message) if message.histogram else None,
            message.memory.value_bytes,
            message.memory.dictionary_bytes,
            message.memory.dictionary_entries,
        )


def _range(kind: str, message: pb.ColumnProfile) -> tuple[Any, Any]:
    low, high = message.histogram_low, message.histogram_high
    if kind != "timestamp":
        return low, high
    return _moment(low), _moment(high)


def _moment(micros: float) -> Any:
    try:
        return datetime.fromtimestamp(micros / 1e6, UTC)
    except (OverflowError, ValueError, OSError):  # years that datetime does not have
        return np.datetime64(int(micros), "us")


@dataclass(frozen=True, slots=True)
class IndexUse:
    """How an index is used."""

    columns: tuple[str, ...]
    kind: str
    primary: bool
    uses: int
    """How often it found the rows of a query, a session, or a write by filter."""
    bytes: int


@dataclass(frozen=True, slots=True)
class FilterUse:
    """How the table is filtered."""

    filter: str
    """The filter with ? in the place of values."""
    columns: tuple[str, ...]
    uses: int
    indexed_uses: int
    """Of those, how many an index answered."""
    rows_examined: int
    rows_returned: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SessionCost:
    """What a session costs."""

    session: str
    commits: int
    rows_examined: int
    seconds: float
    share: float
    """Of the time of all sessions of the table, 0 to 1."""
    watcher_count: int


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that could be better."""

    severity: str
    """info, warning or critical."""
    kind: str
    message: str
    recommendation: str
    column: str


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """What holds the memory of a table, in bytes."""

    total: int
    columns: int
    indexes: int
    keys: int
    rows: int
    """The order and versions of rows, and free places."""
    history: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A table, diagnosed. `to_dict`, `to_json`, `to_text` and `to_html` tell it to programs and to people."""

    table: str
    version: int
    """At which what it says of the rows is true."""
    row_count: int
    memory: MemoryUse
    columns: tuple[ColumnProfile, ...]
    indexes: tuple[IndexUse, ...]
    filters: tuple[FilterUse, ...]
    """Most frequent first."""
    sessions: tuple[SessionCost, ...]
    """Most expensive first."""
    issues: tuple[Issue, ...]
    """Most severe first."""
    seconds: float
    """How long the diagnosis took."""
    counted_since: datetime
    """Since when uses are counted."""
    description: str = ""

    @property
    def memory_bytes(self) -> int:
        """All of its memory, measured."""
        return self.memory.total

    @property
    def recommendations(self) -> tuple[str, ...]:
        """What to do, most urgent first."""
        return tuple(dict.fromkeys(issue.recommendation for issue in self.issues))

    @classmethod
    def of(cls, response: pb.DiagnoseTableResponse) -> Diagnosis:
        """From the wire."""
        table = response.table
        return cls(
            id_of(table.name),
            response.version,
            table.row_count,
            _memory(table.memory),
            tuple(map(ColumnProfile.of, response.columns)),
            tuple(map(_index, response.indexes)),
            tuple(map(_filter, response.filters)),
            tuple(map(_session, response.sessions)),
            tuple(map(_issue, response.issues)),
            seconds_of(response.duration),
            response.counted_since.ToDatetime(UTC),
            table.description,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, in values that JSON has: times as ISO 8601, NaN and infinities as texts."""
        found = plain(asdict(self))
        for column, profile in zip(found["columns"], self.columns, strict=True):
            column["memory_bytes"] = profile.memory_bytes
        found["recommendations"] = list(self.recommendations)
        return found  # type: ignore[no-any-return]

    def to_json(self, *, indent: int | None = 2) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, allow_nan=False)

    def to_text(self) -> str:
        """A report for people, in lines."""
        from .diagnosis_text import table_text

        return table_text(self)

    def to_html(self) -> str:
        """A report as one page, with plots; it needs nothing else, no network and no scripts."""
        from .diagnosis_page import page

        return page(f"Table {self.table}", [self], None)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache has done since it was cleared."""

    hits: int
    misses: int
    hit_rate: float
    """hits of all that was asked for, 0 to 1."""
    entries: int
    bytes: int
    """What the entries take, where that is known."""
    evictions: int
    """Entries that left to make room."""
    invalidations: int
    """Entries that left because a table changed."""

    @classmethod
    def of(cls, message: pb.CacheStatistics) -> CacheStats:
        """From the wire."""
        return cls(**{field.name: getattr(message, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class HubDiagnosis:
    """All tables of a hub, diagnosed one after the other, and its caches."""

    hub: str
    tables: tuple[Diagnosis, ...]
    caches: Mapping[str, CacheStats]

    @property
    def issues(self) -> tuple[tuple[str, Issue], ...]:
        """The issues of all tables with their table, most severe first."""
        found = [(diagnosis.table, issue) for diagnosis in self.tables for issue in diagnosis.issues]
        return tuple(sorted(found, key=lambda pair: -SEVERITIES.index(pair[1].severity)))

    def to_dict(self) -> dict[str, Any]:
        """Everything, in values that JSON has."""
        return {
            "hub": self.hub,
            "tables": [diagnosis.to_dict() for diagnosis in self.tables],
            "caches": {name: asdict(stats) for name, stats in self.caches.items()},
        }

    def to_json(self, *, indent: int | None = 2) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, allow_nan=False)

    def to_text(self) -> str:
        """A report for people, in lines."""
        from .diagnosis_text import hub_text

        return hub_text(self)

    def to_html(self) -> str:
        """A report as one page, with plots."""
        from .diagnosis_page import page

        return page(f"Hub {self.hub}", self.tables, self.caches)


SEVERITIES = ("info", "warning", "critical")
"""From what is good to know to what does harm."""


def caches_of(response: pb.GetCacheStatisticsResponse) -> dict[str, CacheStats]:
    """The caches by name."""
    return {cache.cache: CacheStats.of(cache) for cache in response.caches}


def seconds_of(duration: Duration) -> float:
    """A duration in seconds."""
    return duration.seconds + duration.nanos / 1e9


def plain(value: Any) -> Any:
    """A value as JSON can say it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, np.datetime64):
        return f"{value}Z"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _memory(memory: schema_pb2.TableMemory) -> MemoryUse:
    columns = sum(column.value_bytes + column.dictionary_bytes for column in memory.columns)
    indexes = sum(index.bytes for index in memory.indexes)
    return MemoryUse(memory.total_bytes, columns, indexes, memory.key_bytes, memory.row_bytes, memory.history_bytes)


def _index(use: pb.IndexUse) -> IndexUse:
    kind = schema_pb2.IndexKind.Name(use.kind).removeprefix("INDEX_KIND_").lower()
    return IndexUse(tuple(use.column.split(",")), kind, use.primary, use.uses, use.bytes)


def _filter(use: pb.FilterUse) -> FilterUse:
    return FilterUse(
        use.filter,
        tuple(use.columns),
        use.uses,
        use.indexed_uses,
        use.rows_examined,
        use.rows_returned,
        seconds_of(use.duration),
    )


def _session(cost: pb.SessionCost) -> SessionCost:
    return SessionCost(
        id_of(cost.session),
        cost.commits,
        cost.rows_examined,
        seconds_of(cost.duration),
        cost.share,
        cost.watcher_count,
    )


def _issue(issue: pb.Issue) -> Issue:
    severity = pb.Severity.Name(issue.severity).removeprefix("SEVERITY_").lower()
    return Issue(severity, issue.kind, issue.message, issue.recommendation, issue.column)
