"""The workloads over the wire, by name."""

from __future__ import annotations

from functools import partial

from benchmarks.wire import (
    altering,
    backups,
    beside,
    cached,
    delays,
    durable,
    fanout,
    ingest,
    latency,
    resumption,
    stopped,
)
from benchmarks.workload import OURS, Better, Figures, Metric, Settings, Workload

_HIGHER, _LOWER = Better.HIGHER, Better.LOWER
_US = "us/message"


def _watch(watchers: int, connections: int, suffix: str = "") -> Workload:
    name = f"wire_watch_{watchers}{suffix}"
    where = f"{watchers} watchers on {min(watchers, connections)} connections" if watchers > 1 else "1 watcher"
    return Workload(
        name,
        (
            Metric(name, "messages/s", _HIGHER, f"{where}: changes delivered"),
            Metric(f"{name}_cpu", _US, _LOWER, f"{where}: server CPU a message, commits included"),
        ),
        (OURS,),
        partial(_run_watch, name, watchers, connections),
        pinned=False,
    )


def _delay(watchers: int, rate: int, *, durable: bool = False) -> Metric:
    kept = ", each commit by fsync" * durable
    about = f"p99 from a commit's intended time to {watchers} watchers, {rate} commits/s{kept}"
    return Metric(delays.name_of(watchers, rate, durable=durable), "ms", _LOWER, about)


def _run_watch(name: str, watchers: int, connections: int, _: str, settings: Settings) -> Figures:
    return fanout.run_watch(name, watchers, connections, settings)


WIRE = (
    Workload(
        "wire_write_bulk",
        (Metric("wire_write_bulk", "rows/s", _HIGHER, "one client process writes batches of 10,000 rows"),),
        (OURS,),
        ingest.run_bulk,
        pinned=False,
    ),
    Workload(
        "wire_write_unary",
        (Metric("wire_write_unary", "writes/s", _HIGHER, "one client process, single rows, 32 calls in flight"),),
        (OURS,),
        ingest.run_unary,
        pinned=False,
    ),
    _watch(1, 1),
    _watch(100, fanout.CONNECTIONS),
    _watch(1000, fanout.CONNECTIONS),
    _watch(1000, 1000, "_apart"),
    Workload(
        "wire_latency",
        (
            Metric("wire_latency_p50", "ms", _LOWER, "from a commit's intended time to its watcher, 200 commits/s"),
            Metric("wire_latency_p99", "ms", _LOWER, "the same, p99"),
        ),
        (OURS,),
        latency.run_latency,
        pinned=False,
    ),
    Workload(
        "latency",
        tuple(_delay(watchers, rate) for watchers in delays.WATCHERS for rate in delays.RATES),
        (OURS,),
        delays.run_delays,
        pinned=False,
    ),
    Workload(
        "latency_fsync",
        tuple(_delay(delays.DURABLE_WATCHERS, rate, durable=True) for rate in delays.RATES),
        (OURS,),
        delays.run_durable_delays,
        pinned=False,
    ),
    Workload(
        "durable",
        (
            Metric(
                "durable_write", "rows/s", _HIGHER, "8 writers, batches of 100 rows, one call in flight each, fsync"
            ),
            Metric("durable_write_ratio", "of memory", _HIGHER, "the same as a share of the rate in memory"),
            Metric("durable_stream", "rows/s", _HIGHER, "8 writers that keep a WriteStream filled, fsync"),
            Metric("durable_stream_ratio", "of memory", _HIGHER, "the same as a share of the rate in memory"),
        ),
        (OURS,),
        durable.run_durable,
        pinned=False,
    ),
    Workload(
        "backup",
        (
            Metric("backup", "rows/s", _HIGHER, "1 M rows into a file at one version; DuckDB: export to Parquet"),
            Metric("backup_mb", "MB/s", _HIGHER, "the same in MB of plain columns"),
            Metric("restore", "rows/s", _HIGHER, "that file into a table; DuckDB: import from Parquet"),
            Metric("restore_mb", "MB/s", _HIGHER, "the same in MB of plain columns"),
        ),
        (OURS, "duckdb"),
        backups.run_backup,
        pinned=False,
    ),
    Workload(
        "query",
        (
            Metric("query_again", "ms", _LOWER, "1 M rows: filter, sort, first 100; a query that was asked before"),
            Metric("query_first", "ms", _LOWER, "the same, a new query each time"),
            Metric("query_without_cache", "ms", _LOWER, "the same, by a server that keeps no answers"),
        ),
        (OURS,),
        cached.run_cached,
        pinned=False,
    ),
    Workload(
        "resume",
        (
            Metric(
                "resume_p50", "ms", _LOWER, "1,000 watchers, away for 10 s of 100 commits/s, back with their tokens"
            ),
            Metric("resume_p99", "ms", _LOWER, "the same, p99"),
        ),
        (OURS,),
        resumption.run_resume,
        pinned=False,
    ),
    Workload(
        "alter",
        (
            Metric(
                "alter_commit_pause",
                "ms",
                _LOWER,
                "1 M rows altered in every way, 8 writers by fsync, 50 watchers: longest time between two commits",
            ),
            Metric("alter_watch_pause", "ms", _LOWER, "the same: longest time in which a watcher saw nothing"),
        ),
        (OURS,),
        altering.run_altering,
        pinned=False,
    ),
    Workload(
        "wire_write_beside_session",
        (
            Metric(
                "wire_write_beside_session_p99",
                "ms",
                _LOWER,
                "point writes while a 1 M-row session is made and fetched",
            ),
        ),
        (OURS,),
        beside.run_beside,
        pinned=False,
    ),
    Workload(
        "wire_stopped",
        (
            Metric("wire_stopped_p99", "ms", _LOWER, "1,000 watchers while 10 other readers are stopped for a minute"),
            Metric("wire_stopped_growth", "MB", _LOWER, "growth of the server's memory in that minute"),
        ),
        (OURS,),
        stopped.run_stopped,
        pinned=False,
    ),
)
