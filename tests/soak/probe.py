"""The server seen from outside: what its process holds, and what its metrics say."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass

import psutil
from prometheus_client.parser import text_string_to_metric_families

WATCH = "/tesseract.v1.SessionService/WatchSession"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look."""

    at: float  # seconds by the monotonic clock
    rss: int
    fds: int
    threads: int
    tasks: int
    watchers: int
    calls: int
    sessions: int
    watches_ended: int

    @property
    def leftovers(self) -> dict[str, int]:
        """What must be as it was when everybody has gone."""
        return {
            "tasks": self.tasks,
            "watchers": self.watchers,
            "calls": self.calls,
            "sessions": self.sessions,
            "fds": self.fds,
        }


class Probe:
    """Looks at one server."""

    def __init__(self, pid: int, metrics_port: int) -> None:
        self._process = psutil.Process(pid)
        self._url = f"http://127.0.0.1:{metrics_port}/metrics"

    def look(self) -> Sample:
        """Takes a sample; raises OSError when the server does not answer."""
        values = self._scrape()
        return Sample(
            at=time.monotonic(),
            rss=self._process.memory_info().rss,
            fds=self._process.num_fds(),
            threads=self._process.num_threads(),
            tasks=values["tesseract_tasks"],
            watchers=values["tesseract_watchers"],
            calls=values["tesseract_grpc_calls_open"],
            sessions=values["tesseract_sessions"],
            watches_ended=values["tesseract_grpc_calls_total" + WATCH],
        )

    def _scrape(self) -> dict[str, int]:
        """The sum of each metric's samples, and that of those of WatchSession apart."""
        with urllib.request.urlopen(self._url, timeout=10) as response:
            text = response.read().decode()
        found = {"tesseract_grpc_calls_open": 0, "tesseract_grpc_calls_total" + WATCH: 0}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + int(sample.value)
                if sample.labels.get("method") == WATCH:
                    found[sample.name + WATCH] = found.get(sample.name + WATCH, 0) + int(sample.value)
        return found
