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
from tesseract_grpc.server.host import Host, Hosts
from tesseract_grpc.server.metrics.histogram import Spread
from tesseract_grpc.server.metrics.loop_lag import LoopLag
from tesseract_grpc.server.metrics.meters import CallMeters

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
        await _tables(sample, host)
    for (method, code), count in calls.ended.items():
        sample.put("tesseract_grpc_calls_total", count, method, code)
    for method, count in calls.open.items():
        sample.put("tesseract_grpc_calls_open", count, method)
    for method, seconds in calls.seconds.items():
        sample.put("tesseract_grpc_call_seconds", seconds.read(), method)
    sample.put("tesseract_event_loop_lag_seconds", lag.histogram.read())
    sample.put("tesseract_tasks", len(asyncio.all_tasks()))
    sample.put("tesseract_threads", threading.active_count())
    return sample


def _hub(sample: Sample, host: Host) -> None:
    hub, name = host.hub, host.name
    counters = hub.counters
    sample.put("tesseract_hub_version", hub.version, name)
    sample.put("tesseract_commits_total", counters.commits, name)
    sample.put("tesseract_rows_written_total", counters.rows_written, name)
    sample.put("tesseract_rows_examined_total", counters.rows_examined, name)
    sample.put("tesseract_rows_routed_total", counters.rows_routed, name)
    sample.put("tesseract_sessions", len(hub.sessions), name)
    sample.put("tesseract_plans_hydrated_total", counters.plans_hydrated, name)
    sample.put("tesseract_plans_shared_total", counters.plans_shared, name)
    for reason, count in host.meters.refused_writes.items():
        sample.put("tesseract_writes_refused_total", count, name, reason)


async def _tables(sample: Sample, host: Host) -> None:
    async for table in _in_slices(tuple(host.hub.tables.values())):
        sample.put("tesseract_table_rows", table.row_count, host.name, table.name)
        sample.put("tesseract_table_memory_bytes", table.memory_bytes(), host.name, table.name)


async def _in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    for number, item in enumerate(items, start=1):
        yield item
        if number % _SLICE == 0:
            await asyncio.sleep(0)
