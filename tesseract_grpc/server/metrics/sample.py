"""All metrics at one moment, read on the event loop.

Reading costs what there is to read, tables and open watches, and happens when somebody asks, never in between. The loop
is given back after every few hundred of them, so a server with twenty thousand watches stays as fast while it is read.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from tesseract_grpc import __version__
from tesseract_grpc.engine.query.expression.parse import parse_counts
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.journal import JournalState
from tesseract_grpc.server.metrics.histogram import Spread
from tesseract_grpc.server.metrics.loop_lag import LoopLag
from tesseract_grpc.server.metrics.meters import CallMeters
from tesseract_grpc.server.streams.state import State

Labels = tuple[str, ...]
_SLICE = 200
T = TypeVar("T")


@dataclass(slots=True)
class Sample:
    """The values of every metric, by its name and then by its labels."""

    taken: float = field(default_factory=time.monotonic)
    values: dict[str, dict[Labels, float | Spread]] = field(default_factory=dict)

    def put(self, name: str, value: float | Spread, *labels: str) -> None:
        """Sets a value."""
        self.values.setdefault(name, {})[labels] = value


async def take_sample(hosts: Hosts, calls: CallMeters, lag: LoopLag) -> Sample:
    """Reads everything. O(tables + open watches)."""
    sample = Sample()
    sample.put("tesseract_server_info", 1, __version__)
    for host in tuple(hosts.by_name.values()):
        _hub(sample, host)
        _journal(sample, host)
        _backups(sample, host)
        await _tables(sample, host)
        await _watchers(sample, host)
    for (method, code), count in calls.ended.items():
        sample.put("tesseract_grpc_calls_total", count, method, code)
    for method, count in calls.open.items():
        sample.put("tesseract_grpc_calls_open", count, method)
    for method, seconds in calls.seconds.items():
        sample.put("tesseract_grpc_call_seconds", seconds.read(), method)
    parsed = parse_counts()
    sample.put("tesseract_expression_cache_hits_total", parsed.hits)
    sample.put("tesseract_expression_cache_misses_total", parsed.misses)
    sample.put("tesseract_expression_cache_texts", parsed.kept)
    sample.put("tesseract_event_loop_lag_seconds", lag.histogram.read())
    sample.put("tesseract_tasks", len(asyncio.all_tasks()))
    sample.put("tesseract_threads", threading.active_count())
    return sample


def _hub(sample: Sample, host: Host) -> None:
    hub, tally, name = host.hub, host.audience.tally, host.name
    counters = hub.counters
    sample.put("tesseract_hub_version", hub.version, name)
    sample.put("tesseract_commits_total", counters.commits, name)
    sample.put("tesseract_rows_written_total", counters.rows_written, name)
    sample.put("tesseract_rows_expired_total", counters.rows_expired, name)
    sample.put("tesseract_texts_dropped_total", counters.texts_dropped, name)
    sample.put("tesseract_rows_examined_total", counters.rows_examined, name)
    sample.put("tesseract_rows_routed_total", counters.rows_routed, name)
    sample.put("tesseract_sessions", len(hub.sessions), name)
    sample.put("tesseract_plans_hydrated_total", counters.plans_hydrated, name)
    sample.put("tesseract_plans_shared_total", counters.plans_shared, name)
    queries, counts = host.queries, host.queries.total
    sample.put("tesseract_query_cache_hits_total", counts.hits, name)
    sample.put("tesseract_query_cache_misses_total", counts.misses, name)
    sample.put("tesseract_query_cache_invalidations_total", counts.invalidations, name)
    sample.put("tesseract_query_cache_evictions_total", counts.evictions, name)
    sample.put("tesseract_query_cache_entries", len(queries), name)
    sample.put("tesseract_query_cache_bytes", queries.bytes, name)
    sample.put("tesseract_watcher_sent_bytes_total", tally.sent_bytes, name)
    sample.put("tesseract_watcher_conflations_total", tally.conflations, name)
    sample.put("tesseract_watcher_resumes_total", tally.resumes, name)
    sample.put("tesseract_slow_readers_total", tally.slow_readers, name)
    for event, count in tally.messages.items():
        sample.put("tesseract_watcher_messages_total", count, name, event)
    for reason, count in tally.resets.items():
        sample.put("tesseract_watcher_resets_total", count, name, reason)


def _journal(sample: Sample, host: Host) -> None:
    journal, meters, name = host.journal, host.meters, host.name
    sample.put("tesseract_hub_writable", journal.state is JournalState.SERVING, name)
    sample.put("tesseract_records_total", journal.counters.records, name)
    sample.put("tesseract_records_pending", journal.pending, name)
    sample.put("tesseract_commit_apply_seconds", meters.commit_apply_seconds.read(), name)
    for reason, count in meters.refused_writes.items():
        sample.put("tesseract_writes_refused_total", count, name, reason)
    if journal.log is None:
        return
    sample.put("tesseract_commit_flush_seconds", meters.commit_flush_seconds.read(), name)
    sample.put("tesseract_log_flush_seconds", meters.log_flush_seconds.read(), name)
    sample.put("tesseract_log_flush_records", meters.log_flush_records.read(), name)
    sample.put("tesseract_log_failures_total", journal.counters.failures, name)
    sample.put("tesseract_log_bytes", journal.log.bytes, name)
    sample.put("tesseract_log_position", journal.log.durable, name)
    sample.put("tesseract_snapshot_seconds", meters.snapshot_seconds.read(), name)
    if (snapshot := journal.log.newest_snapshot) is not None:
        sample.put("tesseract_snapshot_age_seconds", max(0.0, host.clock() - snapshot.time), name)
        sample.put("tesseract_snapshot_bytes", snapshot.bytes, name)


def _backups(sample: Sample, host: Host) -> None:
    meters, name = host.meters.backups, host.name
    sample.put("tesseract_backups_open", len(host.backups), name)
    for outcome, count in meters.ended.items():
        sample.put("tesseract_backups_total", count, name, outcome)
    sample.put("tesseract_backup_rows_total", meters.rows, name)
    sample.put("tesseract_backup_sent_bytes_total", meters.sent_bytes, name)
    sample.put("tesseract_backup_kept_bytes", sum(transfer.kept_bytes for transfer in host.backups), name)


async def _tables(sample: Sample, host: Host) -> None:
    async for table in _in_slices(tuple(host.hub.tables.values())):
        sample.put("tesseract_table_rows", table.row_count, host.name, table.name)
        sample.put("tesseract_table_memory_bytes", table.memory_bytes(), host.name, table.name)


async def _watchers(sample: Sample, host: Host) -> None:
    states = dict.fromkeys(State, 0)
    lag_versions = lag_bytes = 0
    async for stream in _in_slices(tuple(host.audience.all())):
        states[stream.state] += 1
        lag_versions = max(lag_versions, stream.lag_versions)
        lag_bytes += stream.lag_bytes
    for state, count in states.items():
        sample.put("tesseract_watchers", count, host.name, state.name.lower())
    sample.put("tesseract_watcher_lag_versions_max", lag_versions, host.name)
    sample.put("tesseract_watcher_lag_bytes", lag_bytes, host.name)


async def _in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    for number, item in enumerate(items, start=1):
        yield item
        if number % _SLICE == 0:
            await asyncio.sleep(0)
