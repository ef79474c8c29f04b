"""Every metric: its name, its labels and what it says. docs/OPERATIONS.md lists the same; a test compares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a value may do."""

    COUNTER = "counter"  # only rises, from 0 at the start of the process
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of values. The name of a counter ends in `_total`."""

    name: str
    kind: Kind
    about: str
    labels: tuple[str, ...] = ()


_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM
_HUB = ("hub",)

CATALOGUE: tuple[Metric, ...] = (
    Metric("tesseract_server_info", _GAUGE, "Always 1; the version of the software.", ("version",)),
    # Hubs
    Metric("tesseract_hub_version", _GAUGE, "The version of the last commit.", _HUB),
    Metric("tesseract_commits_total", _COUNTER, "Commits that changed something.", _HUB),
    Metric("tesseract_rows_written_total", _COUNTER, "Rows that commits wrote.", _HUB),
    Metric("tesseract_rows_expired_total", _COUNTER, "Rows that left tables by themselves.", _HUB),
    Metric("tesseract_texts_dropped_total", _COUNTER, "Texts that were dropped because no row had them.", _HUB),
    Metric("tesseract_rows_examined_total", _COUNTER, "Rows that queries and new sessions looked at.", _HUB),
    Metric("tesseract_rows_routed_total", _COUNTER, "Changed rows that commits offered to sessions.", _HUB),
    Metric("tesseract_writes_refused_total", _COUNTER, "Writes that were refused.", ("hub", "reason")),
    Metric("tesseract_table_rows", _GAUGE, "Rows of a table.", ("hub", "table")),
    Metric("tesseract_table_memory_bytes", _GAUGE, "Memory of a table with its indexes.", ("hub", "table")),
    Metric("tesseract_sessions", _GAUGE, "Sessions.", _HUB),
    Metric("tesseract_plans_hydrated_total", _COUNTER, "Sessions whose query was new and was evaluated.", _HUB),
    Metric("tesseract_plans_shared_total", _COUNTER, "Sessions whose query was maintained already.", _HUB),
    Metric("tesseract_query_cache_hits_total", _COUNTER, "Queries that were answered as before.", _HUB),
    Metric("tesseract_query_cache_misses_total", _COUNTER, "Queries that were evaluated.", _HUB),
    Metric("tesseract_query_cache_invalidations_total", _COUNTER, "Answers that were true no more.", _HUB),
    Metric("tesseract_query_cache_evictions_total", _COUNTER, "Answers that left to make room.", _HUB),
    Metric("tesseract_query_cache_entries", _GAUGE, "Answers that are kept.", _HUB),
    Metric("tesseract_query_cache_bytes", _GAUGE, "Size of the answers that are kept.", _HUB),
    # The way of a change
    Metric("tesseract_hub_writable", _GAUGE, "1 when the hub takes writes, 0 when it is read-only.", _HUB),
    Metric("tesseract_records_total", _COUNTER, "Changes that were applied, refused ones among them.", _HUB),
    Metric("tesseract_records_pending", _GAUGE, "Changes that wait for the log, or to be applied.", _HUB),
    Metric("tesseract_commit_flush_seconds", _HISTOGRAM, "A change, from being proposed to being durable.", _HUB),
    Metric("tesseract_commit_apply_seconds", _HISTOGRAM, "A change, in the engine.", _HUB),
    Metric("tesseract_log_flush_seconds", _HISTOGRAM, "One flush of the log: with fsync, the disk's time.", _HUB),
    Metric("tesseract_log_flush_records", _HISTOGRAM, "Changes that shared a flush.", _HUB),
    Metric("tesseract_log_failures_total", _COUNTER, "How often the log could not be written.", _HUB),
    Metric("tesseract_log_position", _GAUGE, "The position of the last durable record.", _HUB),
    Metric("tesseract_log_bytes", _GAUGE, "The log on the disk, with its snapshots.", _HUB),
    Metric("tesseract_snapshot_age_seconds", _GAUGE, "Age of the newest snapshot; not there before the first.", _HUB),
    Metric("tesseract_snapshot_bytes", _GAUGE, "Size of the newest snapshot.", _HUB),
    Metric("tesseract_snapshot_seconds", _HISTOGRAM, "Making a snapshot, while commits go on.", _HUB),
    # Backups
    Metric("tesseract_backups_open", _GAUGE, "Backups on their way.", _HUB),
    Metric("tesseract_backups_total", _COUNTER, "Backups that have ended.", ("hub", "outcome")),
    Metric("tesseract_backup_rows_total", _COUNTER, "Rows that backups read.", _HUB),
    Metric("tesseract_backup_sent_bytes_total", _COUNTER, "Bytes of backups.", _HUB),
    Metric("tesseract_backup_kept_bytes", _GAUGE, "Memory of rows as they were that open backups keep.", _HUB),
    # Watches
    Metric("tesseract_watchers", _GAUGE, "Open watches.", ("hub", "state")),
    Metric("tesseract_watcher_lag_versions_max", _GAUGE, "The largest lag of an open watch.", _HUB),
    Metric("tesseract_watcher_lag_bytes", _GAUGE, "Bytes handed over to watches and not taken yet.", _HUB),
    Metric("tesseract_watcher_messages_total", _COUNTER, "Messages to watches.", ("hub", "event")),
    Metric("tesseract_watcher_sent_bytes_total", _COUNTER, "Bytes of the messages to watches.", _HUB),
    Metric("tesseract_watcher_conflations_total", _COUNTER, "Net changes told in the place of several commits.", _HUB),
    Metric("tesseract_watcher_resumes_total", _COUNTER, "Watches that went on from a token without a snapshot.", _HUB),
    Metric("tesseract_watcher_resets_total", _COUNTER, "Watches that were told to start again.", ("hub", "reason")),
    Metric("tesseract_slow_readers_total", _COUNTER, "Watches that were cut because they did not read.", _HUB),
    # Calls
    Metric("tesseract_grpc_calls_total", _COUNTER, "Calls that have ended.", ("method", "code")),
    Metric("tesseract_grpc_calls_open", _GAUGE, "Calls in progress.", ("method",)),
    Metric("tesseract_grpc_call_seconds", _HISTOGRAM, "How long unary calls took.", ("method",)),
    Metric("tesseract_expression_cache_hits_total", _COUNTER, "Expressions whose text was known."),
    Metric("tesseract_expression_cache_misses_total", _COUNTER, "Expressions that were parsed."),
    Metric("tesseract_expression_cache_texts", _GAUGE, "Texts of expressions that are known."),
    # The process
    Metric("tesseract_event_loop_lag_seconds", _HISTOGRAM, "How much later than asked the event loop woke a sleeper."),
    Metric("tesseract_event_loop_stall_seconds", _GAUGE, "How overdue the event loop is at this moment."),
    Metric("tesseract_sample_age_seconds", _GAUGE, "Age of this sample; above 0 when the event loop did not answer."),
    Metric("tesseract_tasks", _GAUGE, "Tasks of the event loop."),
    Metric("tesseract_threads", _GAUGE, "Threads of the process."),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in CATALOGUE}

PROCESS_METRICS = (
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
)
"""What prometheus_client says of every process, on Linux."""
